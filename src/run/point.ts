/**
 * One point: builds the machine, runs the warm-up and the measured window, collects. A pure function of its arguments: no files, no
 * clock, no threads; the same specification gives the same result anywhere.
 */
import { Event } from '../kernel/event.js';
import { ArrayLoan, ArrayStore } from '../memory/array-store.js';
import { Op } from '../protocol/op.js';
import type { MetricValue } from '../stats/registry.js';
import { WindowEnd } from '../system/dispatch.js';
import { Machine } from '../system/machine.js';
import type { PointSpec, StopSpec, WindowSpec } from '../workload/spec.js';
import type { HistogramResult, PointOptions, PointResult } from './result.js';
import { SteadyState } from './steady.js';

const BATCH = 4096;

/**
 * The last machine of this thread, if any, kept until the next one is built. When the garbage collector runs while there is none,
 * V8 forgets the shapes of its objects and with them all optimised code, which then has to be compiled again. Nothing reads it.
 * A machine with much memory is not kept.
 */
const kept: Machine[] = [];
const LARGE_BYTES = 32 * 2 ** 20;

function keep(machine: Machine): void {
  kept.length = 0;
  if (machine.physical.bytes < LARGE_BYTES) kept.push(machine);
}

/** Large arrays that the machines of this thread hand on. */
const STORE = new ArrayStore();

/** Why a window ended. */
type Stop = 'operations' | 'time' | 'steady' | 'idle';

interface Window {
  readonly ps: number;
  readonly operations: number;
  readonly stoppedBy: Stop;
}

/** Runs one window, a batch of events a step. A point whose machine falls idle (nothing will ever happen again) ends it too. */
function* runWindow(machine: Machine, window: WindowSpec, steady: SteadyState | null): Generator<void, Window> {
  const { kernel, meter, dispatcher } = machine;
  const start = kernel.clock[0]!;
  const end = new Event();
  if (window.time !== null) kernel.after(window.time, end, Op.WindowEnd);
  let operations = 0;
  for (;;) {
    const wanted = window.operations === null ? 0 : window.operations - operations;
    meter.start(steady === null || (wanted > 0 && wanted < steady.batchOperations) ? wanted : steady.batchOperations);
    while (meter.open && dispatcher.alive) {
      dispatcher.batch(BATCH);
      yield;
    }
    operations += meter.operations;
    const timeUp = window.time !== null && kernel.clock[0]! - start >= window.time;
    const full = window.operations !== null && operations >= window.operations;
    const agreed = steady?.batchDone(machine.operationLatency()) ?? false;
    if (!dispatcher.alive || timeUp || full || agreed) {
      end.state = WindowEnd.Void;
      const stoppedBy: Stop = !dispatcher.alive ? 'idle' : timeUp ? 'time' : full ? 'operations' : 'steady';
      return { ps: kernel.clock[0]! - start, operations, stoppedBy };
    }
  }
}

function histograms(machine: Machine): HistogramResult[] {
  return machine.registry.histograms().map(({ component, metric, histogram }) => {
    const buckets: number[] = [];
    histogram.forEachBucket((low, high, count) => {
      buckets.push(low, high, count);
    });
    const { count, sum } = histogram;
    const empty = count === 0;
    return {
      component,
      metric,
      buckets: Float64Array.from(buckets),
      count,
      sum,
      min: empty ? 0 : histogram.min,
      max: empty ? 0 : histogram.max,
      p50: empty ? 0 : histogram.quantile(0.5),
      p90: empty ? 0 : histogram.quantile(0.9),
      p99: empty ? 0 : histogram.quantile(0.99),
      p999: empty ? 0 : histogram.quantile(0.999),
    };
  });
}

function steadyOf(stop: StopSpec, machine: Machine): SteadyState | null {
  return stop.steady === null ? null : new SteadyState(stop.steady, machine.operationLatency());
}

/** Simulates one point. Throws for a specification that cannot be built (workload files are checked before). */
export function runPoint(spec: PointSpec, options: PointOptions): PointResult {
  const steps = pointSteps(spec, options);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

/** The same in steps of at most 4096 events, for a thread that has other work as well. */
export function* pointSteps(spec: PointSpec, options: PointOptions): Generator<void, PointResult> {
  const arrays = new ArrayLoan(STORE);
  const machine = new Machine(spec, options, arrays);
  const { registry, kernel } = machine;
  machine.start();
  let warmup: MetricValue[] = [];
  let warmed: Window = { ps: 0, operations: 0, stoppedBy: 'operations' };
  if (spec.warmup.time !== null || (spec.warmup.operations ?? 0) > 0) {
    warmed = yield* runWindow(machine, spec.warmup, null);
    warmup = registry.collect(kernel.clock[0]!);
    registry.reset(kernel.clock[0]!);
  }
  const measured = yield* runWindow(machine, spec.stop, steadyOf(spec.stop, machine));
  const now = kernel.clock[0]!;
  const metrics = registry.collect(now);
  machine.close();
  keep(machine);
  const result = {
    metrics,
    warmup,
    histograms: histograms(machine),
    text: machine.text(),
    windows: {
      warmupPs: warmed.ps,
      measuredPs: measured.ps,
      warmupOperations: warmed.operations,
      measuredOperations: measured.operations,
      stoppedBy: measured.stoppedBy,
    },
    events: kernel.dispatched,
    audit: machine.audit === null ? null : { violations: machine.audit.violations, counts: {} },
  };
  arrays.end();
  return result;
}

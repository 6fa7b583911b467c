/**
 * Simulates bench points on the worker pool and remembers their values. Requests made at the same time travel as one list, so
 * that several searches that run side by side keep all threads busy; a point that was computed before is not computed again.
 */
import type { PointRunner } from '../run/batch.js';
import { decodeResult } from '../run/encoding.js';
import { PointError } from '../run/errors.js';
import { computePoints, startPool } from '../run/pool.js';
import { PointHasher } from '../workload/identity.js';
import { type BenchPoint, measured } from './pcie-bench.js';

export interface EvaluatorOptions {
  readonly threads: number;
  readonly signal?: AbortSignal | undefined;
  /** Executes points in the calling thread. */
  readonly runner?: PointRunner | undefined;
  /** Called for each point that has been computed. */
  readonly onPoint?: (() => void) | undefined;
}

/** The computation was stopped from outside. */
export class Interrupted extends Error {}

interface Job {
  readonly id: string;
  readonly point: BenchPoint;
}

interface Waiter {
  readonly ids: readonly string[];
  readonly resolve: (values: number[]) => void;
  readonly reject: (error: unknown) => void;
}

export class Evaluator {
  private readonly hasher = new PointHasher();
  private readonly values = new Map<string, number>();
  private jobs = new Map<string, Job>();
  private waiters: Waiter[] = [];
  private readonly pool: ReturnType<typeof startPool> | undefined;
  private flushing = false;
  /** Points simulated so far. */
  computed = 0;

  constructor(private readonly options: EvaluatorOptions) {
    this.pool = options.runner === undefined ? startPool(options.threads) : undefined;
  }

  /**
   * Values of the points, in their order.
   * @throws PointError when a point fails, Interrupted when the signal stopped the computation.
   */
  evaluate(points: readonly BenchPoint[]): Promise<number[]> {
    const ids = points.map((point) => {
      const id = `${this.hasher.id(point.spec)} ${point.measure}`;
      if (!this.values.has(id)) this.jobs.set(id, { id, point });
      return id;
    });
    return new Promise((resolve, reject) => {
      this.waiters.push({ ids, resolve, reject });
      if (!this.flushing) {
        this.flushing = true;
        setImmediate(() => void this.flush());
      }
    });
  }

  /** Ends the worker threads. */
  async close(): Promise<void> {
    await this.pool?.destroy();
  }

  private async flush(): Promise<void> {
    const jobs = [...this.jobs.values()];
    const waiters = this.waiters;
    this.jobs = new Map();
    this.waiters = [];
    try {
      await this.compute(jobs);
      for (const { ids, resolve } of waiters) resolve(ids.map((id) => this.values.get(id)!));
    } catch (error) {
      for (const { reject } of waiters) reject(error);
    }
    // Whoever was waiting asks again before the next turn of the event loop.
    setImmediate(() => {
      if (this.waiters.length > 0) void this.flush();
      else this.flushing = false;
    });
  }

  private async compute(jobs: readonly Job[]): Promise<void> {
    const { threads, signal, runner } = this.options;
    const specs = jobs.map(({ point }) => point.spec);
    const options = { threads, signal, runner, pool: this.pool, everyEvent: false, audit: false };
    const complete = await computePoints(specs, options, async (index, outcome) => {
      const { id, point } = jobs[index]!;
      if (outcome.text === null) throw new PointError(`a point failed: ${outcome.error}`, id, 1);
      this.values.set(id, measured(decodeResult(outcome.text), point.measure));
      this.computed++;
      this.options.onPoint?.();
    });
    if (!complete) throw new Interrupted();
  }
}

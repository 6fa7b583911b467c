import { describe, expect, it } from 'vitest';
import { LatencyLedger } from '../../stats/latency-ledger.js';
import { STEP_NAMES, Step } from '../step.js';
import { NO_GUEST, TestMachine } from '../testing/machine.js';
import { type Call, type Program, type Thread, Wait } from '../thread.js';
import { Monitor } from './monitor.js';

const SPEC = {
  ...NO_GUEST,
  mode: 'nested-trapped',
  exit: 1001,
  lock: 10,
  lockHandOver: 300,
  emulation: 50,
  call: 7,
} as const;

interface Bench {
  readonly machine: TestMachine;
  readonly monitor: Monitor;
  readonly ledger: LatencyLedger;
  /** Runs a program on a CPU, its time accounted from start to end; `ended` gets the end. */
  readonly on: (cpu: number, program: (thread: Thread) => Call<void>, ended?: (at: number) => void) => void;
}

function bench(): Bench {
  const machine = new TestMachine();
  const { scheduler } = machine.os;
  const ledger = new LatencyLedger(16, STEP_NAMES);
  return {
    machine,
    monitor: new Monitor(SPEC, scheduler),
    ledger,
    on: (cpu, program, ended) => {
      const whole = function* (thread: Thread): Program {
        ledger.start(thread.id, scheduler.now());
        thread.ledger = ledger;
        yield* program(thread);
        ledger.finish(thread.id, scheduler.now());
        thread.ledger = null;
        ended?.(scheduler.now());
      };
      scheduler.start(scheduler.spawn(`cpu ${cpu}`, scheduler.cpus[cpu]!, whole));
    },
  };
}

/** Emulation of `commands` commands. */
function* work(monitor: Monitor, thread: Thread, commands: number): Call<void> {
  for (let i = 0; i < commands; i++) monitor.emulate(thread);
  yield Wait.Run;
}

describe('a trapped access', () => {
  it('takes the exit, the free lock and the emulation, to the picosecond', () => {
    const { machine, monitor, ledger, on } = bench();
    let end = 0;
    on(
      0,
      (thread) => monitor.trap(thread, work(monitor, thread, 3)),
      (at) => {
        end = at;
      },
    );
    machine.run();
    expect(end).toBe(1001 + 10 + 3 * 50);
    expect(ledger.totalPs(Step.Exit)).toBe(1001);
    expect(ledger.totalPs(Step.Emulation)).toBe(160);
    expect(monitor.statistics.exits).toBe(1);
    expect(monitor.statistics.exit.sum).toBe(end);
    expect(monitor.statistics.contended).toBe(0);
  });

  it('waits for the lock until the vCPU before it is done, in order of arrival, plus the hand-over', () => {
    const { machine, monitor, ledger, on } = bench();
    const ends: number[] = [];
    for (const cpu of [0, 1, 2]) {
      on(
        cpu,
        (thread) => monitor.trap(thread, work(monitor, thread, 4)),
        (at) => ends.push(at),
      );
    }
    machine.run();
    // All come after half an exit (500); one after the other emulates for 200, the first also takes the free lock.
    const first = 500 + 10 + 200;
    expect(ends).toEqual([first + 501, first + 500 + 501, first + 1000 + 501]);
    expect(ledger.totalPs(Step.HostLock)).toBe(210 + 300 + (210 + 500 + 300));
    expect(monitor.statistics.lockWait.count).toBe(2);
  });
});

describe('a call into the host', () => {
  it('is one step for the guest, and split by its own steps for the host', () => {
    const { machine, monitor, ledger, on } = bench();
    const inHost = function* (thread: Thread): Call<void> {
      thread.charge(Step.Table, 40);
      yield Wait.Run;
      thread.charge(Step.Pin, 3);
    };
    on(0, function* (thread) {
      thread.charge(Step.Call, 100);
      yield* monitor.call(thread, inHost(thread));
      thread.charge(Step.Call, 1);
      yield Wait.Run;
    });
    machine.run();
    expect(ledger.totalPs(Step.HostCall)).toBe(7 + 40 + 3);
    expect(ledger.totalPs(Step.Call)).toBe(101);
    expect(ledger.totalPs(Step.Table)).toBe(0);
    expect([Step.Syscall, Step.Table, Step.Pin].map((step) => monitor.calls.totalPs(step))).toEqual([7, 40, 3]);
    expect(monitor.calls.count()).toBe(1);
  });
});

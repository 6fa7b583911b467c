import { beforeEach, describe, expect, it } from 'vitest';
import { Kernel } from '../kernel/kernel.js';
import { Op } from '../protocol/op.js';
import { LockStatistics, SpinLock } from './lock.js';
import { Scheduler } from './scheduler.js';
import { testCosts } from './testing/costs.js';
import { type Program, type SoftWork, type Thread, Wait } from './thread.js';
import { Timers, timerExpiry } from './timers.js';

let kernel: Kernel;
let scheduler: Scheduler;
let timers: Timers;
let log: [string, number][];

/** Two CPUs on socket 0, one on socket 1. */
beforeEach(() => {
  kernel = new Kernel();
  scheduler = new Scheduler(
    kernel,
    [0, 0, 1].map((socket) => ({ socket, frequency: 3e9 })),
  );
  timers = new Timers(kernel, scheduler, 1000);
  log = [];
});

function run(): void {
  for (let event = kernel.next(); event !== null; event = kernel.next()) {
    if (event.op === Op.ThreadStep) scheduler.threadStep(event);
    else timers.expired(event);
  }
}

function note(what: string): void {
  log.push([what, scheduler.now()]);
}

function spawn(cpu: number, program: (thread: Thread) => Program): Thread {
  const thread = scheduler.spawn(`t${cpu}`, scheduler.cpus[cpu]!, program);
  scheduler.start(thread);
  return thread;
}

/** Soft-interrupt work of a given length. */
function work(ps: number): SoftWork {
  return {
    *run(context: Thread): Program {
      note('soft starts');
      context.charge(0, ps);
      yield Wait.Run;
      note('soft ends');
    },
  };
}

describe('threads', () => {
  it('pass their charged time at the next run, all of it at once', () => {
    spawn(0, function* (thread) {
      thread.charge(0, 100);
      thread.charge(1, 50);
      yield Wait.Run;
      note('a');
      yield Wait.Run;
      note('b');
    });
    run();
    expect(log).toEqual([
      ['a', 150],
      ['b', 150],
    ]);
  });

  it('refuses a second thread on a CPU', () => {
    spawn(0, function* () {});
    expect(() => spawn(0, function* () {})).toThrow('needs a CPU of its own');
  });

  it.each([
    [200, 200],
    [201, 300],
    [299, 300],
    [300, 300],
  ])('a poller with period 100 sees a change at %i ps at %i ps', (at, expected) => {
    const thread = spawn(0, function* (self) {
      scheduler.block(self, 0);
      yield Wait.Block;
      note('seen');
    });
    spawn(1, function* (self) {
      self.charge(0, at);
      yield Wait.Run;
      scheduler.wakePoller(thread, 100);
    });
    run();
    expect(log).toEqual([['seen', expected]]);
  });
});

describe('soft interrupts', () => {
  it('prolong the step they interrupt by exactly their length', () => {
    spawn(0, function* (thread) {
      timers.after(1, 0, work(300));
      thread.charge(0, 5000);
      yield Wait.Run;
      note('done');
    });
    run();
    // Timeout 1 ps rounds up to one tick, and the wheel adds one.
    expect(log).toEqual([
      ['soft starts', 2000],
      ['soft ends', 2300],
      ['done', 5300],
    ]);
  });

  it('prolong a step that would have ended while they run', () => {
    spawn(0, function* (thread) {
      timers.after(1, 0, work(300));
      thread.charge(0, 2100);
      yield Wait.Run;
      note('done');
    });
    run();
    expect(log.at(-1)).toEqual(['done', 2400]);
  });

  it('do not prolong a delay on the wall clock that ends after them, and only by the rest one that ends before', () => {
    for (const [cpu, length] of [
      [0, 5000],
      [1, 2100],
    ] as const) {
      spawn(cpu, function* (thread) {
        timers.after(1, cpu, work(300));
        thread.charge(0, length);
        yield Wait.Delay;
        note(`delay ${length}`);
      });
    }
    run();
    expect(log.filter(([what]) => what.startsWith('delay'))).toEqual([
      ['delay 2100', 2300],
      ['delay 5000', 5000],
    ]);
  });

  it('wait until the thread enables interrupts', () => {
    const lock = new SpinLock(scheduler, testCosts({ lock: 0 }), new LockStatistics());
    spawn(0, function* (thread) {
      timers.after(1, 0, work(300));
      lock.take(thread);
      thread.charge(0, 2500);
      yield Wait.Run;
      lock.release(thread);
      note('released');
      thread.charge(0, 100);
      yield Wait.Run;
      note('done');
    });
    run();
    expect(log).toEqual([
      ['released', 2500],
      ['soft starts', 2500],
      ['soft ends', 2800],
      ['done', 2900],
    ]);
  });

  it('run one after the other when several are pending, and prolong by their sum', () => {
    spawn(0, function* (thread) {
      timers.after(1, 0, work(300));
      timers.after(1, 0, work(200));
      thread.charge(0, 2400);
      yield Wait.Run;
      note('done');
    });
    run();
    expect(log.map(([, at]) => at)).toEqual([2000, 2300, 2300, 2500, 2900]);
  });
});

describe('spin locks', () => {
  it('are handed over first come, first served, at the price of the distance', () => {
    const statistics = new LockStatistics();
    const costs = testCosts({ lock: 10, lockHandOver: 50, lockHandOverRemote: 120 });
    const lock = new SpinLock(scheduler, costs, statistics);
    // CPU 0 asks at 0, CPU 2 (other socket) at 5, CPU 1 at 6; each holds the lock for 100 ps.
    for (const [cpu, start] of [
      [0, 0],
      [2, 5],
      [1, 6],
    ] as const) {
      spawn(cpu, function* (thread) {
        thread.charge(0, start);
        yield Wait.Run;
        if (!lock.take(thread)) yield Wait.Block;
        note(`cpu ${cpu}`);
        thread.charge(0, 100);
        yield Wait.Run;
        lock.release(thread);
      });
    }
    run();
    expect(log).toEqual([
      ['cpu 0', 0],
      ['cpu 2', 110 + 120],
      ['cpu 1', 110 + 120 + 100 + 120],
    ]);
    expect(statistics.acquisitions).toBe(3);
    expect(statistics.contended).toBe(2);
    expect(statistics.wait[0]).toBe(230 - 5 + (450 - 6));
    expect(lock.held).toBe(false);
  });

  it('cannot be taken with unsettled time nor released by a stranger', () => {
    const lock = new SpinLock(scheduler, testCosts({}), new LockStatistics());
    spawn(0, function* (thread) {
      thread.charge(0, 1);
      expect(() => lock.take(thread)).toThrow('unsettled');
      yield Wait.Run;
      expect(() => lock.release(thread)).toThrow('does not hold');
    });
    run();
  });
});

describe('timer expiry', () => {
  it.each([
    [0, 10, 1, 11],
    [9.5, 10, 1, 20],
    [0, 10, 4, 16],
    [3, 10, 4, 16],
    [4, 10, 4, 20],
    // 100 ticks sit in the second level of the wheel: rounded up to 8 ticks.
    [0, 100, 1, 104],
    [5, 1000, 1, 1024],
  ])('armed at %d ms for %d ms with ticks of %d ms: %d ms', (now, timeout, tick, expected) => {
    const ms = 1e9;
    expect(timerExpiry(now * ms, timeout * ms, tick * ms)).toBe(expected * ms);
  });
});

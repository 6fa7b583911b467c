import { describe, expect, it } from 'vitest';
import { Kernel } from '../kernel/kernel.js';
import { Op } from '../protocol/op.js';
import { LockStatistics, SpinLock } from './lock.js';
import { Scheduler } from './scheduler.js';
import { Step } from './step.js';
import { testCosts } from './testing/costs.js';
import { type Program, type Thread, Wait } from './thread.js';

const LOOK = 1000;

function bench(sockets: readonly number[], costs: Parameters<typeof testCosts>[0] = {}) {
  const kernel = new Kernel();
  const scheduler = new Scheduler(
    kernel,
    sockets.map((socket) => ({ socket, frequency: 1e9 })),
  );
  const statistics = new LockStatistics();
  const lock = new SpinLock(scheduler, testCosts(costs), statistics);
  const on = (cpu: number, at: number, program: (thread: Thread) => Program): Thread => {
    const thread = scheduler.spawn(`cpu ${cpu}`, scheduler.cpus[cpu]!, program);
    scheduler.start(thread, at);
    return thread;
  };
  const run = (): void => {
    for (let event = kernel.next(); event !== null; event = kernel.next()) {
      if (event.op === Op.ThreadStep) scheduler.threadStep(event);
    }
  };
  /** Takes the lock, holds it, releases it; notes when it had it and when it gave it back. */
  const holder = (hold: number, log: number[]) =>
    function* (thread: Thread): Program {
      if (!lock.take(thread)) yield Wait.Block;
      log.push(scheduler.now());
      thread.charge(Step.Call, hold);
      yield Wait.Run;
      lock.release(thread);
      log.push(scheduler.now());
    };
  return { scheduler, statistics, lock, on, run, holder };
}

describe('a spin lock', () => {
  it('costs a line move when another CPU had it last, none when the same CPU did', () => {
    const { lock, on, run, scheduler } = bench([0, 0, 1], { lock: 8, lineTransfer: 50, lineTransferRemote: 120 });
    const took: number[] = [];
    const program = function* (thread: Thread): Program {
      const begin = scheduler.now();
      lock.take(thread);
      yield Wait.Run;
      took.push(scheduler.now() - begin);
      lock.release(thread);
    };
    on(0, 0, function* (thread) {
      yield* program(thread);
      yield* program(thread);
    });
    on(1, 1000, program);
    on(2, 2000, program);
    run();
    expect(took).toEqual([8, 8, 58, 128]);
  });

  it('goes to the longest waiter, later by the hand-over', () => {
    const { on, run, holder, statistics } = bench([0, 0, 1], { lockHandOver: 50, lockHandOverRemote: 120 });
    const logs: number[][] = [[], [], []];
    on(0, 0, holder(1000, logs[0]!));
    on(2, 1, holder(1000, logs[2]!));
    on(1, 2, holder(1000, logs[1]!));
    run();
    expect(logs).toEqual([
      [0, 1000],
      [2240, 3240],
      [1120, 2120],
    ]);
    expect(statistics.contended).toBe(2);
  });
});

describe('polling under a lock', () => {
  function pollers(count: number, doneAt: readonly number[], costs: Parameters<typeof testCosts>[0] = {}) {
    const b = bench(new Array<number>(count + 1).fill(0), costs);
    const { lock, scheduler, on } = b;
    const seen: number[] = new Array<number>(count).fill(-1);
    const done: boolean[] = new Array<boolean>(count).fill(false);
    const threads = Array.from({ length: count }, (_, i) =>
      on(i, i, function* (thread) {
        if (!lock.take(thread)) yield Wait.Block;
        while (!done[i]) {
          lock.poll(thread, LOOK, Step.Completion);
          yield Wait.Block;
        }
        seen[i] = scheduler.now();
        lock.release(thread);
      }),
    );
    /** What hardware does. */
    const last = count;
    on(last, 0, function* (thread) {
      const order = doneAt.map((at, i) => [at, i] as const).sort(([a], [b2]) => a - b2);
      for (const [at, i] of order) {
        thread.charge(Step.Call, at - scheduler.now());
        yield Wait.Run;
        done[i] = true;
        lock.noticed(threads[i]!);
      }
    });
    return { ...b, seen, last };
  }

  it.each([
    [999, 1000],
    [1000, 1000],
    [1001, 2000],
    [50_500, 51_000],
  ])('alone sees at the end of a look what happened at %i: at %i', (at, expected) => {
    const { run, seen } = pollers(1, [at]);
    run();
    expect(seen).toEqual([expected]);
  });

  it('of two takes turns: each waits for the look of the other', () => {
    // Looks of CPU 0 begin at 0, 2000, 4000, ...; of CPU 1 at 1000, 3000, ...
    const { run, seen } = pollers(2, [10_500, 4500]);
    run();
    expect(seen[1]).toBe(5000);
    // From 5000 on CPU 0 is alone again.
    expect(seen[0]).toBe(11_000);
  });

  it('makes a submitter wait for the look under way, and a poller for the submitter', () => {
    const b = bench([0, 0, 0], { lockHandOver: 10 });
    const { lock, scheduler, on, run, holder } = b;
    let done = false;
    let seen = 0;
    const poller = on(0, 0, function* (thread) {
      if (!lock.take(thread)) yield Wait.Block;
      while (!done) {
        lock.poll(thread, LOOK, Step.Completion);
        yield Wait.Block;
      }
      seen = scheduler.now();
      lock.release(thread);
    });
    const log: number[] = [];
    on(1, 1500, holder(300, log));
    on(2, 0, function* (thread) {
      thread.charge(Step.Call, 1600);
      yield Wait.Run;
      done = true;
      lock.noticed(poller);
    });
    run();
    // The look that began at 1000 ends at 2000; the poller gets the lock back after the submitter.
    expect(log).toEqual([2010, 2310]);
    expect(seen).toBe(2320);
  });

  it('keeps every poller going while many submit', () => {
    const b = bench(new Array<number>(9).fill(0), { lockHandOver: 10 });
    const { lock, scheduler, on, run } = b;
    let finished = 0;
    const threads: Thread[] = [];
    const done = new Array<boolean>(8).fill(false);
    for (let i = 0; i < 8; i++) {
      threads.push(
        on(i, i * 7, function* (thread) {
          for (let round = 0; round < 20; round++) {
            if (!lock.take(thread)) yield Wait.Block;
            thread.charge(Step.Call, 100 + 13 * i);
            yield Wait.Run;
            done[i] = false;
            while (!done[i]) {
              lock.poll(thread, LOOK, Step.Completion);
              yield Wait.Block;
            }
            lock.release(thread);
          }
          finished++;
        }),
      );
    }
    on(8, 0, function* (thread) {
      for (let n = 0; finished < 8; n++) {
        thread.charge(Step.Call, 777);
        yield Wait.Run;
        const i = n % 8;
        if (!done[i]) {
          done[i] = true;
          lock.noticed(threads[i]!);
        }
      }
    });
    run();
    expect(finished).toBe(8);
    expect(lock.held).toBe(false);
    expect(scheduler.cpus.every((cpu) => cpu.thread!.irqOff === 0)).toBe(true);
  });
});

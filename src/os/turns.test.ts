import { beforeEach, describe, expect, it } from 'vitest';
import { Kernel } from '../kernel/kernel.js';
import { Op } from '../protocol/op.js';
import { ThreadedInterrupt } from './interrupt.js';
import { LockStatistics } from './lock.js';
import { RwSemaphore, type SemaphoreUse } from './rw-semaphore.js';
import { Scheduler } from './scheduler.js';
import { type Call, type Program, type SoftWork, type Thread, Wait } from './thread.js';
import { Timers } from './timers.js';
import { type Work, Workqueue } from './workqueue.js';

let kernel: Kernel;
let scheduler: Scheduler;
let timers: Timers;
let log: [string, number][];

function setUp(wakeLatency: number, contextSwitch: number): void {
  kernel = new Kernel();
  const cpus = [0, 0, 0].map((socket) => ({ socket, frequency: 3e9 }));
  scheduler = new Scheduler(kernel, cpus, 0, 0, { wakeLatency, contextSwitch });
  timers = new Timers(kernel, scheduler, 1000);
  log = [];
}

beforeEach(() => setUp(70, 30));

function run(): void {
  for (let event = kernel.next(); event !== null; event = kernel.next()) {
    if (event.op === Op.ThreadStep) scheduler.threadStep(event);
    else timers.expired(event);
  }
}

function note(what: string): void {
  log.push([what, scheduler.now()]);
}

/** A sleeper on a CPU that runs its steps, sleeping after each. */
function sleeper(name: string, cpu: number, ...steps: number[]): Thread {
  return scheduler.spawnSleeper(name, scheduler.cpus[cpu]!, function* (thread) {
    for (const ps of steps) {
      note(`${name} runs`);
      thread.charge(0, ps);
      yield Wait.Run;
      note(`${name} sleeps`);
      scheduler.sleep(thread, 0);
      yield Wait.Block;
    }
  });
}

function pinned(cpu: number, program: (thread: Thread) => Program): Thread {
  const thread = scheduler.spawn(`pinned ${cpu}`, scheduler.cpus[cpu]!, program);
  scheduler.start(thread);
  return thread;
}

function soften(ps: number, then: () => void): SoftWork {
  return {
    *run(context: Thread): Program {
      context.charge(0, ps);
      yield Wait.Run;
      then();
    },
  };
}

describe('threads that share a CPU', () => {
  it('start after the wake-up latency and a switch on an idle CPU, after a switch when another one sleeps', () => {
    const a = sleeper('a', 0, 1000);
    const b = sleeper('b', 0, 500);
    pinned(1, function* (thread) {
      scheduler.wakeUp(a);
      thread.charge(0, 400);
      yield Wait.Run;
      scheduler.wakeUp(b);
    });
    run();
    expect(log).toEqual([
      ['a runs', 100],
      ['a sleeps', 1100],
      ['b runs', 1130],
      ['b sleeps', 1630],
    ]);
  });

  it('take turns in order of their wake-ups, each until it sleeps', () => {
    const threads = ['a', 'b', 'c'].map((name) => sleeper(name, 0, 100, 10));
    pinned(1, function* (thread) {
      for (const index of [2, 0, 1]) scheduler.wakeUp(threads[index]!);
      thread.charge(0, 250);
      yield Wait.Run;
      scheduler.wakeUp(threads[2]!);
    });
    run();
    expect(log.filter(([what]) => what.endsWith('runs'))).toEqual([
      ['c runs', 100],
      ['a runs', 230],
      ['b runs', 360],
      ['c runs', 490],
    ]);
  });

  it('wait for a thread that spins, which does not give the CPU away', () => {
    const b = sleeper('b', 0, 1);
    const a = scheduler.spawnSleeper('a', scheduler.cpus[0]!, function* (thread) {
      scheduler.block(thread, 0);
      yield Wait.Block;
      note('a spun');
    });
    pinned(1, function* (thread) {
      scheduler.wakeUp(a);
      scheduler.wakeUp(b);
      thread.charge(0, 5000);
      yield Wait.Run;
      scheduler.wake(a, 0);
    });
    run();
    expect(log.slice(0, 2)).toEqual([
      ['a spun', 5000],
      ['b runs', 5030],
    ]);
  });

  it('start late by what is left of soft-interrupt work', () => {
    const a = sleeper('a', 0, 100);
    pinned(1, function* () {
      timers.after(
        1,
        0,
        soften(300, () => note('soft')),
      );
      yield Wait.Run;
      timers.after(
        1,
        1,
        soften(50, () => scheduler.wakeUp(a)),
      );
    });
    run();
    // Woken at 2050, due at 2150, the CPU is in soft-interrupt context until 2300.
    expect(log.slice(0, 2)).toEqual([
      ['soft', 2300],
      ['a runs', 2300],
    ]);
  });

  it('never meet a pinned thread, which would starve them', () => {
    pinned(0, function* () {});
    expect(() => sleeper('a', 0, 1)).toThrow('cannot take turns');
    sleeper('b', 1, 1);
    expect(() => scheduler.spawn('p', scheduler.cpus[1]!, function* () {})).toThrow('a CPU of its own');
  });

  it('cannot sleep with interrupts off, in soft-interrupt context, or be woken twice', () => {
    const a = sleeper('a', 0, 1);
    pinned(1, function* (thread) {
      thread.irqOff++;
      expect(() => scheduler.sleep(thread, 0)).toThrow('interrupts off');
      thread.irqOff--;
      expect(() => scheduler.sleep(scheduler.cpus[1]!.soft!, 0)).toThrow('interrupts off');
      scheduler.wakeUp(a);
      expect(() => scheduler.wakeUp(a)).toThrow('does not sleep');
      yield Wait.Run;
    });
    run();
  });
});

describe('a reader/writer semaphore', () => {
  const statistics = new LockStatistics();
  let use: SemaphoreUse;

  beforeEach(() => {
    setUp(0, 0);
    statistics.reset();
    use = { scheduler, costs: { lock: 0 }, steps: { lock: 0, wait: 0 }, statistics };
  });

  /** Arrives at `start`, holds the lock for `hold`; logs when it enters. */
  function holder(lock: RwSemaphore, cpu: number, writes: boolean, start: number, hold: number): void {
    pinned(cpu, function* (thread) {
      thread.charge(0, start);
      yield Wait.Run;
      if (!(writes ? lock.write(thread, use) : lock.read(thread, use))) yield Wait.Block;
      note(`${writes ? 'writer' : 'reader'} ${cpu}`);
      thread.charge(0, hold);
      yield Wait.Run;
      if (writes) lock.releaseWrite(thread, use);
      else lock.releaseRead(thread, use);
    });
  }

  it('lets readers in together and a writer alone', () => {
    const lock = new RwSemaphore();
    holder(lock, 0, false, 0, 100);
    holder(lock, 1, false, 10, 200);
    holder(lock, 2, true, 20, 50);
    run();
    expect(log).toEqual([
      ['reader 0', 0],
      ['reader 1', 10],
      ['writer 2', 210],
    ]);
    expect(lock.free).toBe(true);
    expect([statistics.contended, statistics.wait[0]]).toEqual([1, 190]);
  });

  it('does not let a reader overtake a waiting writer', () => {
    const lock = new RwSemaphore();
    holder(lock, 0, false, 0, 100);
    holder(lock, 1, true, 10, 100);
    holder(lock, 2, false, 20, 1);
    run();
    expect(log).toEqual([
      ['reader 0', 0],
      ['writer 1', 100],
      ['reader 2', 200],
    ]);
  });

  it('lets waiting readers in when a writer becomes a reader', () => {
    const lock = new RwSemaphore();
    pinned(0, function* (thread) {
      lock.write(thread, use);
      thread.charge(0, 100);
      yield Wait.Run;
      lock.downgrade(thread, use);
      thread.charge(0, 100);
      yield Wait.Run;
      lock.releaseRead(thread, use);
    });
    holder(lock, 1, false, 10, 5);
    holder(lock, 2, true, 20, 5);
    run();
    expect(log).toEqual([
      ['reader 1', 100],
      ['writer 2', 200],
    ]);
  });

  it('refuses strangers', () => {
    const lock = new RwSemaphore();
    pinned(0, function* (thread) {
      expect(() => lock.releaseRead(thread, use)).toThrow('no reader');
      expect(() => lock.releaseWrite(thread, use)).toThrow('does not hold');
      expect(() => lock.downgrade(thread, use)).toThrow('does not hold');
      yield Wait.Run;
    });
    run();
  });
});

describe('a threaded interrupt', () => {
  it('runs its thread after hard handler, wake-up and switch, and once more for all messages that came while it was masked', () => {
    const line = new ThreadedInterrupt(
      'irq',
      scheduler,
      scheduler.cpus[0]!,
      { hardInterrupt: 200, unmask: 5 },
      function* (thread) {
        note('pass');
        expect([line.handledAt, line.startedAt]).toEqual([scheduler.now() - 100, scheduler.now()]);
        thread.charge(0, 1000);
        yield Wait.Run;
      },
    );
    pinned(1, function* (thread) {
      line.raise();
      for (let i = 0; i < 3; i++) {
        thread.charge(0, 250);
        yield Wait.Run;
        line.raise();
      }
    });
    run();
    // First pass 300..1300, unmasked at 1305; the three messages of 250, 500 and 750 are one.
    expect(log).toEqual([
      ['pass', 300],
      ['pass', 1305 + 200 + 100],
    ]);
    expect([line.messages, line.passes]).toEqual([4, 2]);
  });

  it('costs the thread that it interrupts exactly the hard handler', () => {
    const line = new ThreadedInterrupt(
      'irq',
      scheduler,
      scheduler.cpus[0]!,
      { hardInterrupt: 200, unmask: 0 },
      function* (thread) {
        note('pass');
        if (thread.debt !== 0) yield Wait.Run;
      },
    );
    const a = sleeper('a', 0, 1000);
    pinned(1, function* (thread) {
      scheduler.wakeUp(a);
      thread.charge(0, 600);
      yield Wait.Run;
      line.raise();
    });
    run();
    expect(log).toEqual([
      ['a runs', 100],
      ['a sleeps', 1300],
      ['pass', 1330],
    ]);
  });
});

describe('a workqueue', () => {
  const costs = { queueWork: 20, takeWork: 10 };

  function item(name: string, ps: number, sleeps = 0): Work {
    return {
      *run(worker: Thread): Call<void> {
        worker.charge(0, ps);
        yield Wait.Run;
        note(name);
        if (sleeps === 0) return;
        timers.after(
          sleeps,
          2,
          soften(0, () => scheduler.wakeUp(worker)),
        );
        scheduler.sleep(worker, 0);
        yield Wait.Block;
        note(`${name} again`);
      },
    };
  }

  it('hands items to idle workers, first come first served', () => {
    const queue = new Workqueue('wq', scheduler, scheduler.cpus.slice(0, 2), 2, costs);
    pinned(2, function* (thread) {
      for (const [name, ps] of [
        ['a', 1000],
        ['b', 300],
        ['c', 100],
      ] as const)
        queue.queue(thread, item(name, ps));
      yield Wait.Run;
      note('queued');
    });
    run();
    // b ends at 410 on the second worker, which goes on with c without a wake-up.
    expect(log).toEqual([
      ['queued', 60],
      ['b', 410],
      ['c', 520],
      ['a', 1110],
    ]);
    expect([queue.queued, queue.done, queue.longest, queue.waiting]).toEqual([3, 3, 3, 0]);
  });

  it('uses the CPU of a worker that sleeps', () => {
    const queue = new Workqueue('wq', scheduler, scheduler.cpus.slice(0, 1), 2, costs);
    pinned(1, function* (thread) {
      queue.queue(thread, item('a', 100, 1));
      queue.queue(thread, item('b', 5000));
      yield Wait.Run;
    });
    run();
    // a sleeps at 210; b begins after a switch; a is woken at 2000 and has to wait for b.
    expect(log).toEqual([
      ['a', 210],
      ['b', 210 + 30 + 10 + 5000],
      ['a again', 5250 + 30],
    ]);
  });

  it('flushes what was queued before, not what comes later, and at once when nothing is there', () => {
    const queue = new Workqueue('wq', scheduler, scheduler.cpus.slice(0, 1), 1, costs);
    pinned(1, function* (thread) {
      yield* queue.flush(thread);
      note('nothing to flush');
      queue.queue(thread, item('a', 100));
      queue.queue(thread, item('b', 100));
      yield* queue.flush(thread);
      note('flushed');
    });
    pinned(2, function* (thread) {
      thread.charge(0, 50);
      yield Wait.Run;
      queue.queue(thread, item('c', 1000));
      yield Wait.Run;
    });
    run();
    expect(log).toEqual([
      ['nothing to flush', 0],
      ['a', 210],
      ['b', 320],
      ['flushed', 420],
      ['c', 1330],
    ]);
  });

  it('needs a worker', () => {
    expect(() => new Workqueue('wq', scheduler, scheduler.cpus, 0, costs)).toThrow('needs a worker');
  });
});

describe('the time of a CPU that threads share', () => {
  it('is what they work and spin and the switches between them; not what they sleep, nor the way to a wake-up', () => {
    const cpu = scheduler.cpus[0]!;
    const thread = scheduler.spawnSleeper('both', cpu, function* (self) {
      self.charge(0, 500);
      yield Wait.Run;
      scheduler.block(self, 0);
      yield Wait.Block;
      scheduler.sleep(self, 0);
      yield Wait.Block;
      self.charge(0, 7);
      yield Wait.Run;
    });
    pinned(1, function* (self) {
      self.charge(0, 1000);
      yield Wait.Run;
      scheduler.wakeUp(thread);
      self.charge(0, 900);
      yield Wait.Run;
      // It has spun since 1600; its wait ends 50 from now.
      scheduler.wake(thread, 50);
      self.charge(0, 10_000);
      yield Wait.Run;
      expect(scheduler.usedTime(cpu)).toBe(30 + 500 + 350);
      scheduler.wakeUp(thread);
    });
    run();
    expect(scheduler.usedTime(cpu)).toBe(30 + 500 + 350 + 30 + 7);
    expect(scheduler.usedTime(scheduler.cpus[1]!)).toBe(0);
    scheduler.resetStatistics();
    expect(scheduler.usedTime(cpu)).toBe(0);
  });

  it('includes interrupts that it takes', () => {
    const line = new ThreadedInterrupt(
      'line',
      scheduler,
      scheduler.cpus[0]!,
      { hardInterrupt: 200, unmask: 5 },
      function* (thread) {
        thread.charge(0, 100);
        yield Wait.Run;
      },
    );
    line.raise();
    run();
    expect(scheduler.usedTime(scheduler.cpus[0]!)).toBe(200 + 30 + 100 + 5);
  });
});

import { describe, expect, it } from 'vitest';
import { Access } from '../protocol/access.js';
import { ThreadedInterrupt } from './interrupt.js';
import { FaultKind } from './mm/statistics.js';
import { FAULT_STAGES, FaultStage, PageResponse } from './page-fault.js';
import { SvaBench, type SvaOptions } from './testing/sva-bench.js';
import { type Call, type Thread, Wait } from './thread.js';

const PAGE = 4096;
const BASE = 2 ** 40;
const WRITE = { access: Access.Write };
const MORE = { access: Access.Write, last: false };
const Success = PageResponse.Success;
const Invalid = PageResponse.Invalid;
const Failure = PageResponse.Failure;

type Mm = ReturnType<SvaBench['manager']['create']>;

/** A process with 64 pages, bound to the first device, and a program that reports its faults. */
function bound(options: SvaOptions, body: (thread: Thread, bench: SvaBench, mm: Mm) => Call<void>): SvaBench {
  const bench = new SvaBench(options);
  const { manager, sva, devices } = bench;
  const mm = manager.create();
  manager.addRegion(mm, BASE, 64 * PAGE);
  bench.thread(function* (thread) {
    yield* sva.bind(thread, devices[0]!, mm);
    yield* body(thread, bench, mm);
  });
  bench.run();
  return bench;
}

const codes = (bench: SvaBench): unknown[] => bench.answers.map(({ group, code }) => [group, code]);
const minor = (bench: SvaBench): number => bench.manager.statistics.faults[FaultKind.Minor]!.count;

describe('groups', () => {
  it('V-07: three requests, the third of them the last, are one work item, three faults and one answer', () => {
    const bench = bound({}, function* (thread, bench) {
      for (let i = 0; i < 3; i++) yield* bench.report(thread, 0, 1, 7, BASE + i * PAGE, i < 2 ? MORE : WRITE);
    });
    expect(codes(bench)).toEqual([[7, Success]]);
    expect([bench.workqueue.queued, minor(bench), bench.queue.statistics.total.count]).toEqual([1, 3, 3]);
  });

  it('V-08: the first error ends the group', () => {
    const bench = bound({}, function* (thread, bench, mm) {
      yield* bench.report(thread, 0, 1, 7, BASE, MORE);
      yield* bench.report(thread, 0, 1, 7, 5 * PAGE, MORE);
      yield* bench.report(thread, 0, 1, 7, BASE + PAGE, WRITE);
      yield* bench.workqueue.flush(thread);
      expect([0, PAGE].map((offset) => bench.translate(mm, BASE + offset, Access.Write) > 0)).toEqual([true, false]);
    });
    expect(codes(bench)).toEqual([[7, Invalid]]);
    expect(minor(bench)).toBe(1);
  });

  it('V-09: a last request whose partners were thrown away is handled alone, and nobody answers them', () => {
    const bench = bound({}, function* (thread, bench) {
      yield* bench.report(thread, 0, 1, 7, BASE, MORE);
      yield* bench.report(thread, 0, 1, 8, BASE + PAGE, MORE);
      bench.queue.discardPartial();
      yield* bench.report(thread, 0, 1, 7, BASE + 2 * PAGE, WRITE);
    });
    expect(codes(bench)).toEqual([[7, Success]]);
    expect([minor(bench), bench.queue.statistics.discarded]).toEqual([1, 2]);
  });

  it('of different indices are collected side by side, whatever the order', () => {
    const bench = bound({}, function* (thread, bench) {
      for (const [group, i] of [
        [1, 0],
        [2, 1],
        [1, 2],
        [2, 3],
      ] as const) {
        yield* bench.report(thread, 0, 1, group, BASE + i * PAGE, i < 2 ? MORE : WRITE);
      }
    });
    expect(codes(bench)).toEqual([
      [1, Success],
      [2, Success],
    ]);
    expect(minor(bench)).toBe(4);
  });

  it('cost less than as many groups of one', () => {
    const options = {
      workers: 1,
      response: 700,
      turns: { wakeLatency: 2000, contextSwitch: 500 },
      faultCosts: { report: 100, lock: 0, handOver: 0 },
      spec: { costs: { fault: 1000 } },
    };
    const [one, many] = [true, false].map((together) =>
      bound(options, function* (thread, bench) {
        for (let i = 0; i < 4; i++) {
          yield* bench.report(thread, 0, 1, together ? 0 : i, BASE + i * PAGE, together && i < 3 ? MORE : WRITE);
        }
      }),
    );
    // Four reports, wake-up, four faults, one answer; without groups the first report wakes, and each has its answer.
    expect(one!.now).toBe(4 * 100 + 2500 + 4 * 1000 + 700);
    expect(many!.now).toBe(100 + 2500 + 4 * 1700);
  });
});

describe('requests that cannot be resolved', () => {
  it('V-14: of a PASID that nobody handles are refused, once for each group', () => {
    const bench = bound({}, function* (thread, bench) {
      yield* bench.report(thread, 0, 2, 5, BASE, MORE);
      yield* bench.report(thread, 0, 2, 5, BASE + PAGE, WRITE);
      yield* bench.report(thread, 0, -1, 6, BASE, WRITE);
    });
    expect(bench.answers.map(({ pasid, group, code }) => [pasid, group, code])).toEqual([
      [2, 5, Invalid],
      [-1, 6, Invalid],
    ]);
    expect([bench.queue.statistics.unhandled, bench.workqueue.queued]).toEqual([3, 0]);
  });

  it('are invalid: no region, no permission, addresses beyond the address space', () => {
    const bench = bound({}, function* (thread, bench, mm) {
      bench.manager.addRegion(mm, 2 * BASE, PAGE, { access: Access.Read });
      const wrong = [BASE - PAGE, 2 * BASE, 2 ** 48, 2 ** 64 - PAGE];
      for (const [group, address] of wrong.entries()) yield* bench.report(thread, 0, 1, group, address, WRITE);
      yield* bench.report(thread, 0, 1, 9, 2 * BASE);
    });
    expect(codes(bench)).toEqual([0, 1, 2, 3].map((group) => [group, Invalid]).concat([[9, Success]]));
    expect(bench.manager.pages.resident).toBe(0);
  });

  it('are invalid when memory is short, and when the process is dying', () => {
    const short = bound({ spec: { limit: 0 } }, function* (thread, bench) {
      yield* bench.report(thread, 0, 1, 1, BASE, WRITE);
    });
    expect(codes(short)).toEqual([[1, Invalid]]);
    const dying = bound({ driver: 1000, turns: { wakeLatency: 100, contextSwitch: 0 } }, function* (thread, bench, mm) {
      yield* bench.report(thread, 0, 1, 1, BASE, WRITE);
      yield* bench.manager.put(thread, mm);
      yield* bench.report(thread, 0, 1, 2, BASE, WRITE);
    });
    expect(codes(dying)).toEqual([
      [1, Invalid],
      [2, Invalid],
    ]);
    expect(dying.frames.inUse).toBe(1);
  });

  it('fail as a group when the handler does not take it', () => {
    const bench = bound({}, function* (thread, bench, mm) {
      bench.sva.domainsOf(mm)[0]!.faultHandler = { accept: () => false, *handle() {} };
      yield* bench.report(thread, 0, 1, 1, BASE, MORE);
      yield* bench.report(thread, 0, 1, 1, BASE, WRITE);
    });
    expect(codes(bench)).toEqual([[1, Failure]]);
    expect(bench.queue.statistics.failure).toBe(1);
  });

  it('end the address space in a worker that turns out to be its last user', () => {
    const bench = bound({ spec: { storage: { latency: 5000, interval: 0 } } }, function* (thread, bench, mm) {
      bench.manager.addRegion(mm, 2 * BASE, PAGE, { kind: 'file' });
      yield* bench.report(thread, 0, 1, 1, 2 * BASE);
      thread.charge(0, 1000);
      yield Wait.Run;
      yield* bench.manager.put(thread, mm);
      expect([mm.users, mm.root > 0]).toEqual([1, true]);
    });
    expect(codes(bench)).toEqual([[1, Success]]);
    expect(bench.frames.inUse).toBe(1);
    expect(bench.driver.roots.size).toBe(0);
  });
});

describe('workers', () => {
  const spec = { costs: { fault: 10_000 } };

  it.each([
    [1, 80_000],
    [2, 40_000],
    [4, 20_000],
    [8, 20_000],
  ])('V-10: %i of them on four CPUs resolve eight groups in %i ps', (workers, expected) => {
    const bench = bound({ workers, spec }, function* (thread, bench) {
      for (let i = 0; i < 8; i++) yield* bench.report(thread, 0, 1, i, BASE + i * PAGE, WRITE);
    });
    expect(bench.now).toBe(expected);
  });

  it('resolve another group while one waits for storage, and finish out of order', () => {
    const storage = { latency: 50_000, interval: 0 };
    const bench = bound({ workers: 2, spec: { ...spec, storage } }, function* (thread, bench, mm) {
      bench.manager.addRegion(mm, 2 * BASE, PAGE, { kind: 'file' });
      yield* bench.report(thread, 0, 1, 1, 2 * BASE);
      yield* bench.report(thread, 0, 1, 2, BASE, WRITE);
    });
    expect(bench.answers.map(({ group, at }) => [group, at])).toEqual([
      [2, 10_000],
      [1, 60_000],
    ]);
  });

  it('V-10: wait for each other when munmap calls keep mmap_lock', () => {
    const bench = bound({ spec: { costs: { fault: 1000, call: 30_000 } } }, function* (thread, bench, mm) {
      const { manager } = bench;
      bench.thread(function* (other) {
        yield* manager.munmap(other, mm, BASE + 32 * PAGE, PAGE);
      });
      thread.charge(0, 10);
      yield Wait.Run;
      yield* bench.report(thread, 0, 1, 1, BASE, WRITE);
    });
    expect(bench.answers[0]!.at).toBe(31_000);
  });
});

describe('the time of a fault', () => {
  it('V-11: is split by stage, from its arrival to its answer, and the parts add up', () => {
    const bench = new SvaBench({
      response: 1500,
      turns: { wakeLatency: 700, contextSwitch: 300 },
      workCosts: { queueWork: 50, takeWork: 60 },
      faultCosts: { report: 400, lock: 10, handOver: 0 },
      spec: { costs: { lock: 20, vmaLookup: 80, fault: 600, allocatePage: 300, clearPage: 1000 } },
    });
    const { manager, sva, devices, scheduler, queue } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 8 * PAGE);
    const arrivals = [0, 200, 1500];
    const line = new ThreadedInterrupt(
      'prq',
      scheduler,
      scheduler.cpus[2]!,
      { hardInterrupt: 900, unmask: 0 },
      function* (thread) {
        for (let i = 0; i < arrivals.length; i++) {
          const fault = queue.fault();
          Object.assign(fault, { pasid: 1, group: i === 0 ? 0 : 1, address: BASE + i * PAGE, last: i !== 1, ...WRITE });
          if (i === 1) fault.last = false;
          fault.arrive(arrivals[i]!);
          fault.charge(FaultStage.Interrupt, line.handledAt);
          fault.charge(FaultStage.Wake, line.startedAt);
          yield* queue.report(thread, bench.faultDevice(0), fault);
        }
      },
    );
    bench.thread(function* (thread) {
      yield* sva.bind(thread, devices[0]!, mm);
      line.raise();
    });
    bench.run();
    const { stages, total } = queue.statistics;
    const sums = Object.fromEntries(FAULT_STAGES.map((name, stage) => [name, stages[stage]!.sum]));
    const handler = 20 + 80 + 600 + 300 + 1000;
    // Interrupt handled at 900, thread at 1900; the requests are read at 2300, 2750 (the first was queued meanwhile) and 3150.
    expect(sums).toEqual({
      device: 0,
      retry: 0,
      interrupt: 900 + 700 + 0,
      wake: 1000 + 1000 + 400,
      queue: 400 + 850 + 1250,
      group: 0 + 400 + 0,
      hand_off: 3 * (700 + 300 + 60),
      handler: handler + 2 * 2 * handler,
      response: 3 * 1510,
    });
    const sum = Object.values(sums).reduce((a, b) => a + b, 0);
    expect([total.count, total.sum]).toEqual([3, sum]);
  });
});

describe('drain', () => {
  it('V-13: unbind returns when every group of the PASID has its answer, and no answer comes later', () => {
    const bench = new SvaBench({ workers: 1, spec: { costs: { fault: 5000 } }, response: 100, devices: 2 });
    const { manager, sva, devices } = bench;
    let unbound = 0;
    const spaces = [manager.create(), manager.create()];
    for (const mm of spaces) manager.addRegion(mm, BASE, 64 * PAGE);
    bench.thread(function* (thread) {
      const bond = yield* sva.bind(thread, devices[0]!, spaces[0]!);
      yield* sva.bind(thread, devices[1]!, spaces[1]!);
      yield* bench.report(thread, 0, 1, 9, BASE, MORE);
      for (let i = 0; i < 4; i++) {
        yield* bench.report(thread, 0, 1, i, BASE + i * PAGE, WRITE);
        yield* bench.report(thread, 1, 2, i, BASE + i * PAGE, WRITE);
      }
      yield* sva.unbind(thread, bond);
      unbound = bench.now;
      expect(bench.answers.filter(({ pasid }) => pasid === 1).length).toBe(4);
      expect([bench.faultDevice(0).partial.length, bench.faultDevice(0).pending.length]).toEqual([0, 0]);
      yield* bench.report(thread, 0, 1, 9, BASE, WRITE);
    });
    bench.run();
    // Eight groups in turn, those of the other process included: the flush is of the whole queue.
    expect(unbound).toBe(8 * 5100);
    expect(bench.answers.at(-1)).toMatchObject({ pasid: 1, group: 9, code: Invalid });
  });

  it('answers what is pending when a device goes, and a worker that comes later does not answer again', () => {
    const bench = bound({ workers: 1, spec: { costs: { fault: 5000 } } }, function* (thread, bench) {
      for (let i = 0; i < 3; i++) yield* bench.report(thread, 0, 1, i, BASE + i * PAGE, WRITE);
      yield* bench.report(thread, 0, 1, 3, BASE, MORE);
      thread.charge(0, 7000);
      yield Wait.Run;
      yield* bench.queue.remove(thread, bench.faultDevice(0));
    });
    expect(codes(bench)).toEqual([
      [0, Success],
      [1, Invalid],
      [2, Invalid],
    ]);
    expect([bench.workqueue.done, bench.queue.statistics.discarded]).toEqual([3, 1]);
  });
});

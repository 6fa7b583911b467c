import { describe, expect, it } from 'vitest';
import { Access } from '../../protocol/access.js';
import { LatencyLedger } from '../../stats/latency-ledger.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { Mm } from './mm.js';
import type { MmuNotifier } from './notifier.js';
import { FaultKind, FAULT_KINDS } from './statistics.js';
import { MM_STEP_NAMES, MmStep } from './step.js';
import { FORMATS, MmBench, mmSpec } from './testing/bench.js';

const PAGE = 4096;
const HUGE = 2 ** 21;
const BASE = 2 ** 40;
const READ: Access = Access.Read;
const WRITE: Access = Access.Write;
const BOTH: Access = Access.Read | Access.Write;

/** Faults by kind so far, the zero ones left out. */
function faults(bench: MmBench): Record<string, number> {
  const counts = FAULT_KINDS.map((name, kind) => [name, bench.manager.statistics.faults[kind]!.count] as const);
  return Object.fromEntries(counts.filter(([, count]) => count !== 0));
}

/** Runs one program to its end. */
function program(bench: MmBench, body: (thread: Thread) => Call<void>): void {
  bench.thread(body);
  bench.run();
}

describe.each(Object.entries(FORMATS))('a process in %s tables', (_name, format) => {
  it('reads zeros from one shared page, and gets a page of its own with the first write', () => {
    const bench = new MmBench(mmSpec(), format);
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 8 * PAGE);
    program(bench, function* (thread) {
      expect(bench.translate(mm, BASE, READ)).toBe(-1);
      expect(yield* manager.touch(thread, mm, BASE, READ)).toBe(true);
      expect(yield* manager.touch(thread, mm, BASE + PAGE, READ)).toBe(true);
      expect(bench.translate(mm, BASE, READ)).toBe(bench.translate(mm, BASE + PAGE, READ));
      expect(bench.translate(mm, BASE, WRITE)).toBe(-1);
      expect(manager.pages.resident).toBe(0);
      const zeros = bench.translate(mm, BASE, READ);
      expect(yield* manager.touch(thread, mm, BASE + 7, WRITE)).toBe(true);
      expect(bench.translate(mm, BASE + 7, BOTH)).not.toBe(zeros + 7);
      expect(bench.translate(mm, BASE + PAGE, READ)).toBe(zeros);
      expect(yield* manager.touch(thread, mm, BASE + 2 * PAGE, WRITE)).toBe(true);
      expect(manager.pages.resident).toBe(2 * PAGE);
    });
    expect(faults(bench)).toEqual({ zero: 2, protection: 1, minor: 1 });
  });

  it('refuses what no region permits', () => {
    const bench = new MmBench(mmSpec(), format);
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, PAGE, { access: READ });
    program(bench, function* (thread) {
      expect(yield* manager.touch(thread, mm, BASE, READ)).toBe(true);
      expect(yield* manager.touch(thread, mm, BASE, WRITE)).toBe(false);
      expect(yield* manager.touch(thread, mm, BASE + PAGE, READ)).toBe(false);
      expect(yield* manager.touch(thread, mm, 2 ** 48, READ)).toBe(false);
      expect(mm.lock.free).toBe(true);
    });
    expect(manager.statistics.refused).toBe(3);
  });

  it('maps 2 MiB at once where they fit the region, and cuts them where a call needs a part', () => {
    const bench = new MmBench(mmSpec(), format);
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE + PAGE, 2 * HUGE, { huge: true });
    program(bench, function* (thread) {
      for (const at of [BASE + PAGE, BASE + HUGE + 5, BASE + 2 * HUGE]) {
        expect(yield* manager.touch(thread, mm, at, WRITE)).toBe(true);
      }
      expect(faults(bench)).toEqual({ minor: 2, huge: 1 });
      const frame = bench.translate(mm, BASE + HUGE, READ);
      expect(bench.sizeLg2).toBe(21);
      yield* manager.munmap(thread, mm, BASE + HUGE + PAGE, PAGE);
      expect(bench.translate(mm, BASE + HUGE, BOTH)).toBe(frame);
      expect(bench.sizeLg2).toBe(12);
      expect(bench.translate(mm, BASE + HUGE + PAGE, READ)).toBe(-1);
      expect(bench.translate(mm, BASE + HUGE + 511 * PAGE, BOTH)).toBe(frame + 511 * PAGE);
      expect(manager.pages.resident).toBe(2 * PAGE + HUGE - PAGE);
      yield* manager.put(thread, mm);
    });
    expect(manager.pages.resident).toBe(0);
    expect(bench.frames.inUse).toBe(1);
  });

  it('gives everything back when it ends, whatever is in it', () => {
    const bench = new MmBench(mmSpec(), format);
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, 0x1000, 4 * PAGE);
    manager.addRegion(mm, BASE, 4 * HUGE, { huge: true });
    manager.addRegion(mm, 2 ** 45, 64 * PAGE, { kind: 'file' });
    program(bench, function* (thread) {
      for (let i = 0; i < 4; i++) {
        yield* manager.touch(thread, mm, 0x1000 + i * PAGE, i % 2 === 0 ? READ : WRITE);
        yield* manager.touch(thread, mm, BASE + i * HUGE, READ);
        yield* manager.touch(thread, mm, 2 ** 45 + i * PAGE, READ);
      }
      yield* manager.pageOut(thread, mm, 2 ** 45, 2 * PAGE);
      yield* manager.pageOut(thread, mm, BASE + HUGE, 10 * PAGE);
      yield* manager.put(thread, mm);
    });
    expect([bench.frames.inUse, mm.root, manager.statistics.evicted]).toEqual([1, -1, 12]);
  });

  it('keeps a page out of memory until it is read back, dirty pages written once', () => {
    const bench = new MmBench(mmSpec({ storage: { latency: 5000, interval: 100 } }), format);
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 4 * PAGE);
    manager.addRegion(mm, 2 * BASE, 4 * PAGE, { kind: 'cached' });
    program(bench, function* (thread) {
      yield* manager.touch(thread, mm, BASE, WRITE);
      yield* manager.touch(thread, mm, BASE + PAGE, READ);
      yield* manager.touch(thread, mm, 2 * BASE, READ);
      yield* manager.touch(thread, mm, 2 * BASE + PAGE, WRITE);
      const before = bench.now;
      yield* manager.pageOut(thread, mm, 0, 3 * BASE);
      // The page of zeros stays. The clean page of a file needs no write where the format can tell it from a dirty one.
      expect(manager.statistics.evicted).toBe(3);
      // One wait for each region.
      expect(bench.now - before).toBe(2 * 5000 + (manager.storage.writes - 2) * 100);
      expect(bench.translate(mm, BASE, READ)).toBe(-1);
      const start = bench.now;
      expect(yield* manager.touch(thread, mm, BASE, READ)).toBe(true);
      expect(bench.now - start).toBe(5000);
      expect(bench.translate(mm, BASE, READ)).toBeGreaterThan(0);
      expect(yield* manager.touch(thread, mm, 2 * BASE, READ)).toBe(true);
    });
    expect(faults(bench)).toEqual({ zero: 1, minor: 3, major: 2 });
    expect(manager.storage.reads).toBe(2);
  });

  it('frees the tables of what it unmaps, and only those', () => {
    const bench = new MmBench(mmSpec(), format);
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 2 * HUGE);
    manager.addRegion(mm, BASE + 2 ** 30, PAGE);
    program(bench, function* (thread) {
      const empty = bench.frames.inUse;
      for (const at of [BASE, BASE + HUGE, BASE + 2 ** 30]) yield* manager.touch(thread, mm, at, WRITE);
      // Pages, leaf tables, tables of the two gigabytes, one of 512 GiB.
      expect(bench.frames.inUse - empty).toBe(3 + 3 + 2 + 1);
      yield* manager.munmap(thread, mm, BASE + HUGE, HUGE);
      expect(bench.frames.inUse - empty).toBe(2 + 2 + 2 + 1);
      yield* manager.munmap(thread, mm, BASE, HUGE / 2);
      expect(bench.frames.inUse - empty).toBe(1 + 2 + 2 + 1);
      yield* manager.munmap(thread, mm, BASE, HUGE);
      expect(bench.frames.inUse - empty).toBe(1 + 1 + 1 + 1);
      yield* manager.munmap(thread, mm, 0, 2 ** 47);
      expect(bench.frames.inUse - empty).toBe(0);
    });
  });

  it('changes permissions', () => {
    const bench = new MmBench(mmSpec(), format);
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 3 * PAGE);
    program(bench, function* (thread) {
      yield* manager.touch(thread, mm, BASE, WRITE);
      yield* manager.touch(thread, mm, BASE + PAGE, WRITE);
      yield* manager.touch(thread, mm, BASE + 2 * PAGE, READ);
      yield* manager.mprotect(thread, mm, BASE + PAGE, 2 * PAGE, READ);
      expect(bench.translate(mm, BASE, BOTH)).toBeGreaterThan(0);
      expect(bench.translate(mm, BASE + PAGE, READ)).toBeGreaterThan(0);
      expect(bench.translate(mm, BASE + PAGE, WRITE)).toBe(-1);
      expect(yield* manager.touch(thread, mm, BASE + PAGE, WRITE)).toBe(false);
      yield* manager.mprotect(thread, mm, BASE, 3 * PAGE, BOTH);
      expect(yield* manager.touch(thread, mm, BASE + PAGE, WRITE)).toBe(true);
      expect(bench.translate(mm, BASE + 2 * PAGE, WRITE)).toBe(-1);
      expect(yield* manager.touch(thread, mm, BASE + 2 * PAGE, WRITE)).toBe(true);
      expect(mm.regions.length).toBe(2);
    });
  });
});

describe('reclaim', () => {
  it('keeps to the limit, and throws out first what was not used since the hand came by', () => {
    const bench = new MmBench(mmSpec({ limit: 8 * PAGE, cluster: 2 }));
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 64 * PAGE);
    program(bench, function* (thread) {
      for (let i = 0; i < 8; i++) yield* manager.touch(thread, mm, BASE + i * PAGE, WRITE);
      // The first shortage ages all and takes the first two.
      yield* manager.touch(thread, mm, BASE + 8 * PAGE, WRITE);
      expect([0, 1, 2].map((i) => bench.translate(mm, BASE + i * PAGE, READ) > 0)).toEqual([false, false, true]);
      // That translation has marked page 2, and these two mark 3 and 4: the hand passes them.
      expect(yield* manager.touch(thread, mm, BASE + 3 * PAGE, READ)).toBe(true);
      expect(bench.translate(mm, BASE + 4 * PAGE, READ)).toBeGreaterThan(0);
      for (let i = 9; i < 11; i++) yield* manager.touch(thread, mm, BASE + i * PAGE, WRITE);
      expect([2, 3, 4].every((i) => bench.translate(mm, BASE + i * PAGE, READ) > 0)).toBe(true);
      expect(manager.pages.resident).toBeLessThanOrEqual(8 * PAGE);
    });
    expect(manager.statistics.evicted).toBe(4);
  });

  it('cuts large pages, and fails a fault only when nothing is left to reclaim', () => {
    const bench = new MmBench(mmSpec({ limit: HUGE + PAGE, cluster: 1 }));
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 2 * HUGE, { huge: true });
    program(bench, function* (thread) {
      expect(yield* manager.touch(thread, mm, BASE, WRITE)).toBe(true);
      // No room for a second large page: a small one, and then others by paging out parts of the first.
      for (let i = 0; i < 4; i++) {
        expect(yield* manager.touch(thread, mm, BASE + HUGE + i * PAGE, WRITE)).toBe(true);
      }
      expect(manager.pages.resident).toBe(HUGE + PAGE);
    });
    expect(faults(bench)).toEqual({ huge: 1, minor: 4 });
    const none = new MmBench(mmSpec({ limit: 0 }));
    const other = none.manager.create();
    none.manager.addRegion(other, BASE, PAGE);
    program(none, function* (thread) {
      expect(yield* none.manager.touch(thread, other, BASE, WRITE)).toBe(false);
    });
    expect(faults(none)).toEqual({ failed: 1 });
  });

  it('sweeps pages that are gone off its list', () => {
    const bench = new MmBench(mmSpec({ limit: 4 * PAGE }));
    const { manager } = bench;
    const mm = manager.create();
    program(bench, function* (thread) {
      for (let turn = 0; turn < 3000; turn++) {
        yield* manager.mmap(thread, mm, BASE, PAGE);
        yield* manager.touch(thread, mm, BASE, WRITE);
        yield* manager.munmap(thread, mm, BASE, PAGE);
      }
      yield* manager.mmap(thread, mm, BASE, 8 * PAGE);
      for (let i = 0; i < 8; i++) yield* manager.touch(thread, mm, BASE + i * PAGE, WRITE);
    });
    expect(manager.pages.listed).toBeLessThan(1200);
    expect(manager.statistics.evicted).toBe(4);
  });
});

it('the steps begin where those of the DMA API end', () => {
  expect(MM_STEP_NAMES[MmStep.Exception]).toBe('mm_exception');
  expect(MM_STEP_NAMES[MmStep.Reclaim]).toBe('mm_reclaim');
  expect(MM_STEP_NAMES.length).toBe(MmStep.Reclaim + 1);
});

describe('time', () => {
  const costs = {
    exception: 100,
    lock: 10,
    vmaLookup: 20,
    fault: 300,
    allocatePage: 40,
    clearPage: 200,
    call: 500,
    callPage: 5,
    callTable: 7,
    freePage: 3,
    shootdown: 1000,
  };

  it('of a minor fault is the sum of its steps, each where it belongs', () => {
    const bench = new MmBench(mmSpec({ costs }));
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 4 * PAGE);
    const ledger = new LatencyLedger(32, MM_STEP_NAMES);
    program(bench, function* (thread) {
      thread.ledger = ledger;
      ledger.start(thread.id, bench.now);
      yield* manager.touch(thread, mm, BASE, WRITE);
      expect(ledger.finish(thread.id, bench.now)).toBe(670);
      ledger.start(thread.id, bench.now);
      yield* manager.munmap(thread, mm, BASE, 4 * PAGE);
      // One page, three tables, and an interrupt to the other CPUs.
      expect(ledger.finish(thread.id, bench.now)).toBe(10 + 500 + 5 + 3 * 7 + 1000 + 3);
    });
    const steps = [
      MmStep.Exception,
      MmStep.Lock,
      MmStep.Fault,
      MmStep.Allocate,
      MmStep.Clear,
      MmStep.Call,
      MmStep.Pages,
    ];
    expect(steps.map((step) => ledger.totalPs(step))).toEqual([100, 20, 320, 40, 200, 500, 29]);
    expect(manager.statistics.faults[FaultKind.Minor]!.max).toBe(540);
  });

  it('is not spent on telling anybody when nothing was mapped', () => {
    const bench = new MmBench(mmSpec({ costs }));
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 4 * PAGE);
    program(bench, function* (thread) {
      yield* manager.munmap(thread, mm, BASE, 2 * PAGE);
    });
    expect(bench.now).toBe(510);
  });

  it('passes while a writer waits for readers and readers for a writer', () => {
    const bench = new MmBench(mmSpec({ costs: { fault: 1000, call: 500 }, storage: { latency: 9000, interval: 0 } }));
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 4 * PAGE, { kind: 'file' });
    const ends: number[] = [];
    bench.thread(function* (thread) {
      yield* manager.touch(thread, mm, BASE, READ);
      ends.push(bench.now);
    });
    bench.thread(function* (thread) {
      yield* manager.munmap(thread, mm, BASE + PAGE, PAGE);
      ends.push(bench.now);
    }, 100);
    bench.thread(function* (thread) {
      yield* manager.touch(thread, mm, BASE + 2 * PAGE, READ);
      ends.push(bench.now);
    }, 200);
    bench.run();
    // The read holds mmap_lock over its 9 ns in storage; munmap has it for 0.5 ns; the second read follows.
    expect(ends).toEqual([10_000, 10_500, 20_500]);
    expect(manager.statistics.locks.contended).toBe(2);
  });

  it('lets one of two threads that fault on one page win; the other one finds it there', () => {
    const bench = new MmBench(mmSpec({ costs: { fault: 1000 } }));
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, PAGE, { kind: 'file' });
    for (let i = 0; i < 3; i++) {
      bench.thread(function* (thread) {
        expect(yield* manager.touch(thread, mm, BASE, WRITE)).toBe(true);
      });
    }
    bench.run();
    expect(faults(bench)).toEqual({ major: 1, raced: 2 });
    expect(manager.pages.resident).toBe(PAGE);
  });
});

describe('a notifier', () => {
  /** Checks at each call that the range is gone from the table and that its frames are not free yet. */
  class Watch implements MmuNotifier {
    readonly calls: [start: number, end: number, at: number][] = [];
    released = 0;

    constructor(
      private readonly bench: MmBench,
      private readonly mm: Mm,
      private readonly resident: number,
    ) {}

    *invalidate(thread: Thread, start: number, end: number): Call<void> {
      this.calls.push([start - BASE, end - BASE, this.bench.now]);
      expect(this.bench.translate(this.mm, start, WRITE)).toBe(-1);
      expect(this.bench.manager.pages.resident).toBe(this.resident);
      thread.charge(0, 50);
      yield Wait.Run;
      expect(this.bench.manager.pages.resident).toBe(this.resident);
    }

    *release(thread: Thread): Call<void> {
      this.released++;
      expect(this.bench.translate(this.mm, BASE, READ)).toBeGreaterThan(0);
      thread.charge(0, 50);
      yield Wait.Run;
    }
  }

  it('hears of munmap, mprotect, page-out and the replaced page of zeros, after the table has changed and before pages are freed', () => {
    const bench = new MmBench();
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 16 * PAGE);
    program(bench, function* (thread) {
      for (const i of [0, 1, 2, 3, 8]) yield* manager.touch(thread, mm, BASE + i * PAGE, WRITE);
      yield* manager.touch(thread, mm, BASE + 9 * PAGE, READ);
      const watch = new Watch(bench, mm, 5 * PAGE);
      mm.register(watch);
      yield* manager.munmap(thread, mm, BASE + PAGE, PAGE);
      expect(watch.calls).toEqual([[PAGE, 2 * PAGE, 0]]);
      mm.unregister(watch);
      const second = new Watch(bench, mm, 4 * PAGE);
      mm.register(second);
      yield* manager.munmap(thread, mm, BASE + 4 * PAGE, PAGE);
      yield* manager.touch(thread, mm, BASE + 10 * PAGE, READ);
      yield* manager.mprotect(thread, mm, BASE + 8 * PAGE, PAGE, READ);
      yield* manager.mprotect(thread, mm, BASE + 8 * PAGE, PAGE, BOTH);
      yield* manager.pageOut(thread, mm, BASE, 2 * PAGE);
      expect(second.calls.map(([start]) => start / PAGE)).toEqual([8, 0]);
      mm.unregister(second);
      const third = new Watch(bench, mm, 4 * PAGE);
      mm.register(third);
      yield* manager.touch(thread, mm, BASE + 9 * PAGE, WRITE);
      expect(third.calls.map(([start]) => start / PAGE)).toEqual([9]);
    });
  });

  it('is released before the pages of a process that ends are unmapped, and not called any more', () => {
    const bench = new MmBench();
    const { manager } = bench;
    const mm = manager.create();
    manager.addRegion(mm, BASE, 16 * PAGE);
    program(bench, function* (thread) {
      yield* manager.touch(thread, mm, BASE, WRITE);
      const watch = new Watch(bench, mm, PAGE);
      mm.register(watch);
      expect(mm.get()).toBe(true);
      yield* manager.put(thread, mm);
      expect(watch.released).toBe(0);
      yield* manager.put(thread, mm);
      expect([watch.released, watch.calls.length, mm.get(), bench.now]).toEqual([1, 0, false, 50]);
      mm.unregister(watch);
      expect(yield* manager.touch(thread, mm, BASE, WRITE)).toBe(false);
    });
  });
});

it('regions are whole pages that do not overlap and can be read', () => {
  const { manager } = new MmBench();
  const mm = manager.create();
  manager.addRegion(mm, BASE, 4 * PAGE);
  expect(() => manager.addRegion(mm, BASE + 3 * PAGE, PAGE)).toThrow('mapped there already');
  expect(() => manager.addRegion(mm, BASE - PAGE, 2 * PAGE)).toThrow('mapped there already');
  expect(() => manager.addRegion(mm, BASE + 1, PAGE)).toThrow('not whole pages');
  expect(() => manager.addRegion(mm, 2 ** 47 - PAGE, 2 ** 48)).toThrow('not whole pages');
  expect(() => manager.addRegion(mm, 0, PAGE, { access: WRITE })).toThrow('must be readable');
});

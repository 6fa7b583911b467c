/**
 * Random programs: processes touch, map, unmap, protect and page out memory, bind and unbind devices, and die, while devices translate with a
 * cache and report faults in groups. First one thread against a dictionary, then several against invariants.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RandomStream } from '../kernel/random.js';
import { Access } from '../protocol/access.js';
import type { DomainState } from './domain-state.js';
import type { Endpoint } from './iommu-driver.js';
import type { Mm } from './mm/mm.js';
import { FORMATS, MmBench, mmSpec } from './mm/testing/bench.js';
import { findRegion } from './mm/vma.js';
import { PageResponse } from './page-fault.js';
import type { SvaBond } from './sva-space.js';
import { FakeDriver, SvaBench } from './testing/sva-bench.js';
import { type Call, type Program, type Thread, Wait } from './thread.js';

const PAGE = 4096;
const BASE = 2 ** 40;
const PAGES = 24;
const READ: Access = Access.Read;
const WRITE: Access = Access.Write;
const BOTH: Access = Access.Read | Access.Write;

describe('one thread', () => {
  type Page = 'none' | 'untouched' | 'zeros' | 'own' | 'stored';
  const action = fc.record({
    what: fc.constantFrom('read', 'write', 'read', 'write', 'munmap', 'mmap', 'pageOut', 'protect', 'unprotect'),
    page: fc.integer({ min: 0, max: PAGES - 1 }),
    count: fc.integer({ min: 1, max: 8 }),
  });

  it.each(Object.keys(FORMATS))('%s tables hold what a dictionary says', (name) => {
    fc.assert(
      fc.property(fc.array(action, { minLength: 1, maxLength: 60 }), (actions) => {
        const bench = new MmBench(mmSpec(), FORMATS[name]);
        const { manager } = bench;
        const mm = manager.create();
        const pages: Page[] = new Array<Page>(PAGES).fill('none');
        const writable: boolean[] = new Array<boolean>(PAGES).fill(true);
        const each = (page: number, count: number, change: (i: number) => void): void => {
          for (let i = page; i < Math.min(PAGES, page + count); i++) change(i);
        };
        bench.thread(function* (thread): Program {
          for (const { what, page, count } of actions) {
            const [start, bytes] = [BASE + page * PAGE, Math.min(count, PAGES - page) * PAGE];
            if (what === 'read' || what === 'write') {
              const allowed = pages[page] !== 'none' && (what === 'read' || writable[page]!);
              expect(yield* manager.touch(thread, mm, start, what === 'read' ? READ : WRITE)).toBe(allowed);
              if (!allowed) continue;
              if (what === 'write' || pages[page] === 'stored') pages[page] = 'own';
              else if (pages[page] === 'untouched') pages[page] = 'zeros';
            } else if (what === 'munmap') {
              yield* manager.munmap(thread, mm, start, bytes);
              each(page, count, (i) => {
                pages[i] = 'none';
              });
            } else if (what === 'mmap') {
              if (pages.slice(page, page + count).some((state) => state !== 'none')) continue;
              yield* manager.mmap(thread, mm, start, bytes);
              each(page, count, (i) => {
                pages[i] = 'untouched';
                writable[i] = true;
              });
            } else if (what === 'pageOut') {
              yield* manager.pageOut(thread, mm, start, bytes);
              each(page, count, (i) => {
                if (pages[i] === 'own') pages[i] = 'stored';
              });
            } else {
              yield* manager.mprotect(thread, mm, start, bytes, what === 'protect' ? READ : BOTH);
              each(page, count, (i) => {
                if (pages[i] !== 'none') writable[i] = what === 'unprotect';
              });
            }
          }
          const frames = new Set<number>();
          for (const [i, state] of pages.entries()) {
            manager.tables.find(mm.root, BASE + i * PAGE);
            const { present, stored, frame } = manager.tables;
            expect([i, present, stored]).toEqual([i, state === 'zeros' || state === 'own', state === 'stored']);
            if (state === 'own') frames.add(frame);
            if (present) expect(manager.tables.permits(WRITE)).toBe(state === 'own' && writable[i]!);
          }
          expect(frames.size).toBe(pages.filter((state) => state === 'own').length);
          expect(manager.pages.resident).toBe(frames.size * PAGE);
          yield* manager.put(thread, mm);
        });
        bench.run();
        expect(bench.frames.inUse).toBe(1);
      }),
      { numRuns: 60, seed: 5 },
    );
  });
});

/** A unit that keeps every translation it has used until software removes it. */
class CachingDriver extends FakeDriver {
  /** By PASID and page. */
  readonly cache = new Map<string, number>();

  override *detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void> {
    yield* super.detach(thread, domain, device, pasid);
    for (let page = 0; page < PAGES; page++) this.cache.delete(`${device.id} ${pasid} ${page}`);
  }

  override *flushRange(thread: Thread, domain: DomainState, iova: number, bytes: number): Call<void> {
    yield* super.flushRange(thread, domain, iova, bytes);
    for (const { unit, pasid } of domain.tags) {
      const first = Math.max(0, (iova - BASE) / PAGE);
      for (let page = first; page < Math.min(PAGES, first + bytes / PAGE); page++) {
        this.cache.delete(`${unit} ${pasid} ${page}`);
      }
    }
  }
}

interface Report {
  readonly device: number;
  readonly group: number;
  /** The last request was reported, and `report` returned. */
  complete: boolean;
  readonly pasid: number;
}

/** Three processes, two devices, three threads of software and one for each device, all drawing from one stream. */
class Program3 {
  readonly bench: SvaBench;
  readonly driver = new CachingDriver(700);
  readonly reports: Report[] = [];
  staleFrees = 0;
  private readonly random: RandomStream;
  private readonly spaces: Mm[] = [];
  /** By process and device; null while the device may not use the process. */
  private readonly bonds: (SvaBond | null)[][] = [];
  private readonly busy: boolean[][] = [];
  private nextGroup = 0;
  private running = 4;

  constructor(seed: number, limit: number) {
    this.random = new RandomStream(seed, 'programs');
    const costs = {
      exception: 90,
      lock: 10,
      fault: 900,
      clearPage: 300,
      call: 400,
      callPage: 20,
      shootdown: 500,
      scanPage: 5,
    };
    this.bench = new SvaBench({
      spec: { limit, cluster: 4, storage: { latency: 9000, interval: 300 }, costs },
      turns: { wakeLatency: 800, contextSwitch: 200 },
      faultCosts: { report: 150, lock: 10, handOver: 20 },
      workCosts: { queueWork: 30, takeWork: 40 },
      svaCosts: { bind: 200, unbind: 200, lock: 10 },
      response: 250,
      driver: this.driver,
      devices: 2,
    });
    const { pages } = this.bench.manager;
    const free = pages.free.bind(pages);
    pages.free = (frame, bytes): void => {
      if ([...this.driver.cache.values()].includes(frame)) this.staleFrees++;
      free(frame, bytes);
    };
    for (let i = 0; i < 3; i++) {
      this.spaces.push(this.fresh());
      this.bonds.push([null, null]);
      this.busy.push([false, false]);
    }
  }

  run(turns: number): void {
    for (let i = 0; i < 3; i++) this.bench.thread((thread) => this.software(thread, turns));
    // Both devices' requests are reported by the thread of one interrupt.
    this.bench.thread((thread) => this.device(thread, 3 * turns));
    this.bench.run();
  }

  private fresh(): Mm {
    const mm = this.bench.manager.create();
    this.bench.manager.addRegion(mm, BASE, (PAGES / 2) * PAGE);
    return mm;
  }

  private *software(thread: Thread, turns: number): Program {
    const { random } = this;
    for (let turn = 0; turn < turns; turn++) {
      thread.charge(0, 1 + random.below(3000));
      yield Wait.Run;
      const slot = random.below(3);
      const what = random.below(20);
      if (what < 2) yield* this.end(thread, slot);
      else if (what < 7) yield* this.toggleBond(thread, slot, random.below(2));
      else yield* this.use(thread, slot, what);
    }
    yield* this.finish(thread);
  }

  /** The last one cleans up. */
  private *finish(thread: Thread): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    this.running--;
    if (this.running > 0) return;
    const { manager } = this.bench;
    for (let slot = 0; slot < 3; slot++) {
      for (let device = 0; device < 2; device++) {
        if (this.bonds[slot]![device] !== null) yield* this.toggleBond(thread, slot, device);
      }
      yield* manager.put(thread, this.spaces[slot]!);
    }
  }

  private *use(thread: Thread, slot: number, what: number): Call<void> {
    const { random } = this;
    const { manager } = this.bench;
    const mm = this.spaces[slot]!;
    if (!mm.get()) return;
    const page = random.below(PAGES);
    const start = BASE + page * PAGE;
    const bytes = (1 + random.below(Math.min(6, PAGES - page))) * PAGE;
    if (what < 12) yield* manager.touch(thread, mm, start, random.below(2) === 0 ? READ : WRITE);
    else if (what < 13) yield* manager.munmap(thread, mm, start, bytes);
    else if (what < 17) {
      yield* manager.munmap(thread, mm, start, bytes);
      yield* this.mapFree(thread, mm, start, bytes);
    } else if (what < 18) yield* manager.mprotect(thread, mm, start, bytes, random.below(2) === 0 ? READ : BOTH);
    else yield* manager.pageOut(thread, mm, start, bytes);
    yield* manager.put(thread, mm);
  }

  private *mapFree(thread: Thread, mm: Mm, start: number, bytes: number): Call<void> {
    try {
      yield* this.bench.manager.mmap(thread, mm, start, bytes);
    } catch (error) {
      // Somebody else was faster.
      if (!(error instanceof RangeError)) throw error;
    }
  }

  private *end(thread: Thread, slot: number): Call<void> {
    const mm = this.spaces[slot]!;
    // Bonds of a dead process stay until their owner gives them up: here, right after.
    if (this.busy[slot]!.includes(true)) return;
    const bonds = this.bonds[slot]!.splice(0, 2, null, null);
    this.spaces[slot] = this.fresh();
    yield* this.bench.manager.put(thread, mm);
    for (const bond of bonds) if (bond !== null) yield* this.unbind(thread, bond);
  }

  private *toggleBond(thread: Thread, slot: number, device: number): Call<void> {
    if (this.busy[slot]![device]!) return;
    this.busy[slot]![device] = true;
    const bond = this.bonds[slot]![device]!;
    // The device stops before it is unbound.
    this.bonds[slot]![device] = null;
    if (bond !== null) yield* this.unbind(thread, bond);
    else {
      const { sva, devices } = this.bench;
      this.bonds[slot]![device] = yield* sva.bind(thread, devices[device]!, this.spaces[slot]!);
    }
    this.busy[slot]![device] = false;
  }

  private *unbind(thread: Thread, bond: SvaBond): Call<void> {
    const { sva, answers } = this.bench;
    const { id } = bond.target.device;
    const due = this.reports.filter(({ complete, device, pasid }) => complete && device === id && pasid === bond.pasid);
    yield* sva.unbind(thread, bond);
    // V-13: all that was reported is answered, by now.
    for (const { group } of due) expect(answers.some((answer) => answer.group === group)).toBe(true);
    for (let page = 0; page < PAGES; page++) expect(this.driver.cache.has(`${id} ${bond.pasid} ${page}`)).toBe(false);
  }

  private *device(thread: Thread, turns: number): Program {
    const { random, bench } = this;
    for (let turn = 0; turn < turns; turn++) {
      thread.charge(0, 1 + random.below(1500));
      yield Wait.Run;
      const [slot, device] = [random.below(3), random.below(2)];
      const bond = this.bonds[slot]![device]!;
      if (bond === null) continue;
      const { mm } = bond.space;
      const missing: [page: number, access: Access][] = [];
      for (let left = 1 + random.below(4); left > 0; left--) {
        const page = random.below(PAGES);
        const access = random.below(2) === 0 ? READ : WRITE;
        const at = mm.root < 0 ? -1 : bench.translate(mm, BASE + page * PAGE, access);
        if (at < 0) missing.push([page, access]);
        else this.driver.cache.set(`${device} ${bond.pasid} ${page}`, at);
      }
      yield* this.fault(thread, device, bond.pasid, missing);
      if (random.below(40) === 0) bench.queue.discardPartial();
    }
    yield* this.finish(thread);
  }

  /** Reports a group; one in ten loses its last request, as in an overflow. */
  private *fault(thread: Thread, device: number, pasid: number, missing: [number, Access][]): Call<void> {
    const group = this.nextGroup++;
    const lost = this.random.below(10) === 0;
    for (const [i, [page, access]] of missing.entries()) {
      const last = i === missing.length - 1;
      if (last && lost) return;
      const report: Report = { device, group, complete: false, pasid };
      if (last) this.reports.push(report);
      yield* this.bench.report(thread, device, pasid, group, BASE + page * PAGE, { access, last });
      report.complete = true;
    }
  }
}

describe('several threads and devices', () => {
  it.each([
    ['without a limit', Number.POSITIVE_INFINITY],
    ['under memory pressure', 20 * PAGE],
  ])('answer each group once, free nothing that a device may still use, and leave nothing behind, %s', (_, limit) => {
    let answered = 0;
    let successes = 0;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1 << 30 }), (seed) => {
        const program = new Program3(seed, limit);
        const { bench, driver, reports } = program;
        program.run(60);
        const counts = new Map<number, number>();
        for (const { group } of bench.answers) counts.set(group, (counts.get(group) ?? 0) + 1);
        expect([...counts.keys()].sort((a, b) => a - b)).toEqual(reports.map(({ group }) => group));
        expect([...counts.values()].every((count) => count === 1)).toBe(true);
        expect(program.staleFrees).toBe(0);
        expect([bench.frames.inUse, bench.manager.pages.resident, bench.sva.bonds]).toEqual([1, 0, 0]);
        expect([driver.roots.size, driver.cache.size, bench.workqueue.waiting]).toEqual([0, 0, 0]);
        expect(bench.workqueue.done).toBe(bench.workqueue.queued);
        answered += bench.answers.length;
        successes += bench.answers.filter(({ code }) => code === PageResponse.Success).length;
      }),
      { numRuns: 40, seed: 13 },
    );
    // The programs do what they are for.
    expect(answered).toBeGreaterThan(1500);
    expect(successes / answered).toBeGreaterThan(0.2);
    expect(successes / answered).toBeLessThan(0.95);
  });

  it('notice a driver that does not invalidate', () => {
    function* forget(): Call<void> {}
    let stale = 0;
    for (let seed = 0; seed < 5; seed++) {
      const program = new Program3(seed, Number.POSITIVE_INFINITY);
      Object.assign(program.driver, { flushRange: forget });
      program.run(60);
      stale += program.staleFrees;
    }
    expect(stale).toBeGreaterThan(0);
  });
});

it('regions of a process are where its pages are', () => {
  const { manager } = new MmBench();
  const mm = manager.create();
  manager.addRegion(mm, BASE, PAGE);
  expect(findRegion(mm.regions, BASE + PAGE - 1)).toBe(mm.regions[0]);
  expect(findRegion(mm.regions, BASE + PAGE)).toBe(null);
});

/**
 * Races between DMA and unmapping, at random: a driver unmaps, invalidates, waits for the status word and only then reuses what it freed.
 * Whatever the interleaving, a request leaves with a page that was mapped, or whose invalidation had not completed.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PageTable } from '../pagetable/table.js';
import { Access } from '../protocol/access.js';
import { encodeIotlbInvalidation, encodePasidIotlbInvalidation, Granularity, PasidType } from './arch/vtd/format.js';
import { REQUESTERS, Rig } from './testing/rig.js';
import type { UnitChanges } from './testing/spec.js';

const REGION = 2 ** 21;
const BASE = 0x7_4000_0000;
const REGIONS = 3;
const DOMAIN = 5;
const EVER = Number.POSITIVE_INFINITY;

/** One 2 MiB region: mapped by 512 small leaves or one large one, and everything it was ever mapped to. */
interface Region {
  readonly iova: number;
  large: boolean;
  busy: boolean;
  pa: number;
  /** Mapping, from, and until its invalidation was complete. */
  readonly lives: { pa: number; from: number; cleared: number; until: number }[];
}

class Driver {
  readonly table: PageTable;
  readonly regions: Region[] = [];
  private readonly waiting = new Map<number, () => void>();

  constructor(
    private readonly rig: Rig,
    private readonly first: boolean,
    private readonly hint: boolean,
  ) {
    this.table = rig.pageTable(first);
    for (let i = 0; i < REGIONS; i++) {
      const region = { iova: BASE + i * REGION, large: i === 0, busy: false, pa: 0, lives: [] };
      this.map(region);
      this.regions.push(region);
    }
    rig.onStored = (address) => this.waiting.get((address - rig.status) / 4)!();
  }

  private map(region: Region): void {
    region.pa = this.rig.frames.allocateContiguous(REGION, REGION);
    this.table.map(region.iova, region.pa, REGION, Access.Read | Access.Write, region.large ? 21 : 12);
    region.lives.push({ pa: region.pa, from: this.rig.now, cleared: EVER, until: EVER });
  }

  /** Unmaps one page and maps it again, or changes the whole region to the other leaf size. */
  remap(region: Region, page: number | null): void {
    if (region.busy || (region.large && page !== null)) return;
    region.busy = true;
    const { rig, table } = this;
    const [iova, bytes] = page === null ? [region.iova, REGION] : [region.iova + 4096 * page, 4096];
    const freed: number[] = [];
    table.unmap(iova, bytes, freed);
    const life = region.lives.at(-1)!;
    if (page === null) life.cleared = rig.now;
    this.flush(this.regions.indexOf(region), iova, page === null ? 9 : 0, this.hint && freed.length === 0, () => {
      // Whoever still walks a freed table finds nonsense in it.
      for (const frame of freed) for (let at = 0; at < 4096; at += 8) rig.tables.poke(frame + at, 0, () => -1);
      if (page === null) {
        life.until = rig.now;
        region.large = !region.large;
        this.map(region);
      } else table.map(iova, region.pa + 4096 * page, 4096, Access.Read | Access.Write, 12);
      region.busy = false;
    });
  }

  private flush(slot: number, iova: number, mask: number, hint: boolean, done: () => void): void {
    const [hi, lo] = [Math.floor(iova / 2 ** 32), iova | 0];
    this.waiting.set(slot, done);
    this.rig.submit((words) => {
      if (this.first) encodePasidIotlbInvalidation(words, 0, Granularity.Selective, DOMAIN, 0, hi, lo, mask, hint);
      else encodeIotlbInvalidation(words, 0, Granularity.Selective, DOMAIN, hi, lo, mask, hint, true, true);
    }, this.rig.wait(slot));
  }
}

const step = fc.record({
  at: fc.integer({ min: 0, max: 6_000_000 }),
  region: fc.integer({ min: 0, max: REGIONS - 1 }),
  page: fc.integer({ min: 0, max: 5 }),
  kind: fc.constantFrom('dma', 'dma', 'dma', 'dma', 'page', 'region'),
  write: fc.boolean(),
});
const shape = fc.record({
  hint: fc.boolean(),
  scope: fc.constantFrom('range' as const, 'domain' as const),
  replay: fc.constantFrom(0, 250_000),
  order: fc.constantFrom('all' as const, 'none' as const),
  count: fc.integer({ min: 1, max: 3 }),
  merge: fc.boolean(),
  service: fc.constantFrom(0, 400_000),
});

const modes: [string, UnitChanges, boolean][] = [
  ['legacy mode', {}, false],
  ['scalable mode, second stage', { mode: 'scalable' }, false],
  ['scalable mode, first stage', { mode: 'scalable', stage: 'first' }, true],
];

describe('DMA against unmapping', () => {
  it.each(modes)('nothing is reached after its invalidation completed (%s)', (_, mode, first) => {
    fc.assert(
      fc.property(shape, fc.array(step, { minLength: 5, maxLength: 60 }), (s, steps) => {
        const rig = new Rig({
          ...mode,
          queue: { order: s.order },
          walkers: { count: s.count, replay: s.replay, merge: s.merge },
          invalidation: { nonLeafScope: s.scope },
        });
        rig.servicePs = s.service;
        const driver = new Driver(rig, first, s.hint);
        const { root } = driver.table;
        if (mode.mode === undefined) rig.tables.legacy(REQUESTERS[0]!, { root, domain: DOMAIN });
        else if (first)
          rig.tables.pasid(REQUESTERS[0]!, 0, { type: PasidType.FirstStage, firstRoot: root, domain: DOMAIN });
        else rig.tables.pasid(REQUESTERS[0]!, 0, { secondRoot: root, domain: DOMAIN });
        const sentAt: number[] = [];
        for (const { at, region, page, kind, write } of steps) {
          rig.after(at, () => {
            const target = driver.regions[region]!;
            if (kind !== 'dma') driver.remap(target, kind === 'page' ? page : null);
            else sentAt[rig.send({ address: target.iova + 4096 * page + 64, write })] = rig.now;
          });
        }
        rig.run();
        expect(rig.departures.length).toBe(sentAt.length);
        for (const d of rig.departures) {
          const region = driver.regions[Math.floor((d.address - BASE) / REGION)]!;
          if (d.aborted) continue;
          const life = region.lives.find(({ pa }) => pa === d.output - (d.address - region.iova));
          expect(life).toBeDefined();
          expect(life!.until).toBeGreaterThanOrEqual(d.at);
          // Draining: it had reached memory by then.
          if (life!.cleared < EVER) expect(life!.until).toBeGreaterThanOrEqual(d.at + s.service);
        }
        // Afterwards everything works, and nothing stale is left.
        for (const region of driver.regions) {
          expect(rig.translate({ address: region.iova + 4096 + 64 }).output).toBe(region.pa + 4096 + 64);
        }
        expect(rig.ringState.stopped).toBe(false);
      }),
      { numRuns: 150 },
    );
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PageTable } from '../../../pagetable/table.js';
import { Access } from '../../../protocol/access.js';
import { NO_WALK_CACHES, READ_PS, type UnitChanges } from '../../testing/spec.js';
import { encodeInvalidateDevice, encodeInvalidatePages, EventCode, EVERYTHING, StatusBit } from './format.js';
import { REQUESTERS, Rig, lower, upper } from './testing/rig.js';

const [DEVICE] = REQUESTERS as unknown as [number];
const IOVA = 0x5000;
const NS = 1000;

const anyPage = (words: Int32Array): void => encodeInvalidatePages(words, 0, 5, -1, 0, IOVA, 0, false);

function word(rig: Rig, slot = 0): [number, number] {
  rig.physical.read(upper(rig.status), lower(rig.status + 8 * slot));
  return [rig.physical.wordHi, rig.physical.wordLo];
}

describe('COMPLETION_WAIT', () => {
  it('stores its 64-bit datum when the commands before it are done, not a picosecond earlier', () => {
    const invalidation = { start: 7 * NS, iotlbPage: 100 * NS, context: 50 * NS, wait: 20 * NS };
    const rig = new Rig({ coherent: true, invalidation });
    rig.submit(anyPage, (words) => encodeInvalidateDevice(words, 0, DEVICE), rig.wait(3, 0x1234));
    rig.run();
    const [stored] = rig.stored;
    expect(stored!.address).toBe(rig.status + 24);
    expect(word(rig, 3)).toEqual([0, 0x1234]);
    const fetch = READ_PS;
    expect(stored!.at).toBeGreaterThanOrEqual(7 * NS + fetch + 170 * NS);
    const again = new Rig({ coherent: true, invalidation: { ...invalidation, wait: 21 * NS } });
    again.submit(anyPage, (words) => encodeInvalidateDevice(words, 0, DEVICE), again.wait());
    again.run();
    expect(again.stored[0]!.at - stored!.at).toBe(1 * NS);
  });

  it('without S it stores nothing', () => {
    const rig = new Rig();
    rig.submit((words) => words.set([0, 1 << 28, 0, 0]));
    rig.run();
    expect([rig.stored, rig.hardware.commands.wait]).toEqual([[], 1]);
  });

  it.each([
    ['each invalidation waits for requests under way', true, 1],
    ['COMPLETION_WAIT waits once for them all', false, 2],
  ] as const)('%s', (_, drain, executed) => {
    const rig = new Rig({ invalidation: { drain } });
    const table = rig.hostTable(3);
    rig.map(table, IOVA);
    rig.device(DEVICE, (entry) => entry.setHost(3, table.root));
    rig.translate({ address: IOVA });
    rig.servicePs = 5_000_000;
    const sent = rig.now;
    rig.send({ address: IOVA });
    rig.after(1000, () => rig.submit(anyPage, anyPage, rig.wait()));
    rig.after(4_000_000, () => expect(rig.hardware.commands.iotlbPage).toBe(executed));
    rig.run();
    expect(rig.stored[0]!.at).toBeGreaterThanOrEqual(sent + 5_000_000);
    expect(rig.hardware.commands.drains).toBe(1);
  });

  it('a wait that does not store drains too where draining is its task', () => {
    const rig = new Rig({ invalidation: { drain: false } });
    rig.submit((words) => words.set([0, 1 << 28, 0, 0]), rig.wait());
    rig.run();
    expect(rig.stored).toHaveLength(1);
  });
});

describe('illegal commands', () => {
  it('stop the command buffer with an event that has their address, until it is disabled and enabled again', () => {
    const rig = new Rig();
    rig.submit(rig.wait(0), (words) => words.set([0, 6 << 28, 0, 0]), rig.wait(1));
    rig.run();
    expect(rig.stored).toHaveLength(1);
    expect(rig.events).toEqual({ [EventCode.IllegalCommand]: 1 });
    const [, d1, d2, d3] = rig.event(0) as [number, number, number, number];
    expect([d1 >>> 28, (d3 >>> 0) * 2 ** 32 + (d2 >>> 0)]).toEqual([EventCode.IllegalCommand, rig.ring + 16]);
    expect(rig.hardware.status & StatusBit.CommandBufferRunning).toBe(0);
    rig.submit(rig.wait(2));
    rig.run();
    expect(rig.stored).toHaveLength(1);
    // Software replaces it and starts the buffer again.
    rig.poke(rig.ring + 16, () => [8 << 28, 0]);
    rig.enable(false, true);
    rig.enable(true, true);
    rig.run();
    expect(rig.stored.map(({ address }) => (address - rig.status) / 8)).toEqual([0, 1, 2]);
    expect(rig.hardware.status & StatusBit.CommandBufferRunning).not.toBe(0);
  });
});

describe('counters', () => {
  it('tell commands apart by what they remove', () => {
    const rig = new Rig();
    rig.submit(
      anyPage,
      (words) => encodeInvalidatePages(words, 0, 5, 3, 0, 0, EVERYTHING, true),
      (words) => encodeInvalidateDevice(words, 0, DEVICE),
      (words) => words.set([0, 8 << 28, 0, 0]),
      rig.wait(),
    );
    rig.run();
    const { iotlbPage, iotlbDomain, iotlbGlobal, context, wait } = rig.hardware.commands;
    expect([iotlbPage, iotlbDomain, iotlbGlobal, context, wait]).toEqual([1, 1, 1, 1, 1]);
  });
});

describe('a walk under way', () => {
  it('through a host page that a command names by its guest-physical address starts again', () => {
    const secondStageTlb = { enabled: false };
    const rig = new Rig({ ...NO_WALK_CACHES, secondStageTlb, walkers: { replay: 5 * READ_PS } });
    const guest = rig.guestTable();
    const [gpa, before, after] = [2 ** 31, rig.frames.allocate(), rig.frames.allocate()];
    guest.map(IOVA, gpa, 4096, Access.Read, 12);
    const host = rig.identity(4);
    host.map(gpa, before, 4096, Access.Read, 12);
    const root = rig.gcr3(1, [[1, guest.root]]);
    rig.device(DEVICE, (entry) => {
      entry.setGuest(1, root, 4);
      entry.setHost(4, host.root);
    });
    const id = rig.send({ address: IOVA, pasid: 1 });
    // 1 + 1 + 4 * 5 + 4 reads; then its result is on the way back for five more.
    rig.after(26.5 * READ_PS, () => {
      host.unmap(gpa, 4096, []);
      host.map(gpa, after, 4096, Access.Read, 12);
      rig.submit((words) => encodeInvalidatePages(words, 0, 5, -1, 0, gpa | 0, 0, false));
    });
    rig.run();
    expect(rig.departures.find((d) => d.id === id)).toMatchObject({ output: after, aborted: false });
    expect(rig.translate({ address: IOVA, pasid: 1 }).output).toBe(after);
  });

  it.each([
    [false, 0],
    [true, 1],
  ])('of another page starts again if directory entries go (PDE %s)', (directories, restarts) => {
    const rig = new Rig({ ...NO_WALK_CACHES });
    const table = rig.identity(4);
    rig.device(DEVICE, (entry) => entry.setHost(4, table.root));
    const page = rig.frames.allocate();
    rig.send({ address: page });
    rig.after(2.5 * READ_PS, () =>
      rig.submit((words) => encodeInvalidatePages(words, 0, 5, -1, 0, (page + 4096) | 0, 0, directories)),
    );
    rig.run();
    expect(rig.unit.counters.restarts).toBe(restarts);
    expect(rig.departures[0]!.output).toBe(page);
  });
});

const REGION = 2 ** 21;
const BASE = 0x7_4000_0000;
const REGIONS = 3;
const DOMAIN = 5;
const EVER = Number.POSITIVE_INFINITY;

/** One 2 MiB region, and everything it was ever mapped to. */
interface Region {
  readonly iova: number;
  large: boolean;
  busy: boolean;
  pa: number;
  readonly lives: { pa: number; cleared: number; until: number }[];
}

/** Unmaps, invalidates, waits for the completion word and only then reuses what it freed. */
class Driver {
  readonly regions: Region[] = [];
  private readonly waiting = new Map<number, () => void>();

  constructor(
    private readonly rig: Rig,
    private readonly table: PageTable,
    private readonly pasid: number,
  ) {
    for (let i = 0; i < REGIONS; i++) {
      const region = { iova: BASE + i * REGION, large: i === 0, busy: false, pa: 0, lives: [] };
      this.map(region);
      this.regions.push(region);
    }
    rig.onStored = (address) => this.waiting.get((address - rig.status) / 8)!();
  }

  private map(region: Region): void {
    region.pa = this.rig.frames.allocateContiguous(REGION, REGION);
    this.table.map(region.iova, region.pa, REGION, Access.Read | Access.Write, region.large ? 21 : 12);
    region.lives.push({ pa: region.pa, cleared: EVER, until: EVER });
  }

  /** Unmaps one page and maps it again, or changes the whole region to the other leaf size. */
  remap(region: Region, page: number | null): void {
    if (region.busy || (region.large && page !== null)) return;
    region.busy = true;
    const { rig, table } = this;
    const [iova, mask] = page === null ? [region.iova, 9] : [region.iova + 4096 * page, 0];
    const freed: number[] = [];
    table.unmap(iova, 4096 * 2 ** mask, freed);
    const life = region.lives.at(-1)!;
    if (page === null) life.cleared = rig.now;
    const slot = this.regions.indexOf(region);
    this.waiting.set(slot, () => {
      // Whoever still walks a freed table finds nonsense in it.
      for (const frame of freed) for (let at = 0; at < 4096; at += 8) rig.poke(frame + at, () => [-1, -1]);
      if (page === null) {
        life.until = rig.now;
        region.large = !region.large;
        this.map(region);
      } else table.map(iova, region.pa + 4096 * page, 4096, Access.Read | Access.Write, 12);
      region.busy = false;
    });
    rig.submit((words) => {
      encodeInvalidatePages(words, 0, DOMAIN, this.pasid, upper(iova), lower(iova), mask, freed.length > 0);
    }, rig.wait(slot));
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
  drain: fc.boolean(),
  scope: fc.constantFrom('range' as const, 'domain' as const),
  replay: fc.constantFrom(0, 250_000),
  count: fc.integer({ min: 1, max: 3 }),
  merge: fc.boolean(),
  service: fc.constantFrom(0, 400_000),
});

describe('DMA against unmapping', () => {
  it.each([
    ['host tables', false, false],
    ['guest tables', true, false],
    ['nested', true, true],
  ] as const)('nothing is reached after its completion word was stored (%s)', (_, guest, nested) => {
    fc.assert(
      fc.property(shape, fc.array(step, { minLength: 5, maxLength: 50 }), (s, steps) => {
        const changes: UnitChanges = {
          walkers: { count: s.count, replay: s.replay, merge: s.merge },
          invalidation: { nonLeafScope: s.scope, drain: s.drain },
        };
        const rig = new Rig(changes);
        rig.servicePs = s.service;
        const table = guest ? rig.guestTable() : rig.hostTable(4);
        const driver = new Driver(rig, table, guest ? 1 : -1);
        const below = nested ? rig.identity(4, 2 ** 30, 30) : null;
        const root = guest ? rig.gcr3(1, [[1, table.root]]) : 0;
        rig.device(DEVICE, (entry) => {
          if (guest) entry.setGuest(1, root, 4);
          else entry.setHost(4, table.root);
          if (below !== null) entry.setHost(4, below.root);
        });
        const pasid = guest ? 1 : -1;
        let sent = 0;
        for (const { at, region, page, kind, write } of steps) {
          rig.after(at, () => {
            const target = driver.regions[region]!;
            if (kind !== 'dma') driver.remap(target, kind === 'page' ? page : null);
            else {
              sent++;
              rig.send({ address: target.iova + 4096 * page + 64, write, pasid });
            }
          });
        }
        rig.run();
        expect(rig.departures.length).toBe(sent);
        for (const d of rig.departures) {
          if (d.aborted) continue;
          const region = driver.regions.find(({ lives }) =>
            lives.some(({ pa }) => d.output >= pa && d.output < pa + REGION),
          );
          const life = region?.lives.find(({ pa }) => d.output >= pa && d.output < pa + REGION);
          expect(life).toBeDefined();
          expect(life!.until).toBeGreaterThanOrEqual(d.at);
          // Draining: it had reached memory by then.
          if (life!.cleared < EVER) expect(life!.until).toBeGreaterThanOrEqual(d.at + s.service);
        }
        for (const region of driver.regions) {
          expect(rig.translate({ address: region.iova + 4096 + 64, pasid }).output).toBe(region.pa + 4096 + 64);
        }
        expect(rig.events[EventCode.IllegalCommand]).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });
});

import { describe, expect, it } from 'vitest';
import { Access } from '../protocol/access.js';
import { CAUSES } from '../protocol/tlp.js';
import { FaultReason, PasidType } from './arch/vtd/format.js';
import { REQUESTERS, Rig } from './testing/rig.js';
import { NO_WALK_CACHES, READ_PS, type UnitChanges } from './testing/spec.js';
import { checkWalkerContract, PAGES, type WalkerSubject } from './testing/walker-contract.js';

const IOVA = 0x7_1234_5000;

function legacy(changes: UnitChanges = {}, access: Access = Access.Read | Access.Write): WalkerSubject {
  const rig = new Rig(changes);
  const { table, pa } = rig.mapped(IOVA, PAGES * 4096, { access });
  for (const device of [0, 1]) rig.tables.legacy(REQUESTERS[device]!, { root: table.root, domain: 5 });
  return { rig, iova: IOVA, pa, domain: 5 };
}

function scalable(changes: UnitChanges, first: boolean): WalkerSubject {
  const rig = new Rig({ mode: 'scalable', stage: first ? 'first' : 'second', ...changes });
  const { table, pa } = rig.mapped(IOVA, PAGES * 4096, { first });
  const entry = first
    ? { type: PasidType.FirstStage, firstRoot: table.root }
    : { type: PasidType.SecondStage, secondRoot: table.root };
  for (const device of [0, 1]) rig.tables.pasid(REQUESTERS[device]!, 0, { ...entry, domain: 5 });
  return { rig, iova: IOVA, pa, domain: 5 };
}

checkWalkerContract('legacy mode', legacy, 2, 4);
checkWalkerContract('scalable mode, second stage', (changes) => scalable(changes, false), 4, 4);
checkWalkerContract('scalable mode, first stage', (changes) => scalable(changes, true), 4, 4);

describe('lookup timing', () => {
  it('starts one lookup per interval and answers after the slowest cache', () => {
    const { rig, iova } = legacy({
      queue: { interval: 3000 },
      iotlb: { latency: 10_000 },
      contextCache: { latency: 4000 },
      pasidCache: { latency: 99_000 },
    });
    rig.translate({ address: iova });
    const start = rig.now;
    for (let i = 0; i < 3; i++) rig.send({ address: iova });
    rig.run();
    expect(rig.departures.slice(1).map((d) => d.at - start)).toEqual([10_000, 13_000, 16_000]);
  });

  it('adds the paging-structure caches once per walk and resumes at the deepest level known', () => {
    const { rig, iova } = legacy({
      pagingStructureCache: {
        level2: { latency: 2000 },
        level3: { latency: 6000 },
        level4: { latency: 1000 },
        level5: { enabled: false, latency: 50_000 },
      },
    });
    expect(rig.translate({ address: iova }).at).toBe(6 * READ_PS + 6000);
    const start = rig.now;
    rig.translate({ address: iova + 4096 });
    expect(rig.now - start).toBe(READ_PS + 6000);
  });

  it('drops to fewer reads level by level', () => {
    for (const [level, reads] of [
      ['level2', 1],
      ['level3', 2],
      ['level4', 3],
    ] as const) {
      const { rig, iova } = legacy({
        pagingStructureCache: { ...NO_WALK_CACHES.pagingStructureCache, [level]: { enabled: true } },
      });
      rig.translate({ address: iova });
      rig.unit.counters.tableReads = 0;
      rig.translate({ address: iova + 4096 });
      expect(rig.unit.counters.tableReads).toBe(reads);
    }
  });

  it('times do not break beyond 2^31 ps and after an hour of idling', () => {
    const { rig, iova } = legacy({ walkers: { overhead: 3_000_000_000, replay: 5_000_000_000 } });
    const hour = 3.6e15;
    rig.after(hour, () => rig.send({ address: iova }));
    rig.run();
    expect(rig.departures[0]!.at).toBe(hour + 8_000_000_000 + 6 * READ_PS);
  });
});

describe('latency breakdown', () => {
  /** Parts of all requests so far, in reads of memory. */
  const parts = (rig: Rig): Record<string, number> =>
    Object.fromEntries(
      CAUSES.map((name, cause) => [name, rig.ledger.totalPs(cause) / READ_PS] as const).filter(
        ([, reads]) => reads !== 0,
      ),
    );

  it('names the wait for the queue, the directory, the walk and the walk of another request', () => {
    const { rig, iova } = legacy({ queue: { order: 'all', postedDepth: 1, nonPostedDepth: 1 } });
    rig.send({ address: iova });
    rig.send({ address: iova + 64 });
    rig.send({ address: iova + 4096 }); // finds the queue full
    rig.run();
    expect(parts(rig)).toEqual({ ingress: 6, directory: 2, walk: 4 + 1, walk_merged: 6 });
  });

  it('names the wait for a walker and for older requests', () => {
    const { rig, iova } = legacy({ ...NO_WALK_CACHES, queue: { order: 'class' }, walkers: { count: 1 } });
    rig.translate({ address: iova });
    rig.ledger.reset();
    rig.send({ address: iova + 4096 });
    rig.send({ address: iova + 8192 });
    rig.send({ address: iova });
    rig.run();
    expect(parts(rig)).toEqual({ walk: 4 + 4, walk_queue: 4, order: 8 });
  });

  it('charges a walk that was begun again to the walk', () => {
    const { rig, iova } = legacy();
    rig.send({ address: iova });
    rig.after(3.5 * READ_PS, () => rig.unit.walkers.overtake(-1, null));
    rig.run();
    expect(rig.unit.counters.restarts).toBe(1);
    // One level was read and is cached, the second was under way: it is read again.
    expect(parts(rig)).toEqual({ directory: 2, walk: 5 });
  });

  it('charges a search of the directory that fails, or begins again, to the directory', () => {
    const { rig } = legacy();
    rig.send({ address: 0, device: 4 }); // its context entry is not present
    rig.after(1.5 * READ_PS, () => rig.unit.walkers.overtake(-1, null));
    rig.run();
    expect(rig.departures[0]).toMatchObject({ aborted: true });
    expect(parts(rig)).toEqual({ directory: 4 });
  });
});

describe('results of a walk that others joined', () => {
  it('a fault answers the request that walked; one that needs less is translated', () => {
    const { rig, iova, pa } = legacy({}, Access.Read);
    rig.translate({ address: iova + 4096 });
    rig.send({ address: iova, write: true });
    rig.send({ address: iova, write: false });
    rig.run();
    expect(rig.departures.find((d) => d.id === 1)).toMatchObject({ aborted: true });
    expect(rig.departures.find((d) => d.id === 2)).toMatchObject({ aborted: false, output: pa });
    expect(rig.faults.counters.byCode[FaultReason.WriteDenied]).toBe(1);
    expect(rig.faults.counters.total).toBe(1);
  });

  it('a request that joins a failing walk after the page was mapped is translated', () => {
    const rig = new Rig({ walkers: { replay: 500_000 } });
    const table = rig.pageTable();
    rig.tables.legacy(REQUESTERS[0]!, { root: table.root, domain: 3 });
    rig.send({ address: IOVA });
    rig.after(400_000, () => {
      table.map(IOVA, rig.frames.allocate(), 4096, Access.Read, 12);
      rig.send({ address: IOVA });
    });
    rig.run();
    expect(rig.departures.map((d) => d.aborted)).toEqual([true, false]);
  });

  it('a write that joins the walk of a read sets the dirty bit with a walk of its own', () => {
    const rig = new Rig({ mode: 'scalable', stage: 'first' });
    const { table } = rig.mapped(IOVA, 4096, { first: true });
    rig.tables.pasid(REQUESTERS[0]!, 0, { type: PasidType.FirstStage, firstRoot: table.root, domain: 3 });
    rig.translate({ address: IOVA });
    const leaf = rig.unit.translations;
    leaf.dropAll();
    // Clean page: D (bit 6) off.
    const entry = leafEntry(rig, table.root);
    rig.tables.poke(entry, 0, (word) => word & ~0x40);
    rig.unit.counters.walks = 0;
    rig.send({ address: IOVA });
    rig.send({ address: IOVA, write: true });
    rig.send({ address: IOVA, write: true });
    rig.run();
    expect(rig.departures.every((d) => !d.aborted)).toBe(true);
    expect(rig.unit.counters.walks).toBe(2);
    rig.physical.read(Math.floor(entry / 2 ** 32), entry | 0);
    expect(rig.physical.wordLo & 0x40).toBe(0x40);
  });
});

/** Address of the level 1 entry of IOVA. */
function leafEntry(rig: Rig, root: number): number {
  let table = root;
  for (let level = 4; level > 1; level--) {
    const entry = table + 8 * (Math.floor(IOVA / 2 ** (12 + 9 * (level - 1))) % 512);
    rig.physical.read(Math.floor(entry / 2 ** 32), entry | 0);
    table = rig.physical.wordHi * 2 ** 32 + ((rig.physical.wordLo & ~0xfff) >>> 0);
  }
  return table + 8 * (Math.floor(IOVA / 4096) % 512);
}

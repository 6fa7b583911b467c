import { describe, expect, it } from 'vitest';
import { FrameAllocator, OutOfMemory } from '../memory/frames.js';
import { PhysicalMemory } from '../memory/physical.js';
import { Access } from '../protocol/access.js';
import { compileFormat } from './format.js';
import { vtdSecondStage } from './formats/vtdss.js';
import { PageTable } from './table.js';
import { PageTableError, type PageTableFailure } from './work.js';

const format = compileFormat(
  vtdSecondStage({
    ...{ hostAddressWidth: 46, guestAddressWidth: 48, largestPageLg2: 30 },
    ...{ scalable: false, snoopControl: false, accessedDirty: false },
  }),
);
const KIB4 = 4096;
const MIB2 = 2 ** 21;
const GIB1 = 2 ** 30;
const RW = Access.Read | Access.Write;

function machine(frames = 1024, freeTables: 'covered' | 'empty' = 'covered') {
  const memory = new PhysicalMemory();
  const allocator = new FrameAllocator(2 ** 32, frames * KIB4);
  return { memory, frames: allocator, table: new PageTable(format, memory, allocator, 4, freeTables) };
}

function failure(run: () => unknown): PageTableFailure | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof PageTableError) return error.failure;
    throw error;
  }
  return undefined;
}

describe('map', () => {
  it('climbs and descends page sizes inside one range', () => {
    const { table } = machine();
    // 4 KiB below 2 MiB, then 2 MiB pages to 1 GiB, one 1 GiB page, one 2 MiB page, one 4 KiB page.
    table.map(MIB2 - KIB4, GIB1 + MIB2 - KIB4, KIB4 + (GIB1 - MIB2) + GIB1 + MIB2 + KIB4, RW, 30);
    expect(table.work.leaves).toBe(1 + 511 + 1 + 1 + 1);
    expect(table.lookup(GIB1 + 12345)).toBe(2 * GIB1 + 12345);
  });

  it('respects the largest size asked for and the alignment of the physical address', () => {
    const capped = machine().table;
    capped.map(0, 0, MIB2, RW, 12);
    expect(capped.work.leaves).toBe(512);
    const skewed = machine().table;
    skewed.map(0, KIB4, MIB2, RW, 30);
    expect(skewed.work.leaves).toBe(512);
    const whole = machine().table;
    whole.map(0, 0, MIB2, RW, 30);
    expect(whole.work.leaves).toBe(1);
  });

  it('counts lines as runs of eight entries', () => {
    const { table } = machine();
    table.map(0, 0, 20 * KIB4, RW, 12);
    // 20 leaves from slot 0 fill three lines; three table entries have a line each.
    expect([table.work.leaves, table.work.entries, table.work.lines]).toEqual([20, 23, 6]);
    table.work.reset();
    table.map(20 * KIB4, 0, 4 * KIB4, RW, 12);
    expect([table.work.leaves, table.work.entries, table.work.lines, table.work.levels]).toEqual([4, 4, 1, 4]);
    table.work.reset();
    table.map(31 * KIB4, 0, 2 * KIB4, RW, 12);
    expect(table.work.lines).toBe(2);
  });

  it('refuses what cannot be mapped, and changes nothing', () => {
    const { table, frames } = machine();
    table.map(MIB2 + 5 * KIB4, 0, KIB4, RW, 12);
    const before = frames.inUse;
    expect(failure(() => table.map(1, 0, KIB4, RW, 12))).toBe('misaligned');
    expect(failure(() => table.map(0, 1, KIB4, RW, 12))).toBe('misaligned');
    expect(failure(() => table.map(0, 0, 5, RW, 12))).toBe('misaligned');
    expect(failure(() => table.map(0, 0, 0, RW, 12))).toBe('misaligned');
    expect(failure(() => table.map(0, 0, KIB4, RW, 11))).toBe('misaligned');
    expect(failure(() => table.map(2 ** 48 - KIB4, 0, 2 * KIB4, RW, 12))).toBe('width');
    expect(failure(() => table.map(-KIB4, 0, KIB4, RW, 12))).toBe('width');
    expect(failure(() => table.map(0, 2 ** 46 - KIB4, 2 * KIB4, RW, 12))).toBe('width');
    expect(failure(() => table.map(0, 0, KIB4, Access.None, 12))).toBe('permissions');
    expect(frames.inUse).toBe(before);
    expect(failure(() => table.map(MIB2, 0, 16 * KIB4, RW, 12))).toBe('overlap');
    for (let page = 0; page < 16; page++) expect(table.lookup(MIB2 + page * KIB4)).toBe(page === 5 ? 0 : -1);
    expect(failure(() => table.map(MIB2, 0, MIB2, RW, 30))).toBe('overlap');
    table.map(GIB1, GIB1, GIB1, RW, 30);
    expect(failure(() => table.map(GIB1 + KIB4, 0, KIB4, RW, 12))).toBe('overlap');
  });

  it('replaces an empty table by a large page and hands the table over for a later flush', () => {
    const { table, frames } = machine();
    table.map(0, 0, KIB4, RW, 12);
    const freed: number[] = [];
    expect(table.unmap(0, KIB4, freed)).toBe(KIB4);
    expect(freed).toEqual([]);
    const inUse = frames.inUse;
    table.map(0, MIB2, MIB2, RW, 30);
    expect(table.displaced.length).toBe(1);
    expect(frames.inUse).toBe(inUse);
    expect(table.lookup(5)).toBe(MIB2 + 5);
    table.giveBack(table.displaced);
    expect(frames.inUse).toBe(inUse - 1);
    table.unmap(0, MIB2, freed);
    table.map(0, GIB1, GIB1, RW, 30);
    expect(table.displaced.length).toBe(1);
    expect(table.lookup(MIB2)).toBe(GIB1 + MIB2);
  });

  it('undoes a range that ran out of memory half way', () => {
    const { table } = machine(5);
    expect(() => table.map(MIB2 - 8 * KIB4, 0, 16 * KIB4 + MIB2, RW, 12)).toThrow(OutOfMemory);
    for (let at = MIB2 - 8 * KIB4; at < 2 * MIB2; at += KIB4) expect(table.lookup(at)).toBe(-1);
    expect(table.displaced.length).toBe(1);
    table.giveBack(table.displaced);
    table.map(MIB2 - 8 * KIB4, 0, 16 * KIB4, RW, 12);
  });
});

describe('unmap', () => {
  it('gathers a table only when the range spans it, as Linux does', () => {
    const { table, frames } = machine();
    const freed: number[] = [];
    table.map(0, 0, MIB2, RW, 12);
    for (let page = 0; page < 512; page++) table.unmap(page * KIB4, KIB4, freed);
    expect(freed).toEqual([]);
    table.map(0, 0, 2 * MIB2 + KIB4, RW, 12);
    table.work.reset();
    table.unmap(0, 2 * MIB2 + KIB4, freed);
    expect(freed.length).toBe(2);
    expect(table.work.tablesFreed).toBe(2);
    expect(new Set(freed).has(table.root)).toBe(false);
    const held = frames.inUse;
    table.giveBack(freed);
    expect(frames.inUse).toBe(held - 2);
  });

  it('gathers a table with its last entry when asked to, upwards but never the root', () => {
    const { table, frames } = machine(1024, 'empty');
    const freed: number[] = [];
    table.map(0, 0, 2 * KIB4, RW, 12);
    table.unmap(0, KIB4, freed);
    expect(freed).toEqual([]);
    table.unmap(KIB4, KIB4, freed);
    expect(freed.length).toBe(3);
    expect(freed).not.toContain(table.root);
    table.giveBack(freed);
    expect(frames.inUse).toBe(1);
  });

  it('counts the levels of code that keeps its place, and of code that starts at the root for every leaf', () => {
    const { table } = machine();
    const { work } = table;
    const freed: number[] = [];
    const levels = (): number[] => [work.levels, work.levelsPerLeaf];
    for (let again = 0; again < 2; again++) {
      work.reset();
      table.map(0, 0, 20 * KIB4, RW, 12);
      expect(levels()).toEqual([4, 20 * 4]);
      work.reset();
      table.unmap(0, 20 * KIB4, freed);
      expect(levels()).toEqual([4, 20 * 4]);
    }
    work.reset();
    // A page of 4 KiB, one of 2 MiB, one of 1 GiB: three ways down.
    table.map(GIB1 - MIB2 - KIB4, GIB1 - MIB2 - KIB4, KIB4 + MIB2 + GIB1, RW, 30);
    expect(levels()).toEqual([4 + 3 + 2, 4 + 3 + 2]);
    expect(work.leaves).toBe(3);
  });

  it('costs one entry and four levels for a page, whatever else is mapped', () => {
    const { table } = machine();
    table.map(0, 0, 1000 * KIB4, RW, 12);
    table.work.reset();
    table.unmap(700 * KIB4, KIB4, []);
    const { work } = table;
    expect([work.leaves, work.entries, work.levels, work.lines, work.tablesFreed]).toEqual([1, 1, 4, 1, 0]);
  });

  it('refuses to split a large page at either end, before changing anything', () => {
    const { table } = machine();
    table.map(0, 0, 8 * KIB4, RW, 12);
    table.map(MIB2, 0, 2 * MIB2, RW, 30);
    expect(failure(() => table.unmap(MIB2, KIB4, []))).toBe('partial');
    expect(failure(() => table.unmap(MIB2 + KIB4, KIB4, []))).toBe('partial');
    expect(failure(() => table.unmap(MIB2 + KIB4, 2 * MIB2 - KIB4, []))).toBe('partial');
    expect(failure(() => table.unmap(MIB2, MIB2 + KIB4, []))).toBe('partial');
    expect([table.lookup(MIB2), table.lookup(3 * MIB2 - 1)]).toEqual([0, 2 * MIB2 - 1]);
    expect(table.unmap(MIB2, 2 * MIB2, [])).toBe(2 * MIB2);
  });

  it('stops at the first address that is not mapped and says how far it came', () => {
    const { table } = machine();
    table.map(0, 0, 4 * KIB4, RW, 12);
    table.map(5 * KIB4, 0, KIB4, RW, 12);
    const freed: number[] = [];
    expect(table.unmap(0, MIB2, freed)).toBe(4 * KIB4);
    expect(freed).toEqual([]);
    expect(table.lookup(5 * KIB4)).toBe(0);
    expect(table.unmap(GIB1, KIB4, freed)).toBe(0);
  });
});

describe('construction', () => {
  it('rejects heights the format lacks', () => {
    expect(() => new PageTable(format, new PhysicalMemory(), new FrameAllocator(0, 2 ** 20), 2)).toThrow(RangeError);
  });

  it('returns every page at the end', () => {
    const { table, frames, memory } = machine();
    table.map(0, 0, 3 * MIB2, RW, 12);
    table.map(2 ** 40, 0, GIB1, RW, 30);
    const pages: number[] = [];
    table.destroy(pages);
    expect(pages).toContain(table.root);
    table.giveBack(pages);
    expect([frames.inUse, memory.lines]).toEqual([0, 0]);
  });
});

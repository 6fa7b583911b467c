import { describe, expect, it } from 'vitest';
import { FrameAllocator } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { Access } from '../../protocol/access.js';
import { compileFormat } from '../format.js';
import { PageTable } from '../table.js';
import { Fault, refuseWalk, resumeWalk, runWalk, Step, startWalk, stepWalk, Walk } from '../walk.js';
import { vtdSecondStage } from './vtdss.js';

const options = {
  hostAddressWidth: 46,
  guestAddressWidth: 48,
  largestPageLg2: 30,
  scalable: false,
  snoopControl: false,
  accessedDirty: false,
};
const plain = compileFormat(vtdSecondStage(options));
const BASE = 0x1_0000_0000;

function word(memory: PhysicalMemory, address: number): bigint {
  memory.read(Math.floor(address / 2 ** 32), address | 0);
  return BigInt.asUintN(64, (BigInt(memory.wordHi) << 32n) | BigInt(memory.wordLo >>> 0));
}

function store(memory: PhysicalMemory, address: number, value: bigint): void {
  memory.write(Math.floor(address / 2 ** 32), address | 0, Number(value >> 32n) | 0, Number(value & 0xffffffffn) | 0);
}

/** Walks four levels from BASE. */
function walk(format: typeof plain, memory: PhysicalMemory, iova: number, access: number): Walk {
  const record = new Walk();
  record.inputHi = Math.floor(iova / 2 ** 32);
  record.inputLo = iova | 0;
  record.access = access;
  runWalk(format, record, memory, 1, 0, 4);
  return record;
}

describe('VT-d second stage, words', () => {
  it('writes the entries that Linux writes, 4 KiB read-only', () => {
    const memory = new PhysicalMemory();
    const table = new PageTable(plain, memory, new FrameAllocator(BASE, 1 << 20), 4);
    expect(table.root).toBe(BASE);
    // Indices 257, 3, 256 and 3 from level 4 down.
    table.map(0x8080_e000_3000, 0x23_4567_8000, 4096, Access.Read, 12);
    expect(word(memory, BASE + 8 * 257)).toBe(0x1_0000_1003n);
    expect(word(memory, BASE + 0x1000 + 8 * 3)).toBe(0x1_0000_2003n);
    expect(word(memory, BASE + 0x2000 + 8 * 256)).toBe(0x1_0000_3003n);
    expect(word(memory, BASE + 0x3000 + 8 * 3)).toBe(0x23_4567_8001n);
    const { work } = table;
    expect([work.leaves, work.entries, work.levels, work.tablesAllocated, work.lines]).toEqual([1, 4, 4, 3, 4]);
  });

  it('writes superpages with PS, write-only without R, and no A or D', () => {
    const memory = new PhysicalMemory();
    const table = new PageTable(plain, memory, new FrameAllocator(BASE, 1 << 20), 4);
    table.map(0x4000_0000, 0x8000_0000, 0x4000_0000, Access.Read | Access.Write, 30);
    expect(word(memory, BASE + 0x1000 + 8)).toBe(0x8000_0083n);
    table.map(0x20_0000, 0x60_0000, 0x20_0000, Access.Write, 21);
    expect(word(memory, BASE + 0x2000 + 8)).toBe(0x60_0082n);
  });

  it('reads 4, 3 and 2 entries for 4 KiB, 2 MiB and 1 GiB pages of a four-level table', () => {
    for (const [lg2, reads] of [
      [12, 4],
      [21, 3],
      [30, 2],
    ] as const) {
      const memory = new PhysicalMemory();
      const table = new PageTable(plain, memory, new FrameAllocator(BASE, 1 << 20), 4);
      table.map(0, 0, 2 ** lg2, Access.Read, lg2);
      expect([walk(plain, memory, 0x123, Access.Read).reads, lg2]).toEqual([reads, lg2]);
    }
  });
});

describe('VT-d second stage, faults', () => {
  /** A path to a leaf at BASE + 0x3000 for IOVA 0, with one entry replaced. */
  function broken(level: number, value: bigint): PhysicalMemory {
    const memory = new PhysicalMemory();
    const entries: [number, bigint][] = [
      [4, 0x1_0000_1003n],
      [3, 0x1_0000_2003n],
      [2, 0x1_0000_3003n],
      [1, 0x55_5000_0003n],
    ];
    for (const [at, entry] of entries) store(memory, BASE + (4 - at) * 0x1000, at === level ? value : entry);
    return memory;
  }

  it('faults on every reserved bit and on no ignored one', () => {
    const cases: [level: number, base: bigint, reserved: number[]][] = [
      [4, 0x1_0000_1003n, [7, 11, 46, 47, 48, 49, 50, 51, 62]],
      [3, 0x1_0000_2003n, [11, 46, 51, 62]],
      [2, 0x1_0000_3003n, [11, 46, 51, 62]],
      [1, 0x55_5000_0003n, [11, 46, 47, 51, 62]],
      [3, 0x40_0000_0083n, [11, 12, 13, 20, 29, 46, 51, 62]],
      [2, 0x40_0000_0083n, [11, 12, 13, 20, 46, 51, 62]],
    ];
    for (const [level, base, reserved] of cases) {
      for (const bit of reserved) {
        const record = walk(plain, broken(level, base | (1n << BigInt(bit))), 0, Access.Read);
        expect([level, bit, record.fault, record.level]).toEqual([level, bit, Fault.Reserved, level]);
      }
      const ignored = [2, 3, 4, 5, 6, 8, 9, 10, 52, 61, 63].filter((bit) => !reserved.includes(bit));
      for (const bit of ignored) {
        expect(walk(plain, broken(level, base | (1n << BigInt(bit))), 0, Access.Read).fault).toBe(Fault.None);
      }
    }
  });

  it('checks permissions before reserved bits and at every level', () => {
    const readOnlyTable = broken(3, 0x1_0000_2001n | (1n << 62n));
    const record = walk(plain, readOnlyTable, 0, Access.Write);
    expect([record.fault, record.level, record.reads]).toEqual([Fault.WriteDenied, 3, 2]);
    expect(walk(plain, readOnlyTable, 0, Access.Read).fault).toBe(Fault.Reserved);
    expect(walk(plain, broken(1, 0x5002n), 0, Access.Read).fault).toBe(Fault.ReadDenied);
    expect(walk(plain, broken(1, 0x5004n), 0, Access.Read).fault).toBe(Fault.NotPresent);
    expect(walk(plain, broken(2, 0n), 0, Access.Write).fault).toBe(Fault.NotPresent);
  });

  it('ANDs permissions along the path, also above the table a walk resumes from', () => {
    const record = walk(plain, broken(3, 0x1_0000_2001n), 0, 0);
    expect([record.fault, record.permissions & 7]).toEqual([Fault.None, Access.Read | Access.Execute]);
    const resumed = new Walk();
    resumed.access = Access.Write;
    resumeWalk(plain, resumed, 1, 0x3000, 1, Access.Read);
    expect(stepWalk(plain, resumed, 0, 0x5003)).toBe(Step.Fault);
    expect(resumed.fault).toBe(Fault.WriteDenied);
    resumed.access = Access.Read;
    resumeWalk(plain, resumed, 1, 0x3000, 1, Access.Read);
    expect(stepWalk(plain, resumed, 0, 0x5003)).toBe(Step.Done);
    expect(resumed.permissions).toBe(Access.Read);
  });

  it('reports a read that memory refused', () => {
    const record = new Walk();
    expect(startWalk(plain, record, 1, 0, 4, 48)).toBe(Step.Read);
    expect(refuseWalk(record)).toBe(Step.Fault);
    expect([record.fault, record.level]).toEqual([Fault.TableAccess, 4]);
  });

  it('lets bit 11 of leaves pass with snoop control and in scalable mode', () => {
    const snoop = compileFormat(vtdSecondStage({ ...options, snoopControl: true }));
    const scalable = compileFormat(vtdSecondStage({ ...options, scalable: true }));
    const inLeaf = broken(1, 0x5803n);
    const inTable = broken(2, 0x1_0000_3803n);
    const fault = (format: typeof plain, memory: PhysicalMemory): Fault => walk(format, memory, 0, Access.Read).fault;
    expect([fault(plain, inLeaf), fault(plain, inTable)]).toEqual([Fault.Reserved, Fault.Reserved]);
    expect([fault(snoop, inLeaf), fault(snoop, inTable)]).toEqual([Fault.None, Fault.Reserved]);
    expect([fault(scalable, inLeaf), fault(scalable, inTable)]).toEqual([Fault.None, Fault.Reserved]);
  });

  it('takes a page size the unit lacks for a reserved bit', () => {
    const small = compileFormat(vtdSecondStage({ ...options, largestPageLg2: 12 }));
    expect(walk(small, broken(2, 0x40_0000_0083n), 0, Access.Read).fault).toBe(Fault.Reserved);
    const medium = compileFormat(vtdSecondStage({ ...options, largestPageLg2: 21 }));
    expect(walk(medium, broken(2, 0x40_0000_0083n), 0, Access.Read).fault).toBe(Fault.None);
    expect(walk(medium, broken(3, 0x40_0000_0083n), 0, Access.Read).fault).toBe(Fault.Reserved);
  });

  it('is limited by the guest address width even where the table is wider', () => {
    const narrow = compileFormat(vtdSecondStage({ ...options, guestAddressWidth: 39 }));
    const memory = broken(0, 0n);
    expect(walk(narrow, memory, 2 ** 39, Access.Read).fault).toBe(Fault.AddressWidth);
    expect(walk(narrow, memory, 2 ** 39 - 1, Access.Read).fault).toBe(Fault.NotPresent);
    expect(walk(plain, memory, 2 ** 39, Access.Read).fault).toBe(Fault.NotPresent);
    expect(narrow.inputWidth(4)).toBe(39);
    expect([3, 4, 5].map((height) => plain.inputWidth(height))).toEqual([39, 48, 48]);
  });

  it('sets A in every entry and D in the leaf of a write only when SSADE is on', () => {
    const memory = broken(0, 0n);
    expect(walk(plain, memory, 0, Access.Write).fault).toBe(Fault.None);
    expect(word(memory, BASE)).toBe(0x1_0000_1003n);
    const dirty = compileFormat(vtdSecondStage({ ...options, accessedDirty: true }));
    walk(dirty, memory, 0, Access.Read);
    expect([0, 1, 2, 3].map((page) => word(memory, BASE + page * 0x1000))).toEqual([
      0x1_0000_1103n,
      0x1_0000_2103n,
      0x1_0000_3103n,
      0x55_5000_0103n,
    ]);
    const record = new Walk();
    record.access = Access.Write;
    expect(runWalk(dirty, record, memory, 1, 0, 4)).toBe(Step.Done);
    expect([record.update, record.updateLo, record.updateWordLo]).toEqual([1, 0x3000, 0x5000_0303]);
    expect(word(memory, BASE + 0x3000)).toBe(0x55_5000_0303n);
    walk(dirty, memory, 0, Access.Write);
    expect(walk(dirty, memory, 0, Access.Write).update).toBe(0);
  });
});

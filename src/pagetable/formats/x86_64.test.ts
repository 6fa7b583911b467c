import { describe, expect, it } from 'vitest';
import { FrameAllocator } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { Access } from '../../protocol/access.js';
import { compileFormat, Permission } from '../format.js';
import { PageTable } from '../table.js';
import { Fault, runWalk, startWalk, Step, stepWalk, Walk } from '../walk.js';
import { x86FirstStage } from './x86_64.js';

const options = { hostAddressWidth: 46, largestPageLg2: 30, executeDisable: false };
const plain = compileFormat(x86FirstStage(options));
const BASE = 0x1_0000_0000;
const USER_READ = Access.Read | Permission.User;
const USER_WRITE = Access.Write | Permission.User;

function word(memory: PhysicalMemory, address: number): bigint {
  memory.read(Math.floor(address / 2 ** 32), address | 0);
  return BigInt.asUintN(64, (BigInt(memory.wordHi) << 32n) | BigInt(memory.wordLo >>> 0));
}

/** Steps through the words given, from a root at BASE; the walk must ask for no more. */
function steps(format: typeof plain, access: number, words: readonly bigint[], iova = 0n, height = 4): Walk {
  const walk = new Walk();
  walk.inputHi = Number(BigInt.asIntN(32, iova >> 32n));
  walk.inputLo = Number(BigInt.asIntN(32, iova));
  walk.access = access;
  let step = startWalk(format, walk, 1, 0, height, format.inputWidth(height));
  for (const entry of words) {
    if (step !== Step.Read) break;
    step = stepWalk(format, walk, Number(BigInt.asIntN(32, entry >> 32n)), Number(BigInt.asIntN(32, entry)));
  }
  expect(step).not.toBe(Step.Read);
  return walk;
}

const TABLES = [0x1_0000_1027n, 0x1_0000_2027n, 0x1_0000_3027n];

describe('x86-64 first stage, words', () => {
  it('writes the entries that Linux writes: A preset, D in writable pages only', () => {
    const memory = new PhysicalMemory();
    const table = new PageTable(plain, memory, new FrameAllocator(BASE, 1 << 20), 4);
    table.map(0x1000, 0x5000, 4096, Access.Read, 12);
    table.map(0x2000, 0x6000, 4096, Access.Read | Access.Write, 12);
    table.map(0x20_0000, 0x80_0000, 0x20_0000, Access.Read | Access.Write, 21);
    table.map(0x4000_0000, 0xc000_0000, 0x4000_0000, Access.Read, 30);
    expect(word(memory, BASE)).toBe(0x1_0000_1027n);
    expect(word(memory, BASE + 0x3000 + 8)).toBe(0x5025n);
    expect(word(memory, BASE + 0x3000 + 16)).toBe(0x6067n);
    expect(word(memory, BASE + 0x2000 + 8)).toBe(0x80_00e7n);
    expect(word(memory, BASE + 0x1000 + 8)).toBe(0xc000_00a5n);
  });

  it('sets XD on pages not mapped for execution where bit 63 forbids it, and ignores it elsewhere', () => {
    const format = compileFormat(x86FirstStage({ ...options, executeDisable: true }));
    const memory = new PhysicalMemory();
    const table = new PageTable(format, memory, new FrameAllocator(BASE, 1 << 20), 4);
    table.map(0, 0x5000, 4096, Access.Read, 12);
    table.map(4096, 0x6000, 4096, Access.Read | Access.Execute, 12);
    expect(word(memory, BASE + 0x3000)).toBe(0x8000_0000_0000_5025n);
    expect(word(memory, BASE + 0x3008)).toBe(0x6025n);
    expect(steps(format, Access.Execute | Permission.User, [...TABLES, 0x8000_0000_0000_5025n]).fault).toBe(
      Fault.ExecuteDenied,
    );
    expect(steps(plain, USER_READ, [...TABLES, 0x8000_0000_0000_5025n]).fault).toBe(Fault.None);
  });

  it('needs no update for a DMA mapping and updates what a CPU table left clean', () => {
    expect(steps(plain, USER_WRITE, [...TABLES, 0x6067n]).update).toBe(0);
    const read = steps(plain, USER_READ, [...TABLES, 0x6007n]);
    expect([read.update, read.updateWordLo]).toEqual([1, 0x6027]);
    const write = steps(plain, USER_WRITE, [...TABLES, 0x6027n]);
    expect([write.update, write.updateWordLo, write.updateHi, write.updateLo]).toEqual([1, 0x6067, 1, 0x3000]);
    const walk = new Walk();
    walk.access = USER_READ;
    startWalk(plain, walk, 1, 0, 4, 48);
    expect(stepWalk(plain, walk, 1, 0x1007)).toBe(Step.Read);
    expect([walk.update, walk.updateHi, walk.updateLo, walk.updateWordHi, walk.updateWordLo]).toEqual([
      1, 1, 0, 1, 0x1027,
    ]);
  });
});

describe('x86-64 first stage, faults', () => {
  it('denies user requests to supervisor pages and writes to read-only ones', () => {
    expect(steps(plain, USER_READ, [...TABLES, 0x6063n]).fault).toBe(Fault.Privilege);
    expect(steps(plain, Access.Read, [...TABLES, 0x6063n]).fault).toBe(Fault.None);
    expect(steps(plain, USER_WRITE, [...TABLES, 0x6065n]).fault).toBe(Fault.WriteDenied);
    expect(steps(plain, USER_READ, [...TABLES, 0x6065n]).fault).toBe(Fault.None);
    const early = steps(plain, USER_WRITE, [TABLES[0]!, 0x1_0000_2025n]);
    expect([early.fault, early.level, early.reads]).toEqual([Fault.WriteDenied, 3, 2]);
    expect(steps(plain, USER_WRITE, [TABLES[0]!, 0x1_0000_2026n]).fault).toBe(Fault.NotPresent);
  });

  it('faults on reserved bits; bit 12 of a large page is a memory type', () => {
    const cases: [words: bigint[], reserved: number[]][] = [
      [[0x1_0000_1027n], [7, 46, 51]],
      [
        [...TABLES.slice(0, 1), 0xc000_00a5n],
        [13, 20, 29, 46],
      ],
      [
        [...TABLES.slice(0, 2), 0xc000_00a5n],
        [13, 20, 46],
      ],
      [
        [...TABLES, 0x5025n],
        [46, 51],
      ],
    ];
    for (const [words, reserved] of cases) {
      for (const bit of reserved) {
        const broken = [...words.slice(0, -1), words.at(-1)! | (1n << BigInt(bit))];
        expect([bit, steps(plain, USER_READ, broken).fault]).toEqual([bit, Fault.Reserved]);
      }
    }
    const large = steps(plain, USER_READ, [...TABLES.slice(0, 2), 0xc000_10a5n], 0x12_3456n);
    expect([large.fault, large.outHi, large.outLo >>> 0, large.sizeLg2]).toEqual([Fault.None, 0, 0xc012_3456, 21]);
    const noGigabyte = compileFormat(x86FirstStage({ ...options, largestPageLg2: 21 }));
    expect(steps(noGigabyte, USER_READ, [TABLES[0]!, 0xc000_00a5n]).fault).toBe(Fault.Reserved);
  });

  it('accepts the upper half of the address space and nothing between the halves', () => {
    const upper = 0xffff_8000_0000_0000n;
    const walk = new Walk();
    walk.inputHi = Number(BigInt.asIntN(32, upper >> 32n));
    expect(startWalk(plain, walk, 1, 0, 4, 48)).toBe(Step.Read);
    expect([walk.entryHi, walk.entryLo]).toEqual([1, 256 * 8]);
    for (const iova of [0x8000_0000_0000n, upper - 1n, 1n << 63n, 0x7fff_ffff_ffff_f000n]) {
      expect(steps(plain, 0, [], iova).fault).toBe(Fault.NonCanonical);
    }
    expect(steps(plain, 0, [0n], 0x8000_0000_0000n, 5).fault).toBe(Fault.NotPresent);
    expect(steps(plain, 0, [], 1n << 56n, 5).fault).toBe(Fault.NonCanonical);
  });

  it('reads five entries from a five-level table', () => {
    const memory = new PhysicalMemory();
    const table = new PageTable(plain, memory, new FrameAllocator(BASE, 1 << 20), 5);
    table.map(2 ** 50 + 0x3000, 0x7000, 4096, Access.Read, 12);
    const walk = new Walk();
    walk.inputHi = 2 ** 18;
    walk.inputLo = 0x3456;
    walk.access = USER_READ;
    expect(runWalk(plain, walk, memory, 1, 0, 5)).toBe(Step.Done);
    expect([walk.reads, walk.outLo]).toEqual([5, 0x7456]);
  });
});

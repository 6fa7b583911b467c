/** A table in a memory of its own, and what one looks at from outside; naive page sizes and lists of leaves to compare with. */
import { expect } from 'vitest';
import { FrameAllocator } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { Access } from '../../protocol/access.js';
import { EntryKind, type Format, Permission, Row } from '../format.js';
import { high } from '../page-size.js';
import { type FreeTables, PageTable, type PageTableOptions } from '../table.js';
import { denied, Fault, runWalk, Step, Walk } from '../walk.js';

export const FRAME = 4096;
const FRAMES_BASE = 2 ** 32;

const double = (hi: number, lo: number): number => (hi >>> 0) * 2 ** 32 + (lo >>> 0);

export interface Entry {
  readonly address: number;
  readonly level: number;
  readonly kind: EntryKind;
  readonly hi: number;
  readonly lo: number;
}

export class Machine {
  readonly memory = new PhysicalMemory();
  readonly frames: FrameAllocator;
  readonly table: PageTable;

  constructor(
    readonly format: Format,
    height: number,
    freeTables: FreeTables = 'covered',
    options: PageTableOptions = {},
    frames = 1 << 15,
  ) {
    this.frames = new FrameAllocator(FRAMES_BASE, frames * FRAME);
    this.table = new PageTable(format, this.memory, this.frames, height, freeTables, options);
  }

  walk(iova: number, access: number): { step: Step; walk: Walk; out: number } {
    const walk = new Walk();
    walk.inputHi = high(iova);
    walk.inputLo = iova | 0;
    walk.access = access;
    const { root, levels, inputLg2 } = this.table;
    const step = runWalk(this.format, walk, this.memory, high(root), root | 0, levels, inputLg2);
    return { step, walk, out: double(walk.outHi, walk.outLo) };
  }

  /** The frames of every table that can be reached from the root, and the non-zero entries in them. */
  reachable(): { pages: number[]; words: Entry[] } {
    const pages: number[] = [];
    const words: Entry[] = [];
    const visit = (table: number, bytes: number, level: number): void => {
      for (let page = table; page < table + bytes; page += FRAME) pages.push(page);
      for (let address = table; address < table + bytes; address += 8) {
        this.memory.read(high(address), address | 0);
        const { wordHi: hi, wordLo: lo } = this.memory;
        if ((hi | lo) === 0) continue;
        const kind = this.format.rows[this.format.classify(level, hi, lo) + Row.Kind]! as EntryKind;
        words.push({ address, level, kind, hi, lo });
        if (kind === EntryKind.Table) visit(this.format.addressOf(hi, lo), this.format.tableBytes, level - 1);
      }
    };
    visit(this.table.root, this.table.rootBytes, this.table.levels);
    return { pages, words };
  }
}

export interface Leaf {
  readonly iova: number;
  readonly pa: number;
  readonly sizeLg2: number;
  readonly access: number;
}

/** By definition: the largest size that divides both addresses and fits; 0 if there is none. */
export function naiveSize(sizes: readonly number[], iova: number, pa: number, bytes: number, largest: number): number {
  const divides = (size: number): boolean => (BigInt(iova) | BigInt(pa)) % (1n << BigInt(size)) === 0n;
  return Math.max(0, ...sizes.filter((size) => size <= largest && 2 ** size <= bytes && divides(size)));
}

export function naiveLeaves(
  sizes: readonly number[],
  iova: number,
  pa: number,
  bytes: number,
  largest: number,
  access: number,
): Leaf[] {
  const leaves: Leaf[] = [];
  for (let done = 0; done < bytes; done += 2 ** leaves.at(-1)!.sizeLg2) {
    const sizeLg2 = naiveSize(sizes, iova + done, pa + done, bytes - done, largest);
    leaves.push({ iova: iova + done, pa: pa + done, sizeLg2, access });
  }
  return leaves;
}

const { Read, Write, Execute } = { Read: Permission.Read, Write: Permission.Write, Execute: Permission.Execute };
const USER = [0, Read, Write, Execute, Read | Write].map((access) => access | Permission.User);
const PRIVILEGED = [Read, Write, Permission.SupervisorExecute].map((access) => access | Permission.Supervisor);

/** Checks one address against what the naive list of leaves says about it. */
export function checkAddress(machine: Machine, leaf: Leaf | undefined, iova: number): void {
  const { format, table } = machine;
  if (leaf === undefined) {
    expect(machine.walk(iova, Access.Read | Permission.User).walk.fault).toBe(Fault.NotPresent);
    expect(table.lookup(iova)).toBe(-1);
    return;
  }
  const out = leaf.pa + (iova - leaf.iova);
  expect(table.lookup(iova)).toBe(out);
  const granted = format.templates.granted[format.permissionsFor(leaf.access)]!;
  for (const access of [...USER, ...PRIVILEGED]) {
    const result = machine.walk(iova, access);
    const missing = access & ~granted;
    if (missing !== 0) {
      expect([result.step, result.walk.fault]).toEqual([Step.Fault, denied(missing)]);
      continue;
    }
    expect(result.step).toBe(Step.Done);
    expect(result.out).toBe(out);
    expect(result.walk.sizeLg2).toBe(leaf.sizeLg2);
    expect(result.walk.reads).toBe(table.levels - format.templates.levelOfSize[leaf.sizeLg2]! + 1);
    expect(result.walk.permissions).toBe(granted);
  }
}

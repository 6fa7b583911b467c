/**
 * What every entry format must satisfy, checked with random programs against naive references: a list of leaves for the table,
 * BigInt arithmetic for page sizes. `checkFormatContract` registers its tests; call it from a test file with each configuration.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameAllocator, OutOfMemory } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { Access } from '../../protocol/access.js';
import { EntryKind, type Format, Permission, Row } from '../format.js';
import { high, PageSizes } from '../page-size.js';
import { type FreeTables, PageTable } from '../table.js';
import { Fault, resumeWalk, runWalk, Step, startWalk, stepWalk, Walk } from '../walk.js';
import { PageTableError } from '../work.js';

const FRAME = 4096;
const FRAMES_BASE = 2 ** 32;

const double = (hi: number, lo: number): number => (hi >>> 0) * 2 ** 32 + (lo >>> 0);

export class Machine {
  readonly memory = new PhysicalMemory();
  readonly frames: FrameAllocator;
  readonly table: PageTable;

  constructor(
    readonly format: Format,
    height: number,
    freeTables: FreeTables = 'covered',
    frames = 1 << 14,
  ) {
    this.frames = new FrameAllocator(FRAMES_BASE, frames * FRAME);
    this.table = new PageTable(format, this.memory, this.frames, height, freeTables);
  }

  walk(iova: number, access: number): { step: Step; walk: Walk; out: number } {
    const walk = new Walk();
    walk.inputHi = high(iova);
    walk.inputLo = iova | 0;
    walk.access = access;
    const { root, levels } = this.table;
    const step = runWalk(this.format, walk, this.memory, high(root), root | 0, levels);
    return { step, walk, out: double(walk.outHi, walk.outLo) };
  }

  /** Every table page that can be reached from the root, with the non-zero words in it. */
  reachable(): { pages: number[]; words: [number, number, number][] } {
    const pages: number[] = [];
    const words: [number, number, number][] = [];
    const visit = (table: number, bytes: number, level: number): void => {
      for (let page = table; page < table + bytes; page += FRAME) pages.push(page);
      for (let entry = table; entry < table + bytes; entry += 8) {
        this.memory.read(high(entry), entry | 0);
        const { wordHi, wordLo } = this.memory;
        if ((wordHi | wordLo) === 0) continue;
        words.push([entry, wordHi, wordLo]);
        const row = this.format.classify(level, wordHi, wordLo);
        if (this.format.rows[row + Row.Kind] === EntryKind.Table) {
          visit(this.format.addressOf(wordHi, wordLo), FRAME, level - 1);
        }
      }
    };
    visit(this.table.root, this.table.rootBytes, this.table.levels);
    return { pages, words };
  }
}

interface Leaf {
  readonly iova: number;
  readonly pa: number;
  readonly sizeLg2: number;
  readonly access: number;
}

/** By definition: the largest size that divides both addresses and fits. */
function naiveSize(sizes: readonly number[], iova: number, pa: number, bytes: number, largest: number): number {
  const divides = (size: number): boolean => (BigInt(iova) | BigInt(pa)) % (1n << BigInt(size)) === 0n;
  return Math.max(...sizes.filter((size) => size <= largest && 2 ** size <= bytes && divides(size)));
}

function naiveLeaves(sizes: readonly number[], iova: number, pa: number, bytes: number, largest: number): Leaf[] {
  const leaves: Leaf[] = [];
  for (let done = 0; done < bytes; done += 2 ** leaves.at(-1)!.sizeLg2) {
    const sizeLg2 = naiveSize(sizes, iova + done, pa + done, bytes - done, largest);
    leaves.push({ iova: iova + done, pa: pa + done, sizeLg2, access: 0 });
  }
  return leaves;
}

/** Checks one address against what the naive list of leaves says about it. */
function checkAddress(machine: Machine, leaf: Leaf | undefined, iova: number): void {
  const { format, table } = machine;
  if (leaf === undefined) {
    expect(machine.walk(iova, Access.Read | Permission.User).walk.fault).toBe(Fault.NotPresent);
    expect(table.lookup(iova)).toBe(-1);
    return;
  }
  const out = leaf.pa + (iova - leaf.iova);
  expect(table.lookup(iova)).toBe(out);
  const granted = format.templates.granted[format.permissionsFor(leaf.access)]!;
  for (const access of [0, Access.Read, Access.Write, Access.Execute, Access.Read | Access.Write]) {
    const result = machine.walk(iova, access | Permission.User);
    if ((access & ~granted) !== 0) {
      expect(result.step).toBe(Step.Fault);
      expect([Fault.ReadDenied, Fault.WriteDenied, Fault.ExecuteDenied]).toContain(result.walk.fault);
      continue;
    }
    expect(result.step).toBe(Step.Done);
    expect(result.out).toBe(out);
    expect(result.walk.sizeLg2).toBe(leaf.sizeLg2);
    expect(result.walk.reads).toBe(table.levels - format.templates.levelOfSize[leaf.sizeLg2]! + 1);
    expect(result.walk.permissions & 7).toBe(granted & 7);
  }
}

/** Registers the contract for tables of `height` levels. */
export function checkFormatContract(title: string, format: Format, height: number): void {
  const limit = Math.min(format.mappableBytes(format.inputWidth(height)), 2 ** 53);
  const sizes = format.templates.leafSizes.filter((size) => format.templates.levelOfSize[size]! <= height);
  const paLimit = 2 ** format.hostAddressWidth;
  const accesses = [1, 2, 3, 5, 7].filter((access) => format.permissionsFor(access) >= 0);
  const size = fc.constantFrom(...sizes);
  const aligned = (sizeLg2: number, bytes: number, below: number): fc.Arbitrary<number> =>
    fc.nat({ max: Math.floor((below - bytes) / 2 ** sizeLg2) }).map((n) => n * 2 ** sizeLg2);

  describe(`format contract: ${title}, ${height} levels`, () => {
    it('translates every page size from its own number of reads', () => {
      const one = size.chain((sizeLg2) =>
        fc.record({
          sizeLg2: fc.constant(sizeLg2),
          iova: aligned(sizeLg2, 2 ** sizeLg2, limit),
          pa: aligned(sizeLg2, 2 ** sizeLg2, paLimit),
          offset: fc.nat({ max: 2 ** Math.min(sizeLg2, 30) - 1 }),
          access: fc.constantFrom(...accesses),
        }),
      );
      fc.assert(
        fc.property(one, ({ sizeLg2, iova, pa, offset, access }) => {
          const machine = new Machine(format, height);
          machine.table.map(iova, pa, 2 ** sizeLg2, access, sizeLg2);
          const leaf = { iova, pa, sizeLg2, access };
          for (const at of [iova, iova + offset, iova + 2 ** sizeLg2 - 1]) checkAddress(machine, leaf, at);
          if (iova > 0) checkAddress(machine, undefined, iova - 1);
          if (iova + 2 ** sizeLg2 < limit) checkAddress(machine, undefined, iova + 2 ** sizeLg2);
          const { work } = machine.table;
          const tables = height - format.templates.levelOfSize[sizeLg2]!;
          expect([work.leaves, work.entries, work.tablesAllocated]).toEqual([1, 1 + tables, tables]);
        }),
        { numRuns: 30 },
      );
    });

    it('chooses the page size that a brute-force search chooses', () => {
      const page = fc.nat({ max: 2 ** 21 });
      const shift = fc.constantFrom(0, 0, 5, 9, 18);
      fc.assert(
        fc.property(page, page, shift, page, fc.constantFrom(12, ...sizes), (a, b, k, pages, largest) => {
          const iova = (a * 2 ** k * FRAME) % limit;
          const pa = (b * 2 ** k * FRAME) % paLimit;
          const bytes = (pages + 1) * FRAME;
          const found = new PageSizes(format, height).best(iova, pa, bytes, largest);
          expect(found).toBe(naiveSize(sizes, iova, pa, bytes, largest));
        }),
        { numRuns: 200 },
      );
    });

    const command = fc.record({
      island: fc.nat({ max: 2 }),
      slot: fc.nat({ max: 3 }),
      offset: fc.nat({ max: 6 }),
      size: fc.constantFrom(...sizes.filter((sizeLg2) => sizeLg2 <= 30)),
      count: fc.integer({ min: 1, max: 3 }),
      tail: fc.nat({ max: 3 }),
      skew: fc.nat({ max: 3 }),
      capped: fc.boolean(),
      access: fc.constantFrom(...accesses),
      remove: fc.boolean(),
      from: fc.nat(),
      length: fc.nat(),
      flush: fc.boolean(),
    });

    for (const freeTables of ['covered', 'empty'] as const) {
      it(`agrees with a naive list of leaves over random programs (${freeTables})`, () => {
        fc.assert(
          fc.property(fc.array(command, { minLength: 1, maxLength: 14 }), (commands) => {
            const machine = new Machine(format, height, freeTables);
            const { table, frames } = machine;
            const leaves: Leaf[] = [];
            const freed: number[] = [];
            const islands = [0, Math.floor(limit / 2), limit - 8 * 2 ** 30];
            const find = (iova: number): Leaf | undefined =>
              leaves.find((leaf) => iova >= leaf.iova && iova < leaf.iova + 2 ** leaf.sizeLg2);
            for (const c of commands) {
              const probes: number[] = [];
              if (c.remove && leaves.length > 0) {
                const from = c.from % leaves.length;
                let to = from + 1;
                const adjoins = (i: number): boolean =>
                  leaves[i] !== undefined && leaves[i].iova === leaves[i - 1]!.iova + 2 ** leaves[i - 1]!.sizeLg2;
                while (to - from <= c.length % 700 && adjoins(to)) to++;
                const start = leaves[from]!.iova;
                const bytes = leaves[to - 1]!.iova + 2 ** leaves[to - 1]!.sizeLg2 - start;
                table.work.reset();
                expect(table.unmap(start, bytes, freed)).toBe(bytes);
                expect(table.work.leaves).toBe(to - from);
                leaves.splice(from, to - from);
                probes.push(start, start + bytes - 1, start + Math.floor(bytes / 2));
              } else {
                const unit = 2 ** c.size;
                const fine = c.size === 12;
                const largest = c.capped && c.size < 30 ? 12 : c.size;
                const bytes = c.count * unit + (c.size < 30 ? c.tail * FRAME : 0);
                const iova = islands[c.island]! + (fine ? c.slot * 512 * FRAME + c.offset * FRAME : c.slot * unit);
                const pa = fine ? (c.offset + c.skew) * FRAME : (c.skew + 1) * unit;
                const wanted = naiveLeaves(sizes, iova, pa, bytes, largest).map((l) => ({ ...l, access: c.access }));
                const clash = leaves.some((l) => l.iova < iova + bytes && l.iova + 2 ** l.sizeLg2 > iova);
                const run = (): void => table.map(iova, pa, bytes, c.access, largest);
                if (clash) {
                  expect(run).toThrow(PageTableError);
                } else {
                  run();
                  leaves.push(...wanted);
                  leaves.sort((a, b) => a.iova - b.iova);
                }
                probes.push(iova, iova + bytes - 1, iova + bytes, Math.max(0, iova - 1));
              }
              for (const leaf of [leaves[0], leaves[Math.floor(leaves.length / 2)], leaves.at(-1)]) {
                if (leaf !== undefined) probes.push(leaf.iova, leaf.iova + 2 ** leaf.sizeLg2 - 1);
              }
              for (const probe of probes) if (probe < limit) checkAddress(machine, find(probe), probe);
              const { pages } = machine.reachable();
              const loose = [...freed, ...table.displaced];
              expect(new Set([...pages, ...loose]).size).toBe(pages.length + loose.length);
              expect(frames.inUse).toBe(pages.length + loose.length);
              if (c.flush) {
                table.giveBack(freed);
                table.giveBack(table.displaced);
              }
            }
            for (const leaf of leaves) table.unmap(leaf.iova, 2 ** leaf.sizeLg2, freed);
            expect(machine.reachable().words.filter(([, hi, lo]) => !isTable(format, hi, lo))).toEqual([]);
            if (freeTables === 'empty') expect(machine.reachable().words).toEqual([]);
            table.destroy(freed);
            table.giveBack(freed);
            table.giveBack(table.displaced);
            expect(frames.inUse).toBe(0);
            expect(machine.memory.lines).toBe(0);
          }),
          { numRuns: 12 },
        );
      });
    }

    it('restores every word when what was mapped is unmapped', () => {
      fc.assert(
        fc.property(size, fc.nat({ max: 5 }), fc.nat({ max: 1100 }), (sizeLg2, slot, pages) => {
          const machine = new Machine(format, height, 'empty');
          const { table } = machine;
          table.map(7 * FRAME, 3 * FRAME, FRAME, Access.Read | Access.Write, 12);
          const before = machine.reachable();
          const iova = slot * 2 ** sizeLg2 + 8 * FRAME * 2 ** 9;
          const bytes = sizeLg2 >= 30 ? 2 ** sizeLg2 : (pages + 1) * FRAME;
          if (iova % 2 ** sizeLg2 !== 0 || iova + bytes > limit) return;
          table.map(iova, slot * 2 ** sizeLg2, bytes, Access.Read | Access.Write, sizeLg2);
          const freed: number[] = [];
          expect(table.unmap(iova, bytes, freed)).toBe(bytes);
          expect(machine.reachable()).toEqual(before);
          expect(freed).not.toContain(table.root);
          table.giveBack(freed);
          expect(machine.frames.inUse).toBe(before.pages.length);
        }),
        { numRuns: 30 },
      );
    });

    it('leaves the translations alone when memory runs out', () => {
      const rootFrames = format.rootBytes(height, format.inputWidth(height)) / FRAME;
      for (let spare = 0; spare < height; spare++) {
        const frames = rootFrames + height - 1 + spare;
        const machine = new Machine(format, height, 'covered', frames);
        machine.table.map(0, FRAME, FRAME, Access.Read | Access.Write, 12);
        const far = format.span[height]! * (limit > format.span[height]! ? 1 : 0);
        const bytes = FRAME * 513;
        const iova = far + 511 * FRAME;
        const needed = far > 0 ? height : 1;
        const run = (): void => machine.table.map(iova, 0, bytes, Access.Read | Access.Write, 12);
        if (spare < needed) {
          expect(run).toThrow(OutOfMemory);
          for (const at of [iova, iova + FRAME, iova + bytes - 1]) expect(machine.table.lookup(at)).toBe(-1);
        }
        expect(machine.table.lookup(5)).toBe(FRAME + 5);
      }
    });

    it('resumes from what a paging-structure cache would hold', () => {
      const { table, memory } = new Machine(format, height);
      const iova = Math.min(limit, 2 ** 40) - 2 ** 31 + 5 * FRAME;
      table.map(iova, 9 * FRAME, FRAME, Access.Read, 12);
      const full = new Walk();
      full.inputHi = high(iova + 8);
      full.inputLo = (iova + 8) | 0;
      full.access = Access.Read | Permission.User;
      let step = startWalk(format, full, high(table.root), table.root | 0, height, format.inputWidth(height));
      const held: [number, number, number, number, number][] = [];
      while (step === Step.Read) {
        memory.read(full.entryHi, full.entryLo);
        step = stepWalk(format, full, memory.wordHi, memory.wordLo);
        if (step === Step.Read) {
          expect(full.consumedLevel).toBe(full.level + 1);
          held.push([full.tableHi, full.tableLo, full.level, full.permissions, full.reads]);
        }
      }
      expect(step).toBe(Step.Done);
      expect(held.length).toBe(height - 1);
      for (const [tableHi, tableLo, level, permissions, reads] of held) {
        const walk = new Walk();
        walk.inputHi = full.inputHi;
        walk.inputLo = full.inputLo;
        walk.access = full.access;
        let next = resumeWalk(format, walk, tableHi, tableLo, level, permissions);
        while (next === Step.Read) {
          memory.read(walk.entryHi, walk.entryLo);
          next = stepWalk(format, walk, memory.wordHi, memory.wordLo);
        }
        expect(next).toBe(Step.Done);
        expect([walk.outHi, walk.outLo, walk.sizeLg2]).toEqual([full.outHi, full.outLo, full.sizeLg2]);
        expect(walk.permissions).toBe(full.permissions);
        expect(walk.reads + reads).toBe(full.reads);
      }
    });

    it('rejects the first input address beyond its width and accepts the last one within', () => {
      const width = format.inputWidth(height);
      const machine = new Machine(format, height);
      const beyond = format.signExtended ? 2 ** (width - 1) : 2 ** width;
      const expected = format.signExtended ? Fault.NonCanonical : Fault.AddressWidth;
      for (const bit of [beyond, 2 ** 62]) {
        const outside = machine.walk(bit, 0);
        expect([outside.step, outside.walk.fault, outside.walk.level]).toEqual([Step.Fault, expected, 0]);
      }
      expect(machine.walk(beyond - FRAME, 0).walk.fault).toBe(Fault.NotPresent);
      const negative = new Walk();
      negative.inputHi = -1;
      negative.inputLo = -FRAME;
      const { root } = machine.table;
      runWalk(format, negative, machine.memory, high(root), root | 0, height);
      expect(negative.fault).toBe(format.signExtended ? Fault.NotPresent : Fault.AddressWidth);
    });
  });
}

/** Whether a word found in a table is a table entry at any level above the leaf. */
function isTable(format: Format, hi: number, lo: number): boolean {
  return format.rows[format.classify(2, hi, lo) + Row.Kind] === EntryKind.Table;
}

/**
 * What every entry format must satisfy, checked with random programs against naive references: a list of leaves for the table,
 * BigInt arithmetic for page sizes. `checkFormatContract` registers its tests; call it from a test file with each configuration.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { OutOfMemory } from '../../memory/frames.js';
import { Access } from '../../protocol/access.js';
import { EntryKind, type Format, Permission } from '../format.js';
import { high, PageSizes } from '../page-size.js';
import type { PageTableOptions } from '../table.js';
import { Fault, resumeWalk, runWalk, Step, startWalk, stepWalk, Walk } from '../walk.js';
import { PageTableError } from '../work.js';
import { checkAddress, FRAME, type Leaf, Machine, naiveLeaves, naiveSize } from './machine.js';

const RW = Access.Read | Access.Write;

/** Registers the contract for tables of `height` levels. */
export function checkFormatContract(
  title: string,
  format: Format,
  height: number,
  options: PageTableOptions = {},
): void {
  const { templates } = format;
  const inputLg2 = options.inputLg2 ?? format.inputWidth(height);
  const limit = Math.min(format.mappableBytes(inputLg2), 2 ** 53);
  const sizes = templates.leafSizes.filter((size) => {
    return templates.levelOfSize[size]! <= height && 2 ** size <= limit && options.pageSizes?.includes(size) !== false;
  });
  const paLimit = 2 ** format.hostAddressWidth;
  const accesses = [1, 2, 3, 5, 7].filter((access) => format.permissionsFor(access) >= 0);
  const size = fc.constantFrom(...sizes);
  const pageLg2 = format.granuleLg2;
  const page = 2 ** pageLg2;
  const perTable = format.tableBytes / 8;
  const aligned = (sizeLg2: number, below: number): fc.Arbitrary<number> =>
    fc.nat({ max: below / 2 ** sizeLg2 - 1 }).map((n) => n * 2 ** sizeLg2);
  const make = (freeTables: 'covered' | 'empty' = 'covered', frames = 1 << 15): Machine =>
    new Machine(format, height, freeTables, options, frames);

  describe(`format contract: ${title}, ${height} levels, ${inputLg2} bits`, () => {
    it('translates every page size from its own number of reads and takes it away whole', () => {
      for (const sizeLg2 of sizes) {
        const one = fc.record({
          iova: aligned(sizeLg2, limit),
          pa: aligned(sizeLg2, paLimit),
          offset: fc.nat({ max: 2 ** Math.min(sizeLg2, 30) - 1 }),
          access: fc.constantFrom(...accesses),
        });
        fc.assert(
          fc.property(one, ({ iova, pa, offset, access }) => {
            const machine = make();
            const { table } = machine;
            const bytes = 2 ** sizeLg2;
            const slots = 2 ** templates.slotsLg2[sizeLg2]!;
            const contiguous = slots > 1 ? slots : 0;
            const lines = Math.ceil(slots / 8);
            const tables = height - templates.levelOfSize[sizeLg2]!;
            table.map(iova, pa, bytes, access, sizeLg2);
            const leaf = { iova, pa, sizeLg2, access };
            for (const at of [iova, iova + offset, iova + bytes - 1]) checkAddress(machine, leaf, at);
            if (iova > 0) checkAddress(machine, undefined, iova - 1);
            if (iova + bytes < limit) checkAddress(machine, undefined, iova + bytes);
            const { work } = table;
            const counts = [work.leaves, work.entries, work.contiguous, work.tablesAllocated, work.lines];
            expect(counts).toEqual([1, slots + tables, contiguous, tables, lines + tables]);
            if (bytes > page) {
              const before = machine.reachable();
              for (const at of [iova, iova + bytes - page]) {
                expect(() => table.unmap(at, page, [])).toThrow(PageTableError);
              }
              expect(machine.reachable()).toEqual(before);
            }
            work.reset();
            expect(table.unmap(iova, bytes, [])).toBe(bytes);
            const removed = [work.leaves, work.contiguous, work.entries - work.tablesFreed];
            expect(removed).toEqual([1, contiguous, slots]);
            checkAddress(machine, undefined, iova + offset);
          }),
          { numRuns: 2 },
        );
      }
    });

    it('chooses the page size that a brute-force search chooses', () => {
      const pages = fc.nat({ max: 2 ** 21 });
      const shift = fc.constantFrom(0, 0, 4, 5, 9, 18);
      const usable = new PageSizes(format, height, sizes);
      fc.assert(
        fc.property(pages, pages, shift, pages, fc.constantFrom(pageLg2 - 1, ...sizes), (a, b, k, count, largest) => {
          const iova = (a * 2 ** k * page) % limit;
          const pa = (b * 2 ** k * page) % paLimit;
          const bytes = (count + 1) * page;
          expect(usable.best(iova, pa, bytes, largest)).toBe(naiveSize(sizes, iova, pa, bytes, largest));
        }),
        { numRuns: 50 },
      );
    });

    // Programs work in three places, with pages of up to 1 GiB of which each place holds eight.
    const programSizes = sizes.filter(
      (sizeLg2) => sizeLg2 === sizes.at(-1) || (sizeLg2 <= 30 && 2 ** sizeLg2 * 8 <= limit),
    );
    const place = 8 * 2 ** programSizes[0]!;
    const places = [0, Math.floor(limit / 2 / place) * place, Math.max(0, limit - place)];
    const command = fc.record({
      place: fc.constantFrom(...places),
      slot: fc.nat({ max: 3 }),
      offset: fc.nat({ max: 6 }),
      size: fc.constantFrom(...programSizes),
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
          fc.property(fc.array(command, { minLength: 4, maxLength: 12 }), (commands) => {
            const machine = make(freeTables);
            const { table, frames } = machine;
            const leaves: Leaf[] = [];
            const freed: number[] = [];
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
                const fine = c.size === sizes.at(-1);
                const largest = c.capped && unit / 2 ** sizes.at(-1)! <= 1024 ? sizes.at(-1)! : c.size;
                const bytes = c.count * unit + (largest === c.size && c.size === 30 ? 0 : c.tail * 2 ** sizes.at(-1)!);
                const at = fine ? (c.slot * perTable + c.offset) * unit : c.slot * unit;
                const iova = c.place + (at % place);
                const pa = fine ? (c.offset + c.skew) * unit : (c.skew + 1) * unit;
                if (iova + bytes > limit) continue;
                const clash = leaves.some((l) => l.iova < iova + bytes && l.iova + 2 ** l.sizeLg2 > iova);
                const run = (): void => table.map(iova, pa, bytes, c.access, largest);
                if (clash) {
                  expect(run).toThrow(PageTableError);
                } else {
                  run();
                  leaves.push(...naiveLeaves(sizes, iova, pa, bytes, largest, c.access));
                  leaves.sort((a, b) => a.iova - b.iova);
                }
                probes.push(iova, iova + bytes - 1, iova + bytes, Math.max(0, iova - 1));
              }
              for (const leaf of [leaves[0], leaves[Math.floor(leaves.length / 2)], leaves.at(-1)]) {
                if (leaf !== undefined) probes.push(leaf.iova, leaf.iova + 2 ** leaf.sizeLg2 - 1);
              }
              for (const probe of probes) if (probe < limit) checkAddress(machine, find(probe), probe);
              if (c.flush) {
                const { pages } = machine.reachable();
                const loose = [...freed, ...table.displaced];
                expect(new Set([...pages, ...loose]).size).toBe(pages.length + loose.length);
                expect(frames.inUse).toBe(pages.length + loose.length);
                table.giveBack(freed);
                table.giveBack(table.displaced);
              }
            }
            for (const leaf of leaves) table.unmap(leaf.iova, 2 ** leaf.sizeLg2, freed);
            const { words } = machine.reachable();
            expect(words.filter(({ kind }) => kind !== EntryKind.Table)).toEqual([]);
            if (freeTables === 'empty') expect(words).toEqual([]);
            table.destroy(freed);
            table.giveBack(freed);
            table.giveBack(table.displaced);
            expect(frames.inUse).toBe(0);
            expect(machine.memory.lines).toBe(0);
          }),
          { numRuns: 3 },
        );
      });
    }

    it('restores every word when what was mapped is unmapped', () => {
      fc.assert(
        fc.property(size, fc.nat({ max: 5 }), fc.nat({ max: 1100 }), (sizeLg2, slot, pages) => {
          const machine = make('empty');
          const { table } = machine;
          const smallest = 2 ** sizes.at(-1)!;
          table.map(0, 3 * smallest, smallest, RW, sizes.at(-1)!);
          const before = machine.reachable();
          const iova = (slot + 1) * 2 ** sizeLg2;
          const bytes = sizeLg2 >= 30 ? 2 ** sizeLg2 : (pages + 1) * smallest;
          if (iova + bytes > limit || iova + bytes > paLimit) return;
          table.map(iova, iova, bytes, RW, sizeLg2);
          const freed: number[] = [];
          expect(table.unmap(iova, bytes, freed)).toBe(bytes);
          expect(machine.reachable()).toEqual(before);
          expect(freed).not.toContain(table.root);
          table.giveBack(freed);
          expect(machine.frames.inUse).toBe(before.pages.length);
        }),
        { numRuns: 5 },
      );
    });

    it('leaves the translations alone when memory runs out', () => {
      // One page more than a table holds, so that a second lowest-level table is needed, far from what is mapped.
      const far = limit > format.span[height]! ? format.span[height]! : 0;
      const iova = far + (perTable - 1) * page;
      const bytes = page * (perTable + 1);
      if (height === 1 || iova + bytes > limit || sizes.at(-1) !== pageLg2) return;
      const tableFrames = format.tableBytes / FRAME;
      const rootFrames = Math.max(1, format.rootBytes(height, inputLg2) / FRAME);
      const start = Math.max(rootFrames, tableFrames);
      const needed = far > 0 ? height : 1;
      for (const spare of [0, needed - 1, needed]) {
        const machine = make('covered', start + (height - 1 + spare) * tableFrames);
        machine.table.map(0, page, page, RW, pageLg2);
        const run = (): void => machine.table.map(iova, 0, bytes, RW, pageLg2);
        if (spare < needed) {
          expect(run).toThrow(OutOfMemory);
          for (const at of [iova, iova + page, iova + bytes - 1]) expect(machine.table.lookup(at)).toBe(-1);
        } else run();
        expect(machine.table.lookup(5)).toBe(page + 5);
      }
    });

    it('resumes from what a paging-structure cache would hold', () => {
      const { table, memory } = make();
      const smallest = 2 ** sizes.at(-1)!;
      const iova = Math.floor((limit * 0.6) / smallest) * smallest;
      table.map(iova, 9 * smallest, smallest, Access.Read, sizes.at(-1)!);
      const full = new Walk();
      full.inputHi = high(iova + 8);
      full.inputLo = (iova + 8) | 0;
      full.access = Access.Read | Permission.User;
      let step = startWalk(format, full, high(table.root), table.root | 0, height, inputLg2);
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
      expect(held.length).toBe(height - templates.levelOfSize[sizes.at(-1)!]!);
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
      const machine = make();
      const width = inputLg2 - format.signBits;
      const expected = format.signExtended ? Fault.NonCanonical : Fault.AddressWidth;
      for (const bit of [width, width + 1, 62].filter((at) => at >= width && at < 64)) {
        const outside = machine.walk(2 ** bit, 0);
        expect([bit, outside.step, outside.walk.fault, outside.walk.level]).toEqual([bit, Step.Fault, expected, 0]);
      }
      expect(machine.walk(2 ** Math.min(width, 53) - FRAME, 0).walk.fault).toBe(Fault.NotPresent);
      const { root } = machine.table;
      const top = new Walk();
      top.inputHi = -1;
      top.inputLo = -FRAME;
      runWalk(format, top, machine.memory, high(root), root | 0, height, inputLg2);
      const legal = format.otherTop === -1 || inputLg2 === 64;
      expect(top.fault).toBe(legal ? Fault.NotPresent : Fault.AddressWidth);
    });
  });
}

import fc from 'fast-check';
import { expect, it } from 'vitest';
import { FrameAllocator } from '../memory/frames.js';
import { PhysicalMemory } from '../memory/physical.js';
import { Access } from '../protocol/access.js';
import { compileFormat } from './format.js';
import { amdHost } from './formats/amdv1.js';
import { vtdSecondStage } from './formats/vtdss.js';
import { leavesOf } from './leaves.js';
import { PageTable } from './table.js';

const PAGE = 4096;
const vtd = compileFormat(
  vtdSecondStage({
    hostAddressWidth: 46,
    guestAddressWidth: 48,
    largestPageLg2: 30,
    scalable: false,
    snoopControl: true,
    accessedDirty: false,
  }),
);
const amd = compileFormat(amdHost({ hostAddressWidth: 46, hostAccessDirty: 0 }));

function tableOf(format: typeof vtd): { table: PageTable; memory: PhysicalMemory } {
  const memory = new PhysicalMemory();
  return { memory, table: new PageTable(format, memory, new FrameAllocator(2 ** 40, 2 ** 28), 4) };
}

it.each([
  ['VT-d', vtd],
  ['AMD-Vi, with coded sizes', amd],
])('%s: gives exactly the mappings of a range, with their access', (_name, format) => {
  const mapping = fc.record({ at: fc.nat(4095), pages: fc.constantFrom(1, 3, 8, 512), write: fc.boolean() });
  fc.assert(
    fc.property(fc.array(mapping, { maxLength: 12 }), fc.nat(2 ** 21), fc.nat(2 ** 21), (mappings, from, length) => {
      const { table, memory } = tableOf(format);
      const access = new Map<number, Access>();
      for (const { at, pages, write } of mappings) {
        const iova = (at - (at % pages)) * PAGE * (pages === 3 ? 3 : 1);
        const right: Access = write ? Access.Read | Access.Write : Access.Read;
        const taken = Array.from({ length: pages }, (_, i) => iova + i * PAGE).some((page) => access.has(page));
        if (taken) continue;
        table.map(iova, 2 ** 33 + iova, pages * PAGE, right, 30);
        for (let i = 0; i < pages; i++) access.set(iova + i * PAGE, right);
      }
      const [start, end] = [from * PAGE, (from + length) * PAGE];
      const leaves = leavesOf(table, memory, start, end);
      const found = new Map<number, Access>();
      let last = -1;
      for (const leaf of leaves) {
        expect(leaf.iova).toBeGreaterThan(last);
        expect(leaf.pa).toBe(2 ** 33 + leaf.iova);
        last = leaf.iova;
        for (let page = leaf.iova; page < leaf.iova + leaf.bytes; page += PAGE) found.set(page, leaf.access);
      }
      for (const [page, right] of access) if (page >= start && page < end) expect(found.get(page)).toBe(right);
      for (const page of found.keys()) expect(access.has(page)).toBe(true);
      for (const leaf of leaves) expect(leaf.iova < end && leaf.iova + leaf.bytes > start).toBe(true);
    }),
    { numRuns: 60 },
  );
});

it('does not visit what is not there: a whole empty address space costs one table', () => {
  const { table, memory } = tableOf(vtd);
  table.map(2 ** 40, 2 ** 33, PAGE, Access.Read, 12);
  expect(leavesOf(table, memory, 0, 2 ** 48)).toEqual([
    { iova: 2 ** 40, bytes: PAGE, pa: 2 ** 33, access: Access.Read },
  ]);
});

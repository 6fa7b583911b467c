/** Nested translation: cold reads, the faults of each step in either stage, updates of accessed and dirty flags. */
import { describe, expect, it } from 'vitest';
import { Access } from '../../../protocol/access.js';
import { type Case, checkArchContract, countsOf, type FaultCase } from '../../testing/arch-contract.js';
import { REQUESTERS, Rig } from '../../testing/rig.js';
import { NO_WALK_CACHES, READ_PS, type UnitChanges } from '../../testing/spec.js';
import { encodeIotlbInvalidation, type FaultReason, Granularity, type PasidEntry, PasidType } from './format.js';

const IOVA = 0x7_4020_3000;
const RID = REQUESTERS[0]!;
/** The second stage maps so many pages of memory, from its first, to themselves. */
const GUEST_PAGES = 256;
const COLD: UnitChanges = { ...NO_WALK_CACHES, secondStageTlb: { enabled: false } };

interface Shape {
  readonly levels?: number;
  readonly secondLevels?: number;
  readonly suppress?: boolean;
  readonly entry?: Partial<PasidEntry>;
  readonly unit?: UnitChanges;
}

interface Built extends Case {
  readonly firstRoot: number;
  readonly secondRoot: number;
  readonly levels: number;
  readonly secondLevels: number;
  readonly page: number;
}

function nested(shape: Shape = {}): Built {
  const { levels = 4, secondLevels = 4, suppress = false } = shape;
  const rig = new Rig({ mode: 'scalable', stage: 'nested', levels, secondLevels, ...COLD, ...shape.unit });
  const { table: first, pa: page } = rig.mapped(IOVA, 4096, { first: true, levels });
  const second = rig.pageTable(false, secondLevels);
  second.map(rig.frames.base, rig.frames.base, GUEST_PAGES * 4096, Access.Read | Access.Write, 12);
  rig.tables.context(RID, { suppressFaults: suppress });
  const [firstRoot, secondRoot] = [first.root, second.root];
  const entry = { type: PasidType.Nested, domain: 7, firstRoot, firstLevels: levels, secondRoot, secondLevels };
  rig.tables.pasid(RID, 0, { ...entry, suppressFaults: suppress, ...shape.entry });
  return { rig, request: { address: IOVA }, firstRoot, secondRoot, levels, secondLevels, page };
}

/** Address of the entry for `input` at `level` of the tables at `root`; tables lie where they say, the second stage being identity. */
function entryAt(rig: Rig, root: number, height: number, input: number, level: number): number {
  let table = root;
  for (let at = height; ; at--) {
    const entry = table + 8 * (Math.floor(input / 2 ** (3 + 9 * at)) % 512);
    if (at === level) return entry;
    rig.physical.read(Math.floor(entry / 2 ** 32), entry | 0);
    table = rig.physical.wordHi * 2 ** 32 + ((rig.physical.wordLo & ~0xfff) >>> 0);
  }
}

const firstEntry = ({ rig, firstRoot, levels }: Built, level: number): number =>
  entryAt(rig, firstRoot, levels, IOVA, level);
/** The leaf of the second stage for a guest address. */
const secondLeaf = ({ rig, secondRoot, secondLevels }: Built, guest: number): number =>
  entryAt(rig, secondRoot, secondLevels, guest, 1);

type Spoil = (built: Built) => void;
const first =
  (level: number, dword: number, change: (word: number) => number): Spoil =>
  (built) =>
    built.rig.tables.poke(firstEntry(built, level), dword, change);
/** Changes the second-stage leaf of the first-stage table of a level. */
const underTable =
  (level: number, change: (word: number) => number): Spoil =>
  (built) =>
    built.rig.tables.poke(secondLeaf(built, firstEntry(built, level)), 0, change);
const underPage =
  (change: (word: number) => number): Spoil =>
  (built) =>
    built.rig.tables.poke(secondLeaf(built, built.page), 0, change);
const pasidEntry =
  (dword: number, change: (word: number) => number): Spoil =>
  ({ rig }) =>
    rig.tables.poke(rig.tables.pasidEntryAt(RID, 0), dword, change);
const both =
  (...spoils: Spoil[]): Spoil =>
  (built) => {
    for (const spoil of spoils) spoil(built);
  };

const R = 1;
const W = 2;
const A = 0x20;
const without = (bits: number) => (word: number) => word & ~bits;
const within = (bits: number) => (word: number) => word | bits;
const NARROW: Shape = { secondLevels: 3 };
const noSnoop: Spoil = pasidEntry(2, without(0x800000));
const secondFlags: Spoil = pasidEntry(0, within(0x200));

interface Spoilt {
  readonly name: string;
  readonly reason: FaultReason;
  readonly shape?: Shape;
  readonly write?: boolean;
  readonly spoil: Spoil;
}

const FAULTS: Spoilt[] = [
  { name: 'root beyond the second stage', reason: 0x5b, shape: NARROW, spoil: pasidEntry(5, within(0x100)) },
  { name: 'absent first-stage entry', reason: 0x71, spoil: first(2, 0, without(1)) },
  { name: 'reserved bit in a first-stage entry', reason: 0x72, spoil: first(4, 0, within(0x80)) },
  { name: 'entry beyond the second stage', reason: 0x74, shape: NARROW, spoil: first(1, 1, within(0x100)) },
  { name: 'table beyond the second stage', reason: 0x74, shape: NARROW, spoil: first(3, 1, within(0x100)) },
  {
    name: 'entry beyond the host width too',
    reason: 0x72,
    shape: NARROW,
    spoil: first(1, 1, within(0x4100)),
  },
  { name: 'root table that cannot be read', reason: 0x75, spoil: underTable(4, without(R)) },
  { name: 'table that cannot be read', reason: 0x76, spoil: underTable(3, without(R)) },
  { name: 'table that is not mapped', reason: 0x79, spoil: underTable(2, without(R | W)) },
  {
    name: 'reserved bit in a second-stage table entry',
    reason: 0x7a,
    spoil: (built) => {
      const { rig, secondRoot, secondLevels } = built;
      rig.tables.poke(entryAt(rig, secondRoot, secondLevels, built.page, 2), 0, within(0x800));
    },
  },
  {
    name: 'accessed flag in a table that cannot be written',
    reason: 0x77,
    spoil: both(first(1, 0, without(A)), underTable(1, without(W))),
  },
  {
    name: 'accessed flag of the root in a table that cannot be written',
    reason: 0x77,
    spoil: both(first(4, 0, without(A)), underTable(4, without(W))),
  },
  {
    name: 'with second-stage flags, a table that cannot be written',
    reason: 0x77,
    spoil: both(secondFlags, underTable(3, without(W))),
  },
  { name: 'first-stage flag without snooping', reason: 0x90, spoil: both(noSnoop, first(3, 0, without(A))) },
  { name: 'second-stage flag without snooping', reason: 0x7c, spoil: both(noSnoop, secondFlags) },
  { name: 'page that is not mapped', reason: 0x79, spoil: underPage(without(R | W)) },
  { name: 'page that cannot be read', reason: 0x86, spoil: underPage(without(R)) },
  { name: 'page that cannot be written', reason: 0x85, write: true, spoil: underPage(without(W)) },
  {
    name: 'page in the interrupt range',
    reason: 0x87,
    spoil: (built) => {
      const leaf = secondLeaf(built, built.page);
      built.rig.tables.poke(leaf, 0, (word) => (word & 0xfff) | 0xfee0_0000);
      built.rig.tables.poke(leaf, 1, () => 0);
    },
  },
];

const cases: FaultCase[] = FAULTS.map(({ name, reason, shape = {}, write = false, spoil }) => ({
  name,
  reason,
  suppressible: true,
  make: (suppress) => {
    const built = nested({ ...shape, suppress });
    spoil(built);
    return { rig: built.rig, request: { ...built.request, write } };
  },
}));

checkArchContract(
  'VT-d, scalable mode, nested',
  [
    { name: '4 over 4: 28 reads', directory: 4, table: 24, make: () => nested() },
    { name: '4 over 3', directory: 4, table: 19, make: () => nested(NARROW) },
    { name: '5 over 4', directory: 4, table: 29, make: () => nested({ levels: 5 }) },
    { name: '5 over 5', directory: 4, table: 35, make: () => nested({ levels: 5, secondLevels: 5 }) },
  ],
  cases,
);

describe('nested walks', () => {
  it('find the tables, but not the page, in the second-stage TLB', () => {
    const { rig, request } = nested({ unit: { secondStageTlb: { enabled: true }, iotlb: { enabled: false } } });
    const reads = [0, 1].map(() => {
      const before = rig.unit.counters.tableReads;
      rig.translate(request);
      return rig.unit.counters.tableReads - before;
    });
    expect(reads).toEqual([24, 8]);
  });
});

describe('a nested walk under way', () => {
  it.each([false, true])(
    'starts again when a command names the guest-physical address of its page (hint %s)',
    (hint) => {
      const replay = 250_000;
      for (let at = 10_000; at <= 28 * READ_PS + replay; at += 70_000) {
        const built = nested({ unit: { walkers: { replay } } });
        const { rig, request, page } = built;
        const other = rig.frames.allocate();
        rig.after(at, () => {
          rig.tables.poke(secondLeaf(built, page), 0, (low) => (low & 0xfff) | other);
          const [hi, lo] = [Math.floor(page / 2 ** 32), page | 0];
          rig.submit(
            (words) => encodeIotlbInvalidation(words, 0, Granularity.Selective, 7, hi, lo, 0, hint, true, true),
            rig.wait(),
          );
        });
        rig.send(request);
        rig.run();
        expect([at, rig.translate(request).output]).toEqual([at, other]);
      }
    },
  );
});

describe('updates of a nested walk', () => {
  const word = (rig: Rig, address: number): number => {
    rig.physical.read(Math.floor(address / 2 ** 32), address | 0);
    return rig.physical.wordLo;
  };

  it('leave a first-stage leaf alone when its page cannot be accessed, but not the entries above', () => {
    const built = nested();
    both(first(1, 0, without(A)), first(2, 0, without(A)), underPage(without(R | W)))(built);
    built.rig.translate(built.request);
    expect([2, 1].map((level) => word(built.rig, firstEntry(built, level)) & A)).toEqual([A, 0]);
  });

  it('set the flags of a first-stage leaf through a second-stage TLB as well', () => {
    const built = nested({ unit: { secondStageTlb: { enabled: true }, iotlb: { enabled: false } } });
    const { rig, request } = built;
    rig.translate(request);
    first(1, 0, without(A | 0x40))(built);
    expect(rig.translate({ ...request, write: true }).aborted).toBe(false);
    expect(word(rig, firstEntry(built, 1)) & (A | 0x40)).toBe(A | 0x40);
  });

  it('with second-stage flags make first-stage tables dirty, and a page when it is written', () => {
    const built = nested();
    secondFlags(built);
    const { rig, request } = built;
    const flags = (): number[] =>
      [firstEntry(built, 4), built.page].map((guest) => word(rig, secondLeaf(built, guest)) & 0x300);
    rig.translate(request);
    expect(flags()).toEqual([0x300, 0x100]);
    rig.translate({ ...request, write: true });
    expect(flags()).toEqual([0x300, 0x300]);
    expect(countsOf(rig)).toEqual({});
  });
});

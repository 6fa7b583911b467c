import { describe, expect, it } from 'vitest';
import { Access } from '../../../protocol/access.js';
import {
  type Case,
  checkArchContract,
  countsOf,
  type FaultCase,
  type ReadCase,
  recordOf,
} from '../../testing/arch-contract.js';
import { REQUESTERS, Rig } from '../../testing/rig.js';
import type { UnitChanges } from '../../testing/spec.js';
import { encodeRootTableAddress, FaultReason, GlobalBit, PasidType, Register, TranslationType } from './format.js';

const IOVA = 0x7_4020_3000;
const RID = REQUESTERS[0]!;
/** Inside the host address width, where there is no memory. */
const NOWHERE = 2 ** 45;

interface Shape {
  readonly levels?: number;
  readonly iova?: number;
  readonly pageLg2?: number;
  readonly access?: Access;
  readonly suppress?: boolean;
  readonly pasid?: number;
  readonly unit?: UnitChanges;
}

interface Built extends Case {
  readonly root: number;
}

function legacy(shape: Shape = {}): Built {
  const { levels = 4, iova = IOVA, pageLg2 = 12, access = Access.Read | Access.Write, suppress = false } = shape;
  const rig = new Rig({ levels, ...shape.unit });
  const { table } = rig.mapped(iova, 2 ** pageLg2, { access, largestLg2: pageLg2 });
  rig.tables.legacy(RID, { root: table.root, levels, domain: 7, suppressFaults: suppress });
  return { rig, root: table.root, request: { address: iova } };
}

function scalable(type: PasidType, shape: Shape = {}): Built {
  const { levels = 4, iova = IOVA, pageLg2 = 12, access = Access.Read | Access.Write, suppress = false } = shape;
  const pasid = shape.pasid ?? -1;
  const first = type === PasidType.FirstStage;
  const rig = new Rig({ mode: 'scalable', stage: first ? 'first' : 'second', levels, ...shape.unit });
  const { table } = rig.mapped(iova, 2 ** pageLg2, { first, access, largestLg2: pageLg2 });
  rig.tables.context(RID, { suppressFaults: suppress });
  rig.tables.pasid(RID, Math.max(pasid, 0), {
    type,
    domain: 7,
    firstRoot: first ? table.root : 0,
    firstLevels: first ? levels : 4,
    secondRoot: first ? 0 : table.root,
    secondLevels: first ? 4 : levels,
    suppressFaults: suppress,
  });
  return { rig, root: table.root, request: { address: iova, pasid } };
}

const firstStage = (shape: Shape = {}): Built => scalable(PasidType.FirstStage, shape);
const secondStage = (shape: Shape = {}): Built => scalable(PasidType.SecondStage, shape);

/** Address of the entry for `iova` at `level`. */
function entryAt({ rig, root, request }: Built, level: number, levels = 4): number {
  let table = root;
  for (let at = levels; ; at--) {
    const entry = table + 8 * (Math.floor(request.address / 2 ** (3 + 9 * at)) % 512);
    if (at === level) return entry;
    rig.physical.read(Math.floor(entry / 2 ** 32), entry | 0);
    table = rig.physical.wordHi * 2 ** 32 + ((rig.physical.wordLo & ~0xfff) >>> 0);
  }
}

const MIB2 = 0x7_4020_0000;
const GIB = 0x7_4000_0000;

const LEGACY_READS: ReadCase[] = [
  { name: 'three levels', directory: 2, table: 3, make: () => legacy({ levels: 3 }) },
  { name: 'four levels', directory: 2, table: 4, make: () => legacy() },
  { name: 'five levels', directory: 2, table: 5, make: () => legacy({ levels: 5 }) },
  { name: '2 MiB leaf', directory: 2, table: 3, make: () => legacy({ iova: MIB2, pageLg2: 21 }) },
  { name: '1 GiB leaf', directory: 2, table: 2, make: () => legacy({ iova: GIB, pageLg2: 30 }) },
  {
    name: 'pass-through',
    directory: 2,
    table: 0,
    make: () => {
      const rig = new Rig();
      rig.tables.legacy(RID, { translationType: TranslationType.PassThrough, domain: 1 });
      return { rig, request: { address: 2 ** 32 + 0x5678 } };
    },
  },
  {
    name: 'translation disabled',
    directory: 0,
    table: 0,
    make: () => {
      const { rig } = legacy();
      rig.vtd.write(Register.GlobalCommand, 0, GlobalBit.QueuedInvalidationEnable);
      return { rig, request: { address: 2 ** 32 + 0x5678 } };
    },
  },
];

const SCALABLE_READS: ReadCase[] = [
  { name: 'first stage, four levels', directory: 4, table: 4, make: () => firstStage() },
  { name: 'first stage, five levels', directory: 4, table: 5, make: () => firstStage({ levels: 5 }) },
  { name: 'first stage, 2 MiB leaf', directory: 4, table: 3, make: () => firstStage({ iova: MIB2, pageLg2: 21 }) },
  { name: 'first stage, 1 GiB leaf', directory: 4, table: 2, make: () => firstStage({ iova: GIB, pageLg2: 30 }) },
  { name: 'second stage, three levels', directory: 4, table: 3, make: () => secondStage({ levels: 3 }) },
  { name: 'second stage, four levels', directory: 4, table: 4, make: () => secondStage() },
  { name: 'second stage, 2 MiB leaf', directory: 4, table: 3, make: () => secondStage({ iova: MIB2, pageLg2: 21 }) },
  { name: 'with PASID', directory: 4, table: 4, make: () => firstStage({ pasid: 4097 }) },
  {
    name: 'pass-through',
    directory: 4,
    table: 0,
    make: () => {
      const rig = new Rig({ mode: 'scalable' });
      rig.tables.pasid(RID, 0, { type: PasidType.PassThrough, domain: 1 });
      return { rig, request: { address: 2 ** 32 + 0x5678 } };
    },
  },
];

interface Spoilt {
  readonly name: string;
  readonly reason: FaultReason;
  readonly suppressible?: boolean;
  readonly shape?: Shape;
  readonly request?: Partial<Case['request']>;
  readonly spoil?: (built: Built) => void;
}

function faultCases(build: (shape: Shape) => Built, cases: readonly Spoilt[]): FaultCase[] {
  return cases.map(({ name, reason, suppressible = true, shape = {}, request, spoil }) => ({
    name,
    reason,
    suppressible,
    make: (suppress) => {
      const built = build({ ...shape, suppress });
      spoil?.(built);
      return { rig: built.rig, request: { ...built.request, ...request } };
    },
  }));
}

/** Sets bits of a dword of a directory entry. */
const set =
  (where: (rig: Rig) => number, dword: number, bits: number) =>
  ({ rig }: Built): void =>
    rig.tables.poke(where(rig), dword, (value) => value | bits);
const clearPresent =
  (where: (rig: Rig) => number) =>
  ({ rig }: Built): void =>
    rig.tables.poke(where(rig), 0, (value) => value & ~1);
/** Makes an 8-byte pointer point where there is no memory. */
const astray =
  (where: (rig: Rig) => number) =>
  ({ rig }: Built): void =>
    rig.tables.poke(where(rig), 1, () => NOWHERE / 2 ** 32);
const leaf =
  (level: number, dword: number, change: (value: number) => number) =>
  (built: Built): void =>
    built.rig.tables.poke(entryAt(built, level), dword, change);
const rootTableAt =
  (address: number, mode: number) =>
  ({ rig }: Built): void => {
    rig.vtd.write(Register.RootTableAddress, address / 2 ** 32, encodeRootTableAddress(address, mode));
    rig.vtd.write(Register.GlobalCommand, 0, GlobalBit.SetRootTablePointer | GlobalBit.TranslationEnable);
  };

const root = (rig: Rig): number => rig.tables.rootEntryAt(RID);
const context = (rig: Rig): number => rig.tables.contextAt(RID);
const directory = (rig: Rig): number => rig.tables.directoryEntryAt(RID, 0);
const pasidEntry = (rig: Rig): number => rig.tables.pasidEntryAt(RID, 0);

const LEGACY_FAULTS = faultCases(legacy, [
  {
    name: 'root table outside memory',
    reason: FaultReason.RootAccess,
    suppressible: false,
    spoil: rootTableAt(NOWHERE, 0),
  },
  {
    name: 'root entry not present',
    reason: FaultReason.RootNotPresent,
    suppressible: false,
    spoil: clearPresent(root),
  },
  {
    name: 'reserved bit in root entry',
    reason: FaultReason.RootReserved,
    suppressible: false,
    spoil: set(root, 0, 0x800),
  },
  { name: 'upper half of root entry', reason: FaultReason.RootReserved, suppressible: false, spoil: set(root, 3, 1) },
  { name: 'context table outside memory', reason: FaultReason.ContextAccess, suppressible: false, spoil: astray(root) },
  { name: 'context entry not present', reason: FaultReason.ContextNotPresent, spoil: clearPresent(context) },
  { name: 'reserved bit in context entry', reason: FaultReason.ContextReserved, spoil: set(context, 0, 0x10) },
  { name: 'address width not supported', reason: FaultReason.ContextInvalid, spoil: set(context, 2, 7) },
  { name: 'translation type 3', reason: FaultReason.ContextInvalid, spoil: set(context, 0, 0xc) },
  { name: 'page table outside memory', reason: FaultReason.ContextInvalid, spoil: astray(context) },
  { name: 'address beyond 48 bits', reason: FaultReason.AddressBeyondWidth, request: { address: 2 ** 48 } },
  { name: 'read of an absent page', reason: FaultReason.ReadDenied, request: { address: IOVA + 4096 } },
  { name: 'write to an absent page', reason: FaultReason.WriteDenied, request: { address: IOVA + 4096, write: true } },
  {
    name: 'write to a read-only page',
    reason: FaultReason.WriteDenied,
    shape: { access: Access.Read },
    request: { write: true },
  },
  { name: 'read of a write-only page', reason: FaultReason.ReadDenied, shape: { access: Access.Write } },
  { name: 'page size at level 4', reason: FaultReason.PagingEntryReserved, spoil: leaf(4, 0, (w) => w | 0x80) },
  {
    name: 'address bits above the host width',
    reason: FaultReason.PagingEntryReserved,
    spoil: leaf(1, 1, (w) => w | 0x4000),
  },
  { name: 'table outside memory', reason: FaultReason.PagingEntryAccess, spoil: leaf(2, 1, () => NOWHERE / 2 ** 32) },
  {
    name: 'scalable root table of a unit without scalable mode',
    reason: FaultReason.RootTablePointer,
    suppressible: false,
    spoil: rootTableAt(0, 1),
  },
  {
    name: 'request with PASID',
    reason: FaultReason.PasidRequestInLegacyMode,
    suppressible: false,
    request: { pasid: 5 },
  },
]);

/** Faults before the tables: the same for both stages. */
const DIRECTORY_FAULTS: Spoilt[] = [
  {
    name: 'root table outside memory',
    reason: FaultReason.ScalableRootAccess,
    suppressible: false,
    spoil: rootTableAt(NOWHERE, 1),
  },
  {
    name: 'root entry not present',
    reason: FaultReason.ScalableRootNotPresent,
    suppressible: false,
    spoil: clearPresent(root),
  },
  {
    name: 'reserved bit in root entry',
    reason: FaultReason.ScalableRootReserved,
    suppressible: false,
    spoil: set(root, 0, 2),
  },
  {
    name: 'reserved bit in the other half of a root entry',
    reason: FaultReason.ScalableRootReserved,
    suppressible: false,
    spoil: set(root, 2, 3),
  },
  {
    name: 'root table mode that is reserved',
    reason: FaultReason.RootTablePointer,
    suppressible: false,
    spoil: rootTableAt(0, 2),
  },
  {
    name: 'context table outside memory',
    reason: FaultReason.ScalableContextAccess,
    suppressible: false,
    spoil: astray(root),
  },
  { name: 'context entry not present', reason: FaultReason.ScalableContextNotPresent, spoil: clearPresent(context) },
  { name: 'reserved bit in context entry', reason: FaultReason.ScalableContextReserved, spoil: set(context, 0, 0x20) },
  { name: 'upper half of context entry', reason: FaultReason.ScalableContextReserved, spoil: set(context, 7, 1) },
  {
    name: 'PASID not enabled',
    reason: FaultReason.PasidDisabled,
    request: { pasid: 1 },
    spoil: ({ rig }) => rig.tables.poke(context(rig), 0, (w) => w & ~8),
  },
  { name: 'PASID beyond the directory', reason: FaultReason.PasidTooLarge, request: { pasid: 2 ** 14 } },
  {
    name: 'RID_PASID beyond the directory',
    reason: FaultReason.ScalableContextInvalid,
    spoil: set(context, 2, 2 ** 14),
  },
  {
    name: 'page requests without device TLB',
    reason: FaultReason.ScalableContextInvalid,
    spoil: set(context, 0, 0x10),
  },
  { name: 'PASID that is RID_PASID', reason: FaultReason.RequesterPasid, request: { pasid: 0 } },
  {
    name: 'directory outside memory',
    reason: FaultReason.PasidDirectoryAccess,
    suppressible: false,
    spoil: astray(context),
  },
  { name: 'directory entry not present', reason: FaultReason.PasidDirectoryNotPresent, spoil: clearPresent(directory) },
  { name: 'reserved bit in directory entry', reason: FaultReason.PasidDirectoryReserved, spoil: set(directory, 0, 4) },
  {
    name: 'PASID table outside memory',
    reason: FaultReason.PasidAccess,
    suppressible: false,
    spoil: astray(directory),
  },
  { name: 'PASID entry not present', reason: FaultReason.PasidNotPresent, spoil: clearPresent(pasidEntry) },
  {
    name: 'unused PASID',
    reason: FaultReason.PasidNotPresent,
    shape: { pasid: 63 },
    request: { pasid: 62 },
    suppressible: true,
  },
  { name: 'reserved bit in PASID entry', reason: FaultReason.PasidReserved, spoil: set(pasidEntry, 0, 0x400) },
  { name: 'upper half of PASID entry', reason: FaultReason.PasidReserved, spoil: set(pasidEntry, 15, 1) },
  { name: 'translation type 7', reason: FaultReason.PasidInvalid, spoil: set(pasidEntry, 0, 0x1c0) },
];

const FIRST_FAULTS = faultCases(firstStage, [
  ...DIRECTORY_FAULTS,
  { name: 'five levels on a unit of four', reason: FaultReason.PasidInvalid, spoil: set(pasidEntry, 4, 4) },
  {
    name: 'root outside memory',
    reason: FaultReason.FirstStageRoot,
    spoil: ({ rig }) => rig.tables.poke(pasidEntry(rig), 5, () => NOWHERE / 2 ** 32),
  },
  { name: 'absent page', reason: FaultReason.FirstStageNotPresent, request: { address: IOVA + 4096 } },
  { name: 'page size at level 4', reason: FaultReason.FirstStageReserved, spoil: leaf(4, 0, (w) => w | 0x80) },
  { name: 'table outside memory', reason: FaultReason.FirstStageAccess, spoil: leaf(2, 1, () => NOWHERE / 2 ** 32) },
  { name: 'address not canonical', reason: FaultReason.NonCanonical, request: { address: 2 ** 47 } },
  { name: 'supervisor page', reason: FaultReason.Privilege, spoil: leaf(1, 0, (w) => w & ~4) },
  {
    name: 'write to a read-only page',
    reason: FaultReason.ScalableWriteDenied,
    shape: { access: Access.Read },
    request: { write: true },
  },
]);

const SECOND_FAULTS = faultCases(secondStage, [
  ...DIRECTORY_FAULTS,
  { name: 'address width not supported', reason: FaultReason.PasidInvalid, spoil: set(pasidEntry, 0, 0x1c) },
  {
    name: 'root outside memory',
    reason: FaultReason.SecondStageRoot,
    spoil: ({ rig }) => rig.tables.poke(pasidEntry(rig), 1, () => NOWHERE / 2 ** 32),
  },
  { name: 'absent page', reason: FaultReason.SecondStagePermission, request: { address: IOVA + 4096 } },
  { name: 'page size at level 4', reason: FaultReason.SecondStageReserved, spoil: leaf(4, 0, (w) => w | 0x80) },
  { name: 'table outside memory', reason: FaultReason.SecondStageAccess, spoil: leaf(2, 1, () => NOWHERE / 2 ** 32) },
  {
    name: 'address beyond 48 bits',
    reason: FaultReason.SecondStageOutputBeyondMaximum,
    request: { address: 2 ** 48 },
  },
  {
    name: 'write to a read-only page',
    reason: FaultReason.ScalableWriteDenied,
    shape: { access: Access.Read },
    request: { write: true },
  },
  { name: 'read of a write-only page', reason: FaultReason.ScalableReadDenied, shape: { access: Access.Write } },
]);

checkArchContract('VT-d, legacy mode', LEGACY_READS, LEGACY_FAULTS);
checkArchContract('VT-d, scalable mode, first stage', SCALABLE_READS, FIRST_FAULTS);
checkArchContract('VT-d, scalable mode, second stage', [], SECOND_FAULTS);

describe('fault log', () => {
  it('keeps the first faults, counts the rest as lost and sets the overflow bit', () => {
    const { rig } = legacy({ unit: { faults: { records: 2 } } });
    for (let page = 1; page <= 2; page++) rig.translate({ address: IOVA + 4096 * page });
    expect([rig.faults.overflow, rig.faults.counters.lost]).toEqual([false, 0]);
    rig.translate({ address: IOVA + 4096 * 3, write: true });
    expect([rig.faults.overflow, rig.faults.counters.total, rig.faults.counters.lost]).toEqual([true, 3, 1]);
    expect([0, 1].map((i) => recordOf(rig, i)!.page)).toEqual([1, 2].map((p) => IOVA / 4096 + p));
    expect(countsOf(rig)).toEqual({ [FaultReason.ReadDenied]: 2, [FaultReason.WriteDenied]: 1 });
  });
});

describe('fault processing disable', () => {
  it('holds for requests whose whole directory is cached, and only for the requester that asked', () => {
    const rig = new Rig();
    const { table } = rig.mapped(IOVA, 4096);
    const other = REQUESTERS[1]!;
    rig.tables.legacy(RID, { root: table.root, domain: 7, suppressFaults: true });
    rig.tables.legacy(other, { root: table.root, domain: 8 });
    for (const device of [0, 1, 0, 1]) rig.translate({ address: IOVA, device });
    for (const device of [0, 1, 0, 1]) rig.translate({ address: IOVA + 4096, device });
    expect(countsOf(rig)).toEqual({ [FaultReason.ReadDenied]: 2 });
    expect([0, 1].map((i) => recordOf(rig, i)!.source)).toEqual([other, other]);
  });

  it('is taken from the directory entry of the PASID too', () => {
    const { rig, request } = firstStage();
    rig.tables.poke(directory(rig), 0, (w) => w | 2);
    rig.translate(request);
    rig.translate({ ...request, address: IOVA + 4096 });
    expect(countsOf(rig)).toEqual({});
  });
});

describe('address spaces', () => {
  it('addresses that differ in their top bits only are not confused', () => {
    const rig = new Rig({ mode: 'scalable', stage: 'first' });
    const { table } = rig.mapped(IOVA, 4096, { first: true });
    rig.tables.pasid(RID, 0, { type: PasidType.FirstStage, firstRoot: table.root, domain: 7 });
    expect(rig.translate({ address: IOVA }).aborted).toBe(false);
    expect(rig.translate({ address: IOVA + 2 ** 60 }).aborted).toBe(true);
    expect(countsOf(rig)).toEqual({ [FaultReason.NonCanonical]: 1 });
  });

  it('a PASID reaches its own table, a request without one the table of RID_PASID', () => {
    const rig = new Rig({ mode: 'scalable', stage: 'first' });
    const maps = [0, 9, 700].map((pasid) => {
      const { table, pa } = rig.mapped(IOVA, 4096, { first: true });
      rig.tables.pasid(RID, pasid, { type: PasidType.FirstStage, firstRoot: table.root, domain: 7 });
      return { pasid, pa };
    });
    for (const _ of [0, 1]) {
      for (const { pasid, pa } of maps) {
        expect(rig.translate({ address: IOVA + 64, pasid: pasid === 0 ? -1 : pasid }).output).toBe(pa + 64);
      }
    }
    // A PASID that is RID_PASID is refused, although the caches hold its entry.
    expect(rig.translate({ address: IOVA, pasid: 0 }).aborted).toBe(true);
    expect(countsOf(rig)).toEqual({ [FaultReason.RequesterPasid]: 1 });
  });

  it('large pages translate every offset, above 4 GiB and beside small pages', () => {
    const rig = new Rig();
    const table = rig.pageTable();
    const gib = rig.frames.allocateContiguous(2 ** 30, 2 ** 30);
    const mib = rig.frames.allocateContiguous(2 ** 21, 2 ** 21);
    const base = 0x7f_0000_0000;
    table.map(base, gib, 2 ** 30, Access.Read, 30);
    table.map(base + 2 ** 30, mib, 2 ** 21, Access.Read, 21);
    table.map(base + 2 ** 31, mib, 4096, Access.Read, 12);
    rig.tables.legacy(RID, { root: table.root, domain: 7 });
    for (const _ of [0, 1]) {
      for (const offset of [0, 0x12345f40, 2 ** 30 - 64]) {
        expect(rig.translate({ address: base + offset }).output).toBe(gib + offset);
      }
      for (const offset of [0, 0x1f_ffc0]) {
        expect(rig.translate({ address: base + 2 ** 30 + offset }).output).toBe(mib + offset);
      }
      expect(rig.translate({ address: base + 2 ** 31 + 0xfc0 }).output).toBe(mib + 0xfc0);
    }
    expect(rig.unit.counters.walks).toBe(3);
  });
});

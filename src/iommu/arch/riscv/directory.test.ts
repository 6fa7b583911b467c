/** What a cold translation reads, what is cached of it, and what each step that fails is called. */
import { describe, expect, it } from 'vitest';
import { Access } from '../../../protocol/access.js';
import { DEVICE, RiscvRig, type RiscvRequest, type Shape } from '../../testing/riscv-rig.js';
import { READ_PS } from '../../testing/spec.js';
import { Capability, Cause, Control, encodeMsiEntry, ProcessControl, Register } from './format.js';

const IOVA = 0x12_3456_7000;
const PID = 0x53;

interface Tables extends Shape {
  readonly extended?: boolean;
  /** Levels of process directory, first and second stage; 0: none, or Bare. */
  readonly process?: number;
  readonly first?: number;
  readonly second?: number;
  readonly control?: number;
  readonly sizeLg2?: number;
  readonly access?: Access;
  readonly process0?: boolean;
  readonly processControl?: number;
  readonly address?: number;
}

interface Built {
  readonly rig: RiscvRig;
  readonly request: RiscvRequest;
  readonly pa: number;
  readonly context: number;
  /** Root of the first or only stage, and of the second; process directory. */
  readonly root: number;
  readonly secondRoot: number;
  readonly directory: number;
}

/** One device with the tables asked for, and a request that they translate. */
function build(tables: Tables = {}): Built {
  const { extended = false, process = 0, first = 3, second = 0, control = 0, sizeLg2, access, address = IOVA } = tables;
  const rig = new RiscvRig({
    ...tables,
    capabilities: [...(tables.capabilities ?? []), ...(extended ? [Capability.MsiFlat] : [])],
  });
  const deviceId = rig.deviceLevels === 1 ? 0x35 : DEVICE;
  const map = { ...(sizeLg2 !== undefined && { sizeLg2 }), ...(access !== undefined && { access }) };
  const none = { root: 0, pa: address };
  const mapped =
    first > 0 ? rig.mapped(first, false, address, map) : second > 0 ? rig.mapped(second, true, address, map) : none;
  const secondRoot = second === 0 ? 0 : first === 0 ? mapped.root : rig.guest(second);
  const outer = { control, secondRoot, secondLevels: second, gscid: second === 0 ? 0 : 7 };
  const firstRoot = first === 0 ? 0 : mapped.root;
  let context: number;
  let directory = 0;
  if (process > 0) {
    directory = rig.processes(process, outer, deviceId);
    const pid = tables.process0 === true ? 0 : PID;
    rig.process(directory, process, pid, {
      root: firstRoot,
      levels: first,
      pscid: 3,
      control: tables.processControl ?? 0,
    });
    context = rig.contextAt(deviceId);
  } else context = rig.device({ ...outer, firstRoot, firstLevels: first, pscid: 3 }, deviceId);
  const pasid = process > 0 && tables.process0 !== true ? PID : -1;
  return {
    rig,
    request: { address, deviceId, pasid },
    pa: mapped.pa,
    context,
    root: mapped.root,
    secondRoot,
    directory,
  };
}

describe('cold reads', () => {
  // DDT levels, base or extended contexts, PDT levels, first stage, second stage: all reads.
  it.each([
    [1, true, 0, 0, 0, 1],
    [1, true, 0, 3, 0, 4],
    [2, true, 0, 3, 0, 5],
    [3, false, 0, 0, 0, 3],
    [3, true, 0, 0, 0, 3],
    [3, false, 0, 3, 0, 6],
    [3, false, 0, 4, 0, 7],
    [3, false, 0, 5, 0, 8],
    [3, false, 0, 0, 3, 6],
    [3, false, 0, 0, 4, 7],
    [3, false, 0, 0, 5, 8],
    [3, false, 0, 3, 3, 18],
    [3, false, 0, 3, 4, 22],
    [3, false, 0, 3, 5, 26],
    [3, false, 0, 4, 3, 22],
    [3, false, 0, 4, 4, 27],
    [3, false, 0, 4, 5, 32],
    [3, false, 0, 5, 3, 26],
    [3, false, 0, 5, 4, 32],
    [3, false, 0, 5, 5, 38],
    [3, true, 1, 3, 0, 7],
    [3, true, 2, 3, 0, 8],
    [3, true, 3, 3, 0, 9],
    [3, true, 1, 3, 3, 22],
    [3, true, 2, 3, 3, 26],
    [3, true, 3, 3, 3, 30],
    [3, true, 1, 3, 4, 27],
    [3, true, 2, 3, 4, 32],
    [3, true, 3, 3, 4, 37],
    [3, true, 1, 3, 5, 32],
    [3, true, 2, 3, 5, 38],
    [3, true, 3, 3, 5, 44],
  ])(
    'DDT %i, extended %s, PDT %i, first %i over second %i: %i',
    (deviceLevels, extended, process, first, second, all) => {
      const { rig, request, pa } = build({ deviceLevels, extended, process, first, second });
      const cold = rig.translate(request);
      const [directory, table] = rig.reads();
      expect(directory + table).toBe(all);
      expect(directory).toBe(deviceLevels + process);
      expect(cold).toEqual({ aborted: false, output: pa, at: all * READ_PS });
      // Everything is cached: no further read.
      expect(rig.translate(request)).toMatchObject({ aborted: false, output: pa, at: all * READ_PS });
      expect(rig.reads()).toEqual([0, 0]);
    },
  );

  it.each([
    [3, 21, 5],
    [3, 30, 4],
    [4, 30, 5],
    [3, 16, 6],
  ])('Sv39 to Sv57 with %i levels, a leaf of 2^%i bytes: %i', (first, sizeLg2, all) => {
    const { rig, request } = build({ first, sizeLg2 });
    rig.translate(request);
    expect(rig.reads().reduce((a, b) => a + b)).toBe(all);
    // The whole leaf is one entry of the IOTLB.
    const other = request.address - (request.address % 2 ** sizeLg2) + 2 ** sizeLg2 - 4096;
    expect(rig.translate({ ...request, address: other }).aborted).toBe(false);
    expect(rig.reads()).toEqual([0, 0]);
  });

  it('the second page needs the tables again, but no context', () => {
    const { rig, request } = build({ process: 2, second: 3, sizeLg2: 21 });
    rig.translate(request);
    rig.reads();
    rig.unit.translations.dropAll();
    rig.translate(request);
    expect(rig.reads()[0]).toBe(0);
  });

  it('a context that the cache has lost does not cost the process directory again', () => {
    const { rig, request } = build({ process: 3 });
    rig.translate(request);
    rig.reads();
    rig.unit.architecture.contexts.dropDevices();
    rig.unit.translations.dropAll();
    rig.translate(request);
    expect(rig.reads()).toEqual([3, 3]);
  });

  it.each([Control.DefaultProcess, 0])('without PASID, DPE %i', (control) => {
    const { rig, request } = build({ process: 1, process0: true, control });
    // Without a default process, requests without PASID have no first stage.
    const found = rig.translate(request);
    expect(rig.reads()).toEqual(control === 0 ? [3, 0] : [4, 3]);
    expect(found.output === request.address).toBe(control === 0);
    rig.translate(request);
    expect(rig.reads()).toEqual([0, 0]);
  });
});

describe('ddtp', () => {
  it('Off refuses, Bare lets everything pass', () => {
    const { rig, request } = build();
    rig.write(Register.DirectoryPointer, 0, 0);
    expect(rig.translate(request).aborted).toBe(true);
    expect(rig.causes()).toEqual({ [Cause.AllDisallowed]: 1 });
    rig.write(Register.DirectoryPointer, 0, 1);
    expect(rig.translate(request)).toMatchObject({ aborted: false, output: IOVA });
    // A reserved mode changes nothing.
    rig.write(Register.DirectoryPointer, 0, 9);
    expect(rig.translate(request).aborted).toBe(false);
    expect(rig.reads()).toEqual([0, 0]);
  });
});

describe('accessed and dirty bits', () => {
  const A = 1n << 6n;
  const D = 1n << 7n;

  /** Clears A and D of every leaf of a table of 4 KiB pages. */
  function clear(rig: RiscvRig, root: number, levels: number, entries = 512): void {
    for (let i = 0; i < entries; i++) {
      const entry = root + 8 * i;
      const word = rig.word(entry);
      if ((word & 1n) === 0n) continue;
      if ((word & 14n) === 0n) clear(rig, Number((word >> 10n) & 0xfffffffffffn) * 4096, levels - 1);
      else rig.poke(entry, (w) => w & ~(A | D));
    }
  }

  it('SADE: one update after the reads, and another for the first write', () => {
    const { rig, request, root } = build({ control: Control.FirstUpdates });
    clear(rig, root, 3);
    expect(rig.translate(request).aborted).toBe(false);
    expect(rig.reads()).toEqual([3, 3]);
    expect(rig.translate(request).aborted).toBe(false);
    expect(rig.reads()).toEqual([0, 0]);
    // The page is clean: the write walks.
    expect(rig.translate({ ...request, write: true }).aborted).toBe(false);
    expect(rig.reads()).toEqual([0, 3]);
    expect(rig.translate({ ...request, write: true }).aborted).toBe(false);
    expect(rig.reads()).toEqual([0, 0]);
  });

  it('GADE: every second-stage leaf that is used gets its accessed bit, those of tables their dirty bit', () => {
    const { rig, request, root, secondRoot } = build({
      second: 3,
      control: Control.FirstUpdates | Control.SecondUpdates,
    });
    clear(rig, root, 3);
    clear(rig, secondRoot, 3, 2048);
    expect(rig.translate(request).aborted).toBe(false);
    expect(rig.reads()).toEqual([3, 15]);
    let accessed = 0;
    let dirty = 0;
    const count = (table: number, entries: number): void => {
      for (let i = 0; i < entries; i++) {
        const word = rig.word(table + 8 * i);
        if ((word & 1n) === 0n) continue;
        if ((word & 14n) === 0n) count(Number((word >> 10n) & 0xfffffffffffn) * 4096, 512);
        else {
          if ((word & A) !== 0n) accessed++;
          if ((word & D) !== 0n) dirty++;
        }
      }
    };
    count(secondRoot, 2048);
    // Three tables of the first stage and the page itself.
    expect([accessed, dirty]).toEqual([4, 3]);
  });

  it.each([
    ['SADE', 0, Cause.ReadPage],
    ['GADE', 3, Cause.ReadGuestPage],
  ])('without %s a clear accessed bit faults', (_, second, cause) => {
    const { rig, request, root, secondRoot } = build({ second });
    if (second > 0) clear(rig, secondRoot, 3, 2048);
    else clear(rig, root, 3);
    expect(rig.translate(request).aborted).toBe(true);
    expect(rig.causes()).toEqual({ [cause]: 1 });
  });
});

interface Spoilt {
  readonly name: string;
  readonly cause: Cause;
  readonly tables?: Tables;
  readonly request?: Partial<RiscvRequest>;
  readonly spoil?: (built: Built) => void;
  /** Entries read until it was noticed. */
  readonly reads: number;
  /** iotval2: bits besides the guest-physical address; absent: none. */
  readonly implicit?: bigint;
}

const NOWHERE = 2 ** 45 / 4096;
const set = (at: (built: Built) => number, bits: bigint) => (built: Built) =>
  built.rig.poke(at(built), (w) => w | bits);
const clearBits = (at: (built: Built) => number, bits: bigint) => (built: Built) =>
  built.rig.poke(at(built), (w) => w & ~bits);
const word = (n: number) => (built: Built) => built.context + 8 * n;
const ddte = (level: number) => (built: Built) => built.rig.contextAt(DEVICE, level);
const pdte = (levels: number, level: number) => (built: Built) =>
  built.rig.processAt(built.directory, levels, PID, level);
const astray = (at: (built: Built) => number, low: bigint) => (built: Built) =>
  built.rig.poke(at(built), (w) => (w & ((1n << low) - 1n)) | (BigInt(NOWHERE) << low));

/** Address of the entry for `address` at `level` (1: leaf). */
function entryAt({ rig }: Built, root: number, address: number, levels: number, level: number, rootBits = 9): number {
  let table = root;
  for (let at = levels; ; at--) {
    const entries = 2 ** (at === levels ? rootBits : 9);
    const entry = table + 8 * (Math.floor(address / 2 ** (3 + 9 * at)) % entries);
    if (at === level) return entry;
    table = Number((rig.word(entry) >> 10n) & 0xfffffffffffn) * 4096;
  }
}
const pte = (level: number) => (built: Built) => entryAt(built, built.root, IOVA, 3, level);
/** Second-stage leaf of the page that holds the first-stage root, or of the data page. */
const rootLeaf = (built: Built): number => entryAt(built, built.secondRoot, built.root, 3, 1, 11);
const pageLeaf = (built: Built): number => entryAt(built, built.secondRoot, built.pa, 3, 1, 11);

const V = 1n;
const MISCONFIGURED = Cause.DirectoryMisconfigured;
const context = (name: string, spoil: (built: Built) => void, tables: Tables = {}): Spoilt => ({
  name,
  cause: MISCONFIGURED,
  tables,
  spoil,
  reads: 3,
});

const FAULTS: readonly Spoilt[] = [
  {
    name: 'device id too wide',
    cause: Cause.TypeDisallowed,
    tables: { deviceLevels: 1 },
    request: { deviceId: 0x80 },
    reads: 0,
  },
  { name: 'DDT entry outside memory', cause: Cause.DirectoryAccess, spoil: astray(ddte(3), 10n), reads: 1 },
  { name: 'DDT entry invalid', cause: Cause.DirectoryInvalid, spoil: clearBits(ddte(3), V), reads: 1 },
  { name: 'DDT entry reserved bit', cause: MISCONFIGURED, spoil: set(ddte(2), 1n << 55n), reads: 2 },
  { name: 'device context invalid', cause: Cause.DirectoryInvalid, spoil: clearBits(word(0), V), reads: 3 },
  context('tc reserved', set(word(0), 1n << 12n)),
  context('tc upper half', set(word(0), 1n << 40n)),
  context('ta reserved', set(word(2), 1n)),
  context('RCID without QoS', set(word(2), 1n << 44n)),
  context('fsc reserved', set(word(3), 1n << 50n)),
  context('ATS without capability', set(word(0), BigInt(Control.AtsEnable))),
  context('PRI without ATS', set(word(0), BigInt(Control.PageRequests)), { capabilities: [Capability.Ats] }),
  context('PRPR without PRI', set(word(0), BigInt(Control.PageResponsePasid)), { capabilities: [Capability.Ats] }),
  context('T2GPA without second stage', set(word(0), BigInt(Control.AtsEnable | Control.TranslatedToGuest)), {
    capabilities: [Capability.Ats, Capability.TranslatedToGuest],
  }),
  context('first-stage mode', set(word(3), 7n << 60n)),
  context('Sv48 without capability', set(word(3), 1n << 60n), { without: [Capability.Sv48] }),
  context('second-stage mode', set(word(1), 4n << 60n)),
  context('second-stage root not aligned', set(word(1), 1n), { second: 3 }),
  context('PD20 without capability', () => {}, { process: 3, without: [Capability.Pd20] }),
  context('DPE without process directory', set(word(0), BigInt(Control.DefaultProcess))),
  context('GADE without hardware updates', set(word(0), BigInt(Control.SecondUpdates)), {
    without: [Capability.HardwareUpdates],
  }),
  context('big-endian', set(word(0), BigInt(Control.BigEndian))),
  context('Sv32', set(word(0), BigInt(Control.Sv32))),
  context('msiptp mode', set(word(4), 2n << 60n), { extended: true }),
  context('MSI mask reserved', set(word(5), 1n << 52n), { extended: true }),
  context('last doubleword', set(word(7), 1n), { extended: true }),
  { name: 'PASID without process directory', cause: Cause.TypeDisallowed, request: { pasid: 4 }, reads: 3 },
  { name: 'PASID too wide', cause: Cause.TypeDisallowed, tables: { process: 1 }, request: { pasid: 256 }, reads: 3 },
  {
    name: 'PDT entry outside memory',
    cause: Cause.ProcessAccess,
    tables: { process: 2 },
    spoil: astray(pdte(2, 2), 10n),
    reads: 4,
  },
  {
    name: 'PDT entry invalid',
    cause: Cause.ProcessInvalid,
    tables: { process: 3 },
    spoil: clearBits(pdte(3, 2), V),
    reads: 5,
  },
  {
    name: 'PDT entry reserved',
    cause: Cause.ProcessMisconfigured,
    tables: { process: 2 },
    spoil: set(pdte(2, 2), 2n),
    reads: 4,
  },
  {
    name: 'process context invalid',
    cause: Cause.ProcessInvalid,
    tables: { process: 1 },
    spoil: clearBits(pdte(1, 1), V),
    reads: 4,
  },
  {
    name: 'process context reserved',
    cause: Cause.ProcessMisconfigured,
    tables: { process: 1 },
    spoil: set(pdte(1, 1), 8n),
    reads: 4,
  },
  {
    name: 'privileged without ENS',
    cause: Cause.TypeDisallowed,
    tables: { process: 1 },
    request: { privileged: true },
    reads: 4,
  },
  { name: 'not canonical', cause: Cause.ReadPage, request: { address: IOVA + 2 ** 40 }, reads: 3 },
  { name: 'first-stage pointer absent', cause: Cause.ReadPage, spoil: clearBits(pte(2), V), reads: 5 },
  {
    name: 'first-stage leaf absent, written',
    cause: Cause.WritePage,
    spoil: clearBits(pte(1), V),
    request: { write: true },
    reads: 6,
  },
  { name: 'not executable', cause: Cause.InstructionPage, request: { execute: true }, reads: 6 },
  { name: 'not writable', cause: Cause.WritePage, tables: { access: Access.Read }, request: { write: true }, reads: 6 },
  { name: 'supervisor page', cause: Cause.ReadPage, spoil: clearBits(pte(1), 16n), reads: 6 },
  { name: 'first-stage table outside memory', cause: Cause.ReadAccess, spoil: astray(pte(3), 10n), reads: 4 },
  {
    name: 'the same for a write',
    cause: Cause.WriteAccess,
    spoil: astray(pte(3), 10n),
    request: { write: true },
    reads: 4,
  },
  {
    name: 'guest address too wide',
    cause: Cause.ReadGuestPage,
    tables: { first: 0, second: 3 },
    request: { address: 2 ** 41 },
    reads: 3,
    implicit: 0n,
  },
  {
    name: 'guest page of a table absent',
    cause: Cause.ReadGuestPage,
    tables: { second: 3 },
    spoil: clearBits(rootLeaf, V),
    reads: 6,
    implicit: 1n,
  },
  {
    name: 'guest page of data absent, written',
    cause: Cause.WriteGuestPage,
    tables: { second: 3 },
    spoil: clearBits(pageLeaf, V),
    request: { write: true },
    reads: 18,
    implicit: 0n,
  },
  {
    name: 'guest page of data not for users',
    cause: Cause.ReadGuestPage,
    tables: { second: 3 },
    spoil: clearBits(pageLeaf, 16n),
    reads: 18,
    implicit: 0n,
  },
  {
    name: 'guest page of the process directory absent',
    cause: Cause.ReadGuestPage,
    tables: { process: 1, second: 3 },
    spoil: (b) => b.rig.poke(entryAt(b, b.secondRoot, b.directory, 3, 1, 11), (w) => w & ~V),
    reads: 6,
    implicit: 1n,
  },
  {
    name: 'guest page of the process directory not for users',
    cause: Cause.ReadGuestPage,
    tables: { process: 1, second: 3 },
    spoil: (b) => b.rig.poke(entryAt(b, b.secondRoot, b.directory, 3, 1, 11), (w) => w & ~16n),
    reads: 6,
    implicit: 1n,
  },
  {
    name: 'a first-stage entry to update in a read-only guest page',
    cause: Cause.ReadGuestPage,
    tables: { second: 3, control: Control.FirstUpdates },
    spoil: (b) => {
      const entry = pte(1)(b);
      b.rig.poke(entry, (w) => w & ~(1n << 6n));
      b.rig.poke(entryAt(b, b.secondRoot, entry, 3, 1, 11), (w) => w & ~4n);
    },
    reads: 15,
    implicit: 3n,
  },
];

describe('faults', () => {
  it.each(FAULTS)('$cause: $name', ({ cause, tables = {}, request, spoil, reads, implicit }) => {
    const built = build(tables);
    spoil?.(built);
    const { rig } = built;
    const all = { ...built.request, ...request };
    expect(rig.translate(all).aborted).toBe(true);
    expect(rig.reads().reduce((a, b) => a + b)).toBe(reads);
    expect(rig.causes()).toEqual({ [cause]: 1 });
    const record = [0, 8, 16, 24].map((at) => rig.word(rig.faults + at));
    const type = all.write === true ? 3n : all.execute === true ? 1n : 2n;
    const pid = (all.pasid ?? -1) < 0 ? 0n : (BigInt(all.pasid!) << 12n) | (1n << 32n);
    const privileged = all.privileged === true ? 1n << 33n : 0n;
    expect(record[0]).toBe(BigInt(cause) | pid | privileged | (type << 34n) | (BigInt(all.deviceId!) << 40n));
    expect(record[1]).toBe(0n);
    expect(record[2]).toBe(BigInt(all.address));
    if (implicit === undefined) expect(record[3]).toBe(0n);
    else expect(record[3]! & 3n).toBe(implicit);
    expect(rig.unit.translations.iotlb.occupancy).toBe(0);
  });

  it('what was absent is not cached: made valid, it works without any command', () => {
    for (const at of [ddte(3), ddte(2), word(0), pdte(2, 2), pdte(2, 1)]) {
      const built = build({ process: 2 });
      const { rig, request } = built;
      rig.poke(at(built), (w) => w & ~V);
      expect(rig.translate(request).aborted).toBe(true);
      rig.poke(at(built), (w) => w | V);
      expect(rig.translate(request)).toMatchObject({ aborted: false, output: built.pa });
    }
  });

  it.each([
    [Cause.ReadPage, (b: Built) => clearBits(pte(1), V)(b), 0],
    [Cause.TypeDisallowed, (b: Built) => b, 4],
    [Cause.DirectoryMisconfigured, (b: Built) => set(word(0), 1n << 12n)(b), -1],
  ])('DTF and cause %i', (cause, spoil, pasid) => {
    const built = build({ control: Control.NoFaultReports });
    spoil(built);
    const { rig, request } = built;
    // Twice: the second time the context comes from the cache.
    for (const _ of [0, 1]) expect(rig.translate({ ...request, pasid: pasid > 0 ? pasid : -1 }).aborted).toBe(true);
    expect(rig.causes()).toEqual(cause === MISCONFIGURED ? { [cause]: 2 } : {});
  });
});

describe('privilege', () => {
  const supervisor = ProcessControl.Supervisor;

  it('supervisor pages are for privileged requests, user pages with SUM for both', () => {
    for (const userMemory of [false, true]) {
      const processControl = supervisor | (userMemory ? ProcessControl.UserMemory : 0);
      const { rig, request } = build({ process: 1, processControl });
      expect(rig.translate({ ...request, privileged: true }).aborted).toBe(!userMemory);
      expect(rig.translate(request).aborted).toBe(false);
      // From the cache as from the tables.
      expect(rig.translate({ ...request, privileged: true }).aborted).toBe(!userMemory);
    }
  });

  it('user pages are never executed by a supervisor', () => {
    const access = Access.Read | Access.Execute;
    const processControl = supervisor | ProcessControl.UserMemory;
    const built = build({ process: 1, processControl, access });
    const { rig, request } = built;
    expect(rig.translate({ ...request, execute: true, privileged: true }).aborted).toBe(true);
    expect(rig.causes()).toEqual({ [Cause.InstructionPage]: 1 });
    clearBits(pte(1), 16n)(built);
    expect(rig.translate({ ...request, execute: true, privileged: true }).aborted).toBe(false);
  });
});

describe('MSI page table', () => {
  const FILE = 0x2_8000;

  function withMsi(first: number): { rig: RiscvRig; request: RiscvRequest; entry: number; file: number } {
    const rig = new RiscvRig({ capabilities: [Capability.MsiFlat] });
    const msiTable = rig.frames.allocate();
    const file = rig.frames.allocate();
    const gpa = (FILE + 5) * 4096;
    const firstRoot = first === 0 ? 0 : rig.mapped(first, false, IOVA, { pa: gpa }).root;
    const secondRoot = rig.guest(3);
    rig.device({
      secondRoot,
      secondLevels: 3,
      gscid: 7,
      firstRoot,
      firstLevels: first,
      pscid: 3,
      msiTable,
      msiMask: 7,
      msiPattern: FILE,
    });
    const words = new Int32Array(4);
    encodeMsiEntry(words, file);
    const entry = msiTable + 16 * 5;
    rig.poke(entry, () => (BigInt(words[1]! >>> 0) << 32n) | BigInt(words[0]! >>> 0));
    return { rig, request: { address: first === 0 ? gpa : IOVA, write: true }, entry, file };
  }

  it.each([
    [0, 1],
    [3, 13],
  ])('one read instead of the second stage (first stage of %i levels)', (first, table) => {
    const { rig, request, file } = withMsi(first);
    expect(rig.translate(request)).toMatchObject({ aborted: false, output: file });
    expect(rig.reads()).toEqual([3, table]);
    expect(rig.translate({ ...request, address: request.address + 4 }).output).toBe(file + 4);
    expect(rig.reads()).toEqual([0, 0]);
  });

  it.each([
    ['absent', (w: bigint) => w & ~1n, Cause.MsiInvalid],
    ['of another mode', (w: bigint) => w & ~4n, Cause.MsiMisconfigured],
    ['custom', (w: bigint) => w | (1n << 63n), Cause.MsiMisconfigured],
  ])('an entry that is %s', (_, spoil, cause) => {
    const { rig, request, entry } = withMsi(3);
    rig.poke(entry, spoil);
    expect(rig.translate(request).aborted).toBe(true);
    expect(rig.causes()).toEqual({ [cause]: 1 });
    expect(rig.unit.translations.iotlb.occupancy).toBe(0);
  });

  it('pages that do not match go through the second stage', () => {
    const { rig } = withMsi(0);
    const address = rig.memory.baseOf(0) + 0x3000;
    expect(rig.translate({ address })).toMatchObject({ aborted: false, output: address });
    expect(rig.reads()).toEqual([3, 3]);
  });
});

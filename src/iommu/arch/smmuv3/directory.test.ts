import { describe, expect, it } from 'vitest';
import type { PageTable } from '../../../pagetable/table.js';
import { Access } from '../../../protocol/access.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import {
  ContextBit,
  DefaultSubstream,
  encodeContextInvalidation,
  encodeStreamInvalidation,
  EventCode,
  Register,
  Stage2Bit,
  StreamConfig,
} from './format.js';
import { COLD, type RigRequest, SmmuRig } from './testing/rig.js';

const SID = 0x208;
const IOVA = 0x7654_3000;
const GIB = 2 ** 30;

/** Stage 1 over linear tables, one page mapped. */
function stage1(changes = COLD): { rig: SmmuRig; first: number; table: PageTable; pa: number } {
  const rig = new SmmuRig(changes);
  const { first, encoding } = rig.contexts(4);
  const { table, pa } = rig.mapped(IOVA);
  rig.stream(SID, { config: StreamConfig.Stage1, ...encoding, defaultSubstream: DefaultSubstream.UseContext0 });
  rig.context(first, 0, table);
  rig.context(first, 3, table, { asid: 3 });
  return { rig, first, table, pa };
}

/** Nested over two-level stream and context descriptor tables; the second stage has pages of 2^12 bytes. */
function nested(levels: 3 | 4): { rig: SmmuRig; first: number; pa: number; host: PageTable } {
  const rig = new SmmuRig(COLD, true);
  const { table: host, stage2 } = rig.host(levels, 12);
  const { first, encoding } = rig.contexts(20, true);
  const { table, pa } = rig.mapped(IOVA);
  const defaultSubstream = DefaultSubstream.UseContext0;
  rig.stream(SID, { config: StreamConfig.Nested, ...encoding, defaultSubstream, vmid: 7, stage2 });
  rig.context(first, 0, table);
  return { rig, first, pa, host };
}

/** Reads of directory entries and of table entries for the request. */
function reads(rig: SmmuRig, request: RigRequest): [number, number] {
  const { counters } = rig.unit;
  const before = [counters.directoryReads, counters.tableReads] as const;
  rig.translate(request);
  return [counters.directoryReads - before[0], counters.tableReads - before[1]];
}

describe('cold reads', () => {
  it('stage 1, linear tables: 1 + 1 + 4', () => {
    expect(reads(stage1().rig, { sid: SID, address: IOVA })).toEqual([2, 4]);
  });

  it('stage 1, two-level tables: 2 + 2 + 4', () => {
    const rig = new SmmuRig(COLD, true);
    const { first, encoding } = rig.contexts(20, true);
    const { table, pa } = rig.mapped(IOVA);
    rig.stream(SID, { config: StreamConfig.Stage1, ...encoding, defaultSubstream: DefaultSubstream.UseContext0 });
    rig.context(first, 5, table);
    expect(reads(rig, { sid: SID, ssid: 5, address: IOVA })).toEqual([4, 4]);
    expect(rig.translate({ sid: SID, ssid: 5, address: IOVA + 8 })).toEqual({ aborted: false, output: pa + 8 });
  });

  it('stage 2, two-level stream table, three levels with start tables side by side: 2 + 3', () => {
    const rig = new SmmuRig(COLD, true);
    const { stage2 } = rig.host(3, 12);
    rig.stream(SID, { config: StreamConfig.Stage2, stage2 });
    const address = rig.memory.baseOf(0) + 0x5000;
    expect(reads(rig, { sid: SID, address })).toEqual([2, 3]);
    expect(rig.translate({ sid: SID, address })).toEqual({ aborted: false, output: address });
  });

  it.each([
    [4, 36],
    [3, 29],
  ] as const)('nested, four levels over %i, two-level tables: %i', (levels, total) => {
    const { rig, pa } = nested(levels);
    // Context descriptors, their pointers and first-stage tables are guest-physical; stream tables are not.
    expect(reads(rig, { sid: SID, address: IOVA })).toEqual([4, total - 4]);
    expect(rig.translate({ sid: SID, address: IOVA + 4 })).toEqual({ aborted: false, output: pa + 4 });
  });

  it('bypass: 1, then none', () => {
    const rig = new SmmuRig(COLD);
    rig.stream(SID, { config: StreamConfig.Bypass });
    expect(reads(rig, { sid: SID, address: IOVA })).toEqual([1, 0]);
    expect(reads(rig, { sid: SID, address: IOVA })).toEqual([0, 0]);
    expect(rig.translate({ sid: SID, address: IOVA })).toEqual({ aborted: false, output: IOVA });
  });
});

interface FaultCase {
  readonly name: string;
  readonly code: EventCode;
  /** Stage 1, linear tables. */
  readonly spoil: (rig: SmmuRig, first: number, table: PageTable) => void;
  readonly request?: Partial<RigRequest>;
}

const FAULTS: readonly FaultCase[] = [
  { name: 'StreamID beyond the table', code: EventCode.C_BAD_STREAMID, spoil: (rig) => shrink(rig) },
  { name: 'invalid STE', code: EventCode.C_BAD_STE, spoil: (rig) => rig.change(rig.streamAt(SID), 0, () => 0) },
  {
    name: 'S1STALLD without stalls',
    code: EventCode.C_BAD_STE,
    spoil: (rig) => rig.change(rig.streamAt(SID), 2, (word) => word | (1 << 27)),
  },
  {
    name: 'SubstreamID beyond the table',
    code: EventCode.C_BAD_SUBSTREAMID,
    spoil: () => {},
    request: { ssid: 16 },
  },
  { name: 'SubstreamID 0 beside S1DSS = 2', code: EventCode.F_STREAM_DISABLED, spoil: () => {}, request: { ssid: 0 } },
  {
    name: 'no SubstreamID under S1DSS = 0',
    code: EventCode.F_STREAM_DISABLED,
    spoil: (rig) => rig.change(rig.streamAt(SID), 2, (word) => word & ~3),
  },
  { name: 'invalid CD', code: EventCode.C_BAD_CD, spoil: (rig, first) => rig.change(first, 0, () => 0) },
  {
    name: 'CD outside memory',
    code: EventCode.F_CD_FETCH,
    spoil: (rig) => rig.change(rig.streamAt(SID), 1, (word) => (word & ~0xffff) | 0x7000),
  },
  {
    name: 'STE outside memory',
    code: EventCode.F_STE_FETCH,
    spoil: (rig) => rig.smmu.write(Register.StreamTableBase, 0x7000, 0),
  },
  {
    name: 'table outside memory',
    code: EventCode.F_WALK_EABT,
    spoil: (rig, first) => rig.change(first, 3, () => 0x7000),
  },
  { name: 'no mapping', code: EventCode.F_TRANSLATION, spoil: () => {}, request: { address: IOVA + GIB } },
  { name: 'address wider than T0SZ', code: EventCode.F_TRANSLATION, spoil: () => {}, request: { address: 2 ** 50 } },
  {
    name: 'upper half without tables',
    code: EventCode.F_TRANSLATION,
    spoil: () => {},
    request: { address: 2 ** 64 - 2 ** 20 },
  },
  {
    name: 'output beyond IPS',
    code: EventCode.F_ADDR_SIZE,
    spoil: (rig, first, table) => {
      rig.change(first, 1, (word) => (word & ~7) | 1);
      rig.change(leafOf(rig, table), 1, (word) => word | 0x8000);
    },
  },
  {
    name: 'access flag clear',
    code: EventCode.F_ACCESS,
    spoil: (rig, _, table) => rig.change(leafOf(rig, table), 0, (word) => word & ~(1 << 10)),
  },
  {
    name: 'write to a read-only page',
    code: EventCode.F_PERMISSION,
    spoil: (rig, _, table) => rig.change(leafOf(rig, table), 0, (word) => word | (1 << 7)),
    request: { flags: TlpFlag.Write },
  },
];

/** A stream table of 2^6 entries. */
function shrink(rig: SmmuRig): void {
  rig.smmu.write(Register.StreamTableConfig, 0, 6);
}

/** Address of the leaf that maps IOVA in a table of four levels. */
function leafOf(rig: SmmuRig, table: PageTable): number {
  let at = table.root;
  for (let shift = 39; ; shift -= 9) {
    const entry = at + 8 * (Math.floor(IOVA / 2 ** shift) % 512);
    if (shift === 12) return entry;
    at = (rig.word(entry, 1) & 0xffff) * 2 ** 32 + ((rig.word(entry, 0) & ~0xfff) >>> 0);
  }
}

describe('events of stage 1', () => {
  it.each(FAULTS)('$code: $name', ({ code, spoil, request }) => {
    const { rig, first, table } = stage1();
    spoil(rig, first, table);
    const asked = { sid: SID, address: IOVA, ...request };
    expect(rig.translate(asked).aborted).toBe(true);
    expect(rig.smmu.faults.byCode[code]).toBe(1);
    expect(rig.smmu.faults.total).toBe(1);
    // Code, SSV and SubstreamID; StreamID; RnW; input address.
    const ssid = request?.ssid ?? -1;
    expect(rig.word(rig.events, 0)).toBe(code | (ssid < 0 ? 0 : 0x800 | (ssid << 12)));
    expect(rig.word(rig.events, 1)).toBe(SID);
    const write = ((request?.flags ?? 0) & TlpFlag.Write) !== 0;
    expect((rig.word(rig.events, 3) >>> 3) & 1).toBe(write ? 0 : 1);
    expect((rig.word(rig.events, 5) >>> 0) * 2 ** 32 + (rig.word(rig.events, 4) >>> 0)).toBe(asked.address);
    expect(rig.smmu.directory.events.producer).toBe(1);
    expect(rig.unit.translations.iotlb.occupancy).toBe(0);
  });

  it('CD.R = 0 leaves no record of translation faults, but of configuration errors', () => {
    const { rig, first } = stage1();
    rig.change(first, 1, (word) => word & ~ContextBit.R);
    expect(rig.translate({ sid: SID, address: IOVA + GIB }).aborted).toBe(true);
    expect(rig.smmu.faults.total).toBe(0);
    expect(rig.translate({ sid: SID, ssid: 99, address: IOVA }).aborted).toBe(true);
    expect(rig.smmu.faults.total).toBe(1);
  });

  it('Config 0 aborts without a record, and so does GBPA.ABORT while the unit is off', () => {
    const { rig } = stage1();
    rig.stream(9, { config: StreamConfig.Abort });
    expect(rig.translate({ sid: 9, address: IOVA }).aborted).toBe(true);
    rig.smmu.write(Register.Control0, 0, 0);
    expect(rig.translate({ sid: SID, address: IOVA })).toEqual({ aborted: false, output: IOVA });
    rig.smmu.write(Register.GlobalBypass, 0, (1 << 31) | (1 << 20));
    expect(rig.translate({ sid: SID, address: IOVA }).aborted).toBe(true);
    expect(rig.smmu.faults.total).toBe(0);
  });

  it('an address beyond OAS is refused by bypass too, cached or not', () => {
    const rig = new SmmuRig(COLD);
    rig.stream(SID, { config: StreamConfig.Bypass });
    rig.translate({ sid: SID, address: IOVA });
    expect(rig.translate({ sid: SID, address: 2 ** 48 }).aborted).toBe(true);
    expect(rig.smmu.faults.byCode[EventCode.F_ADDR_SIZE]).toBe(1);
  });
});

describe('events of stage 2', () => {
  /** Dword 3 of a record: S2 in bit 7, CLASS in 9:8. */
  const stageOf = (rig: SmmuRig): number => (rig.word(rig.events, 3) >>> 7) & 7;
  const ipaOf = (rig: SmmuRig): number => (rig.word(rig.events, 7) >>> 0) * 2 ** 32 + (rig.word(rig.events, 6) >>> 0);

  it('of a context descriptor table: S2, CLASS CD, its IPA', () => {
    const { rig, first, host } = nested(4);
    host.unmap(first, 4096, []);
    expect(rig.translate({ sid: SID, address: IOVA }).aborted).toBe(true);
    expect(rig.word(rig.events, 0)).toBe(EventCode.F_TRANSLATION);
    expect(stageOf(rig)).toBe(0b001);
    expect(ipaOf(rig)).toBe(first);
  });

  it('of a stage 1 table: S2, CLASS TT', () => {
    const { rig, first, host } = nested(4);
    const root = (rig.word(first, 3) & 0xffff) * 2 ** 32 + (rig.word(first, 2) >>> 0);
    host.unmap(root, 4096, []);
    rig.translate({ sid: SID, address: IOVA });
    expect(rig.word(rig.events, 0)).toBe(EventCode.F_TRANSLATION);
    expect(stageOf(rig)).toBe(0b011);
    expect(ipaOf(rig)).toBe(root);
  });

  it('of the page: S2, CLASS IN; no record under S2R = 0', () => {
    const { rig, host, pa } = nested(4);
    host.unmap(pa, 4096, []);
    rig.translate({ sid: SID, address: IOVA });
    expect(rig.word(rig.events, 0)).toBe(EventCode.F_TRANSLATION);
    expect(stageOf(rig)).toBe(0b101);
    expect(ipaOf(rig)).toBe(pa);
    rig.change(rig.streamAt(SID), 5, (word) => word & ~Stage2Bit.S2R);
    rig.unit.dropCaches();
    expect(rig.translate({ sid: SID, address: IOVA }).aborted).toBe(true);
    expect(rig.smmu.faults.total).toBe(1);
  });
});

describe('what is cached', () => {
  it('an invalid STE, until CFGI_STE', () => {
    const { rig } = stage1();
    const at = rig.streamAt(SID);
    const valid = rig.word(at, 0);
    rig.change(at, 0, () => 0);
    expect(reads(rig, { sid: SID, address: IOVA })).toEqual([1, 0]);
    rig.change(at, 0, () => valid);
    expect(reads(rig, { sid: SID, address: IOVA })).toEqual([0, 0]);
    expect(rig.smmu.faults.byCode[EventCode.C_BAD_STE]).toBe(2);
    rig.submit((words) => encodeStreamInvalidation(words, 0, SID, true));
    expect(rig.translate({ sid: SID, address: IOVA }).aborted).toBe(false);
  });

  it('an ILLEGAL CD, until CFGI_CD; it does not answer for entries of its ASID', () => {
    const { rig, first, table } = stage1();
    rig.translate({ sid: SID, ssid: 3, address: IOVA });
    rig.context(first, 4, table, { asid: 3 });
    rig.change(first + 4 * 64, 1, (word) => word | ContextBit.S);
    const request = { sid: SID, ssid: 4, address: IOVA };
    expect(rig.translate(request).aborted).toBe(true);
    rig.change(first + 4 * 64, 1, (word) => word & ~ContextBit.S);
    expect(rig.translate(request).aborted).toBe(true);
    expect(rig.smmu.faults.byCode[EventCode.C_BAD_CD]).toBe(2);
    rig.submit((words) => encodeContextInvalidation(words, 0, SID, 4, true));
    expect(rig.translate(request).aborted).toBe(false);
  });

  it('two streams with one ASID and VMID share translations', () => {
    const { rig, first } = stage1();
    const second = 0x300;
    rig.stream(second, { config: StreamConfig.Stage1, contextTable: first });
    rig.translate({ sid: SID, address: IOVA });
    expect(reads(rig, { sid: second, address: IOVA + 4096 })).toEqual([2, 4]);
    expect(reads(rig, { sid: second, address: IOVA })).toEqual([0, 0]);
  });

  it('TTB1: the upper half has tables of its own', () => {
    const { rig, first, table } = stage1();
    const upper = rig.table(1, 3);
    const pa = rig.frames.allocate();
    upper.map(0x1234_5000, pa, 4096, Access.Read, 12);
    rig.context(first, 0, table, { upper: { root: upper.root, granuleLg2: 12, inputLg2: 39 } });
    const address = 2 ** 64 - 2 ** 39 + 2 ** 28 + 0x0234_5000;
    expect(address % 2 ** 39).toBe(0x1234_5000);
    expect(rig.translate({ sid: SID, address })).toEqual({ aborted: false, output: pa });
    expect(rig.translate({ sid: SID, address: 0x1234_5000 }).aborted).toBe(true);
  });

  it('a contiguous group is one entry', () => {
    const { rig, table } = stage1();
    const bytes = 2 ** 16;
    const pa = rig.frames.allocateContiguous(bytes, bytes);
    table.map(0x10000, pa, bytes, Access.Read, 16);
    rig.translate({ sid: SID, address: 0x10000 });
    expect(reads(rig, { sid: SID, address: 0x1f000 })).toEqual([0, 0]);
    expect(rig.translate({ sid: SID, address: 0x1f004 }).output).toBe(pa + 0xf004);
  });
});

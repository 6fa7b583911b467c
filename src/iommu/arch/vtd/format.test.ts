import { describe, expect, it } from 'vitest';
import { Fault } from '../../../pagetable/walk.js';
import { Access } from '../../../protocol/access.js';
import {
  AddressType,
  aboveAddressWidth,
  CAPABILITY,
  checkDirectoryEntry,
  checkLegacyContext,
  checkPasidEntry,
  checkRootEntry,
  checkScalableContext,
  contextDomain,
  contextEntryOffset,
  contextLevels,
  Descriptor,
  DescriptorType,
  decodeDescriptor,
  descriptorBytes,
  directoryEntryOffset,
  EXTENDED_CAPABILITY,
  encodeContextInvalidation,
  encodeDeviceTlbInvalidation,
  encodeDirectoryEntry,
  encodeFaultRecord,
  encodeInterruptInvalidation,
  encodeIotlbInvalidation,
  encodeLegacyContext,
  encodePageGroupResponse,
  encodePasidCacheInvalidation,
  encodePasidDeviceTlbInvalidation,
  encodePasidEntry,
  encodePasidIotlbInvalidation,
  encodeQueueAddress,
  encodeRootEntry,
  encodeRootTableAddress,
  encodeScalableContext,
  encodeWait,
  FAULT_REASON_NAMES,
  FaultReason,
  faultReason,
  faultRecorded,
  firstStageLevels,
  Granularity,
  isQualified,
  PasidCacheGranularity,
  PasidType,
  packRegister,
  pasidDomain,
  pasidEntryOffset,
  pasidLimit,
  pasidType,
  queueBytes,
  queueIsWide,
  RequestType,
  registerField,
  requesterPasid,
  rootEntryOffset,
  Stage,
  secondStageAccessedDirty,
  secondStageLevels,
  TableMode,
  TranslationType,
  tableMode,
  WaitFlag,
} from './format.js';

/** The structure as 64-bit words. */
function qwords(d: Int32Array, count: number): bigint[] {
  return Array.from({ length: count }, (_, i) =>
    BigInt.asUintN(64, (BigInt(d[2 * i + 1]!) << 32n) | BigInt(d[2 * i]! >>> 0)),
  );
}

const buffer = (): Int32Array => new Int32Array(16).fill(0x5a5a5a5a);
const SAGAW_48 = 0b100;

describe('registers', () => {
  it('reads the capabilities of real units', () => {
    // Broadwell-EP to Ice Lake-SP: CAP 08d2078c106f0466, ECAP f020df.
    const cap = (range: readonly [number, number]): number => registerField(range, 0x106f0466, 0x08d2078c);
    expect(cap(CAPABILITY.ND)).toBe(6);
    expect(cap(CAPABILITY.SAGAW)).toBe(SAGAW_48);
    expect(cap(CAPABILITY.MGAW) + 1).toBe(48);
    expect(cap(CAPABILITY.SSLPS)).toBe(3);
    expect(cap(CAPABILITY.PSI)).toBe(1);
    expect(cap(CAPABILITY.NFR) + 1).toBe(8);
    expect(cap(CAPABILITY.MAMV)).toBe(18);
    expect([cap(CAPABILITY.DRD), cap(CAPABILITY.DWD), cap(CAPABILITY.CM)]).toEqual([1, 1, 0]);
    const ecap = (range: readonly [number, number]): number => registerField(range, 0xf020df, 0);
    expect([ecap(EXTENDED_CAPABILITY.C), ecap(EXTENDED_CAPABILITY.DT), ecap(EXTENDED_CAPABILITY.SMTS)]).toEqual([
      1, 1, 0,
    ]);
    // Sapphire Rapids: CAP 19ed008c40780c66, ECAP 3ee9e86f050df.
    expect(registerField(CAPABILITY.SAGAW, 0x40780c66, 0x19ed008c)).toBe(0b1100);
    expect(registerField(CAPABILITY.MGAW, 0x40780c66, 0x19ed008c) + 1).toBe(57);
    expect(registerField(CAPABILITY.MAMV, 0x40780c66, 0x19ed008c)).toBe(45);
    expect(registerField(EXTENDED_CAPABILITY.SMTS, 0x86f050df | 0, 0x3ee9e)).toBe(1);
    expect(registerField(EXTENDED_CAPABILITY.PSS, 0x86f050df | 0, 0x3ee9e) + 1).toBe(20);
  });

  it('packs what it unpacks', () => {
    const values = { ND: 6, SAGAW: 4, MGAW: 47, SSLPS: 3, PSI: 1, NFR: 7, MAMV: 18, DWD: 1, DRD: 1, FRO: 0x10, PI: 1 };
    const [lo, hi] = packRegister(CAPABILITY, values);
    for (const [name, value] of Object.entries(values)) {
      expect(registerField(CAPABILITY[name as keyof typeof values], lo, hi)).toBe(value);
    }
  });

  it('encodes root table and queue addresses', () => {
    expect(encodeRootTableAddress(0x1_2345_6000, TableMode.Scalable)).toBe(0x23456400);
    expect(tableMode(0x23456400)).toBe(TableMode.Scalable);
    expect(encodeQueueAddress(0x7000, 8, false)).toBe(0x7000);
    const wide = encodeQueueAddress(0x8000, 8, true);
    expect(wide).toBe(0x8801);
    expect([queueIsWide(wide), queueBytes(wide), descriptorBytes(wide), descriptorBytes(0x7000)]).toEqual([
      true,
      8192,
      32,
      16,
    ]);
  });
});

describe('translation structures', () => {
  it('encodes root and context entries', () => {
    const d = buffer();
    encodeRootEntry(d, 0x12_3456_7000);
    expect(qwords(d, 1)).toEqual([0x12_3456_7001n]);
    expect(rootEntryOffset(TableMode.Legacy, 0x3a10)).toBe(0x3a0);
    expect([rootEntryOffset(TableMode.Scalable, 0x3a10), rootEntryOffset(TableMode.Scalable, 0x3a90)]).toEqual([
      0x3a0, 0x3a8,
    ]);
    expect([contextEntryOffset(TableMode.Legacy, 0x3a90), contextEntryOffset(TableMode.Scalable, 0x3a90)]).toEqual([
      0x900, 0x200,
    ]);
    const context = { root: 0x2_0000_5000, levels: 4, domain: 0x1234, suppressFaults: true };
    encodeLegacyContext(d, { ...context, translationType: TranslationType.DeviceTlb });
    expect(qwords(d, 2)).toEqual([0x2_0000_5007n, 0x12_3402n]);
    expect([contextLevels(d[2]!), contextDomain(d[2]!)]).toEqual([4, 0x1234]);
  });

  it('encodes scalable-mode entries', () => {
    const d = buffer();
    encodeScalableContext(d, {
      ...{ pasidDirectory: 0x1_8000_2000, directorySize: 7, requesterPasid: 0xabcde },
      ...{ pasidEnable: true, deviceTlbEnable: true, pageRequestEnable: true, suppressFaults: false },
    });
    expect(qwords(d, 4)).toEqual([0x1_8000_2e1dn, 0xabcden, 0n, 0n]);
    expect([requesterPasid(d[2]!), pasidLimit(d[0]!)]).toEqual([0xabcde, 1 << 20]);
    encodeDirectoryEntry(d, 0x3000);
    expect(qwords(d, 1)).toEqual([0x3001n]);
    expect([directoryEntryOffset(0x12345), pasidEntryOffset(0x12345)]).toEqual([0x48d * 8, 0x140]);

    const entry = {
      ...{ domain: 0xbeef, firstRoot: 0x1_0000_9000, firstLevels: 5, secondRoot: 0, secondLevels: 4 },
      ...{
        secondAccessedDirty: false,
        walkSnoop: true,
        pageSnoop: true,
        supervisorRequests: true,
        suppressFaults: false,
      },
    };
    encodePasidEntry(d, { ...entry, type: PasidType.FirstStage });
    expect(qwords(d, 8)).toEqual([0x49n, 0x180_beefn, 0x1_0000_9005n, 0n, 0n, 0n, 0n, 0n]);
    expect([pasidType(d[0]!), pasidDomain(d[2]!), firstStageLevels(d[4]!)]).toEqual([PasidType.FirstStage, 0xbeef, 5]);
    const second = { ...entry, firstRoot: 0, firstLevels: 4, secondRoot: 0x2_3456_7000, secondAccessedDirty: true };
    encodePasidEntry(d, { ...second, type: PasidType.SecondStage, walkSnoop: false, pageSnoop: false });
    expect(qwords(d, 3)).toEqual([0x2_3456_7289n, 0xbeefn, 1n]);
    expect([secondStageLevels(d[0]!), secondStageAccessedDirty(d[0]!)]).toEqual([4, true]);
  });

  it('finds each way an entry can be wrong', () => {
    const above = aboveAddressWidth(46);
    expect(above >>> 0).toBe(0xffff_c000);
    expect(checkRootEntry(TableMode.Legacy, 0x1001, 0x3fff, 0, 0, above)).toBe(FaultReason.None);
    expect(checkRootEntry(TableMode.Legacy, 0x1000, 0, 0, 0, above)).toBe(0x1);
    expect(checkRootEntry(TableMode.Legacy, 0x1003, 0, 0, 0, above)).toBe(0xa);
    expect(checkRootEntry(TableMode.Legacy, 0x1001, 0x4000, 0, 0, above)).toBe(0xa);
    expect(checkRootEntry(TableMode.Legacy, 0x1001, 0, 1, 0, above)).toBe(0xa);
    expect(checkRootEntry(TableMode.Scalable, 0x1001, 0, 1, 1, above)).toBe(FaultReason.None);
    expect(checkRootEntry(TableMode.Scalable, 0x1000, 0, 0, 0, above)).toBe(0x39);
    expect(checkRootEntry(TableMode.Scalable, 0x1801, 0, 0, 0, above)).toBe(0x3a);

    const legacy = (d0: number, d1: number, d2: number, d3: number): FaultReason =>
      checkLegacyContext(d0, d1, d2, d3, above, SAGAW_48, false);
    expect(legacy(0x1001, 0, 0x102, 0)).toBe(FaultReason.None);
    expect(legacy(0x1001, 0, 0x17a, 0)).toBe(FaultReason.None);
    expect(legacy(0x1000, 0, 0x102, 0)).toBe(0x2);
    for (const broken of [
      [0x1011, 0, 0x102, 0],
      [0x1801, 0, 0x102, 0],
      [0x1001, 0x4000, 0x102, 0],
      [0x1001, 0, 0x182, 0],
      [0x1001, 0, 0x1000102, 0],
      [0x1001, 0, 0x102, 1],
    ] as const) {
      const [d0, d1, d2, d3] = broken;
      expect(legacy(d0, d1, d2, d3)).toBe(0xb);
    }
    expect([legacy(0x1001, 0, 0x101, 0), legacy(0x100d, 0, 0x102, 0), legacy(0x1009, 0, 0x102, 0)]).toEqual([3, 3, 3]);
    expect(checkLegacyContext(0x9, 0, 0x102, 0, above, SAGAW_48, true)).toBe(FaultReason.None);

    expect(checkScalableContext(0x1e1d, 0, 0x1fffff, 0, 0, above)).toBe(FaultReason.None);
    expect(checkScalableContext(0x1e1c, 0, 0, 0, 0, above)).toBe(0x41);
    expect(checkScalableContext(0x1021, 0, 0, 0, 0, above)).toBe(0x42);
    expect(checkScalableContext(0x1001, 0, 0x200000, 0, 0, above)).toBe(0x42);
    expect(checkScalableContext(0x1001, 0, 0, 0, 1, above)).toBe(0x42);
    expect([checkDirectoryEntry(0x1003, 0, above), checkDirectoryEntry(2, 0, above)]).toEqual([0, 0x51]);
    expect([checkDirectoryEntry(0x1005, 0, above), checkDirectoryEntry(1, -1, above)]).toEqual([0x52, 0x52]);

    // PRE without DTE; RID_PASID beyond the directory of PDTS = 0.
    expect([0x1011, 0x1015].map((d0) => checkScalableContext(d0, 0, 0, 0, 0, above))).toEqual([0x43, 0]);
    expect([0x1fff, 0x2000].map((own) => checkScalableContext(0x1001, 0, own, 0, 0, above))).toEqual([0, 0x43]);

    const entry = (words: Readonly<Record<number, number>>, levels = 4, nesting = true): FaultReason => {
      const d = new Int32Array(16);
      for (const [i, word] of Object.entries(words)) d[Number(i)] = word;
      return checkPasidEntry(d, above, SAGAW_48, levels, nesting);
    };
    const pasid = (d0: number, d4: number): FaultReason => entry({ 0: d0, 4: d4 });
    expect([pasid(0x49, 0x1001), pasid(0x1089, 0), pasid(0x101, 0), pasid(0x10c9, 0x1001)]).toEqual([0, 0, 0, 0]);
    expect([entry({ 0: 0x49, 4: 4 }), entry({ 0: 0x49, 4: 4 }, 5), entry({ 0: 0x49, 4: 8 }, 5)]).toEqual([
      0x5b, 0, 0x5b,
    ]);
    expect(entry({ 0: 0x10c9 }, 4, false)).toBe(0x5b);
    // The nested root is within the 48 bits of the second stage; a stage that is not in use is ignored.
    expect([0x7fff, 0x8000, 0x10000].map((d5) => checkPasidEntry(nestedRoot(d5), -1 << 20, SAGAW_48, 4, true))).toEqual(
      [0, 0, 0x5b],
    );
    expect([entry({ 0: 0x5d }), entry({ 0: 0x89, 4: 0xfffff00c & ~0xf02 })]).toEqual([0, 0]);
    expect([pasid(0x48, 0), pasid(0x449, 0), pasid(0x1, 0), pasid(0x141, 0)]).toEqual([0x59, 0x5a, 0x5b, 0x5b]);
    expect([pasid(0x1085, 0), pasid(0x49, 0x1009)]).toEqual([0x5b, 0x5b]);
  });
});

/** A nested PASID entry over a four-level second stage with this upper half of its first-stage root. */
function nestedRoot(d5: number): Int32Array {
  const d = new Int32Array(16);
  [d[0], d[5]] = [0x10c9, d5];
  return d;
}

describe('invalidation descriptors', () => {
  /** Encodes at dword 8 of a dirty buffer; returns the words and what decoding them gives. */
  function round(
    encode: (out: Int32Array, at: number) => void,
    wide = true,
  ): { words: bigint[]; descriptor: Descriptor } {
    const d = buffer();
    encode(d, 8);
    expect(d[7]).toBe(0x5a5a5a5a);
    const descriptor = new Descriptor();
    expect(decodeDescriptor(d.subarray(8), wide, 18, descriptor)).toBe(true);
    expect(qwords(d.subarray(8), 4).slice(2)).toEqual([0n, 0n]);
    return { words: qwords(d.subarray(8), 2), descriptor };
  }

  it('context cache', () => {
    const { words, descriptor } = round((d, at) =>
      encodeContextInvalidation(d, at, Granularity.Selective, 0x1234, 0x3a10, 2),
    );
    expect(words).toEqual([0x2_3a10_1234_0031n, 0n]);
    expect(descriptor).toMatchObject({ type: 1, granularity: 3, domain: 0x1234, source: 0x3a10, functionMask: 2 });
    expect(round((d, at) => encodeContextInvalidation(d, at, Granularity.Global, 0, 0, 0), false).words[0]).toBe(0x11n);
  });

  it('IOTLB: page-selective with mask, hint and draining; domain; global', () => {
    const page = round((d, at) =>
      encodeIotlbInvalidation(d, at, Granularity.Selective, 0xffff, 0x12, 0x3460_0000, 9, true, true, true),
    );
    expect(page.words).toEqual([0xffff_00f2n, 0x12_3460_0049n]);
    expect(page.descriptor).toMatchObject({
      ...{ type: DescriptorType.Iotlb, granularity: 3, domain: 0xffff, addressMask: 9, hint: 1 },
      ...{ addressHi: 0x12, addressLo: 0x3460_0000, drainReads: 1, drainWrites: 1 },
    });
    const domain = round((d, at) => encodeIotlbInvalidation(d, at, Granularity.Domain, 7, 0, 0, 0, false, true, true));
    expect(domain.words).toEqual([0x7_00e2n, 0n]);
    const all = round((d, at) => encodeIotlbInvalidation(d, at, Granularity.Global, 0, 0, 0, 0, false, false, true));
    expect(all.words).toEqual([0x52n, 0n]);
  });

  it('PASID-based IOTLB and PASID cache', () => {
    const page = round((d, at) =>
      encodePasidIotlbInvalidation(d, at, Granularity.Selective, 5, 0xabcde, 1, 0x4000_2000, 1, false),
    );
    expect(page.words).toEqual([0xabcde_0005_0036n, 0x1_4000_2001n]);
    expect(page.descriptor).toMatchObject({ type: 6, domain: 5, pasid: 0xabcde, addressMask: 1, hint: 0 });
    const all = round((d, at) => encodePasidIotlbInvalidation(d, at, Granularity.Domain, 5, 3, 0, 0, 0, false));
    expect(all.words).toEqual([0x3_0005_0026n, 0n]);
    const cache = round((d, at) => encodePasidCacheInvalidation(d, at, PasidCacheGranularity.Pasid, 5, 3));
    expect(cache.words).toEqual([0x3_0005_0017n, 0n]);
    const domain = round((d, at) => encodePasidCacheInvalidation(d, at, PasidCacheGranularity.Domain, 5, 0));
    expect(domain.descriptor).toMatchObject({ type: 7, granularity: 0, domain: 5, pasid: 0 });
  });

  it('wait with status write', () => {
    const flags = WaitFlag.StatusWrite | WaitFlag.Fence;
    const { words, descriptor } = round((d, at) => encodeWait(d, at, flags, 0x12, 0x3456_7894, 2), false);
    expect(words).toEqual([0x2_0000_0065n, 0x12_3456_7894n]);
    expect(descriptor).toMatchObject({ type: 5, flags, statusData: 2, addressHi: 0x12, addressLo: 0x3456_7894 });
  });

  it('device TLB: the lowest zero bit from bit 12 codes the size', () => {
    const device = (lg2: number): bigint[] =>
      round((d, at) => encodeDeviceTlbInvalidation(d, at, 0x3a10, 0xabc, 32 & 31, 0x1, 0x8000_0000, lg2)).words;
    expect(device(12)).toEqual([0xab0_3a10_0000_c003n, 0x1_8000_0000n]);
    expect(device(13)[1]).toBe(0x1_8000_0001n);
    expect(device(14)[1]).toBe(0x1_8000_1001n);
    expect(device(21)[1]).toBe(0x1_800f_f001n);
    expect(device(32)[1]).toBe(0x1_7fff_f001n);
    expect(device(33)[1]).toBe(0x0_ffff_f001n);
    expect(device(64)[1]).toBe(0x7fff_ffff_ffff_f001n);
    const pasid = round((d, at) => encodePasidDeviceTlbInvalidation(d, at, 0x3a10, 0xabc, 16, 0x77, 0, 0x20_0000, 21));
    expect(pasid.words).toEqual([0xab0_0077_3a10_c108n, 0x2f_f800n]);
    expect(pasid.descriptor).toMatchObject({ type: 8, source: 0x3a10, pasid: 0x77, flags: 1 });
  });

  it('interrupt entry cache and page group response', () => {
    expect(round((d, at) => encodeInterruptInvalidation(d, at, true, 0x1234, 3), false).words).toEqual([
      0x1234_1800_0014n,
      0n,
    ]);
    const response = round((d, at) => encodePageGroupResponse(d, at, 0x3a10, 0x55, true, 1, 0x1ab));
    expect(response.words).toEqual([0x55_3a10_1019n, 0xd58n]);
    expect(response.descriptor).toMatchObject({
      type: 9,
      source: 0x3a10,
      pasid: 0x55,
      flags: 1,
      code: 1,
      group: 0x1ab,
    });
  });

  it('refuses what stops a real queue', () => {
    const d = new Int32Array(8);
    const out = new Descriptor();
    const legal = (wide: boolean, ...words: number[]): boolean => {
      d.fill(0);
      d.set(words);
      return decodeDescriptor(d, wide, 18, out);
    };
    expect(legal(true, 0)).toBe(false);
    expect(legal(true, 0xa)).toBe(false);
    expect(legal(true, 0x205)).toBe(false);
    expect(legal(false, 0x26)).toBe(false);
    expect(legal(false, 0x17)).toBe(false);
    expect(legal(false, 0x08)).toBe(false);
    expect([legal(true, 0x26), legal(true, 0x17), legal(true, 0x08)]).toEqual([true, true, true]);
    expect(legal(true, 0x16)).toBe(false);
    expect(legal(true, 0x27)).toBe(false);
    expect(legal(false, 0x02)).toBe(false);
    expect(legal(false, 0x01)).toBe(false);
    expect([legal(false, 0x32, 0, 18), legal(false, 0x32, 0, 19)]).toEqual([true, false]);
    expect(legal(false, 0x22, 0, 19)).toBe(true);
    expect(legal(true, 0x25, 0, 0, 0, 1)).toBe(false);
    expect(legal(false, 0x25, 0, 0, 0, 1)).toBe(true);
    for (const [word, bits] of [
      [0, [8, 12, 31]],
      [2, [0, 1]],
    ] as const) {
      for (const bit of bits) {
        const words = [0x25, 0, 0, 0];
        words[word]! |= 1 << bit;
        expect(legal(false, ...words)).toBe(false);
      }
    }
    for (const bit of [7, 8, 11]) expect(legal(false, 0x32, 0, 1 << bit)).toBe(false);
    for (const bit of [8, 12, 15]) expect(legal(false, 0x32 | (1 << bit))).toBe(false);
    expect(legal(false, 0x32, 1)).toBe(false);
  });
});

describe('reserved bits of descriptors', () => {
  // Fields by absolute bit, from 6.5.2; the type is bits 3:0 and 11:9. `legal` is a descriptor without an optional bit set.
  const kinds: [name: string, legal: number[], fields: [high: number, low: number][]][] = [
    [
      'context cache',
      [0x11],
      [
        [31, 16],
        [47, 32],
        [49, 48],
      ],
    ],
    [
      'IOTLB',
      [0x12],
      [
        [7, 6],
        [31, 16],
        [69, 64],
        [70, 70],
        [127, 76],
      ],
    ],
    [
      'device TLB',
      [0x03],
      [
        [15, 12],
        [20, 16],
        [47, 32],
        [63, 52],
        [64, 64],
        [127, 76],
      ],
    ],
    [
      'interrupt entry cache',
      [0x04],
      [
        [4, 4],
        [31, 27],
        [47, 32],
      ],
    ],
    [
      'wait',
      [0x05],
      [
        [4, 4],
        [5, 5],
        [6, 6],
        [7, 7],
        [63, 32],
        [127, 66],
      ],
    ],
    [
      'PASID-based IOTLB',
      [0x26],
      [
        [31, 16],
        [51, 32],
        [69, 64],
        [70, 70],
        [127, 76],
      ],
    ],
    [
      'PASID cache',
      [0x17],
      [
        [31, 16],
        [51, 32],
      ],
    ],
    [
      'PASID-based device TLB',
      [0x08],
      [
        [8, 4],
        [15, 12],
        [31, 16],
        [51, 32],
        [63, 52],
        [64, 64],
        [75, 75],
        [127, 76],
      ],
    ],
    [
      'page group response',
      [0x09],
      [
        [4, 4],
        [15, 12],
        [31, 16],
        [51, 32],
        [75, 67],
      ],
    ],
  ];
  it.each(kinds)('%s', (_, legal, fields) => {
    const d = new Int32Array(8);
    const out = new Descriptor();
    const granularity = (legal[0]! & 0x30) !== 0;
    for (let bit = 0; bit < 256; bit++) {
      if (bit < 4 || (bit >= 4 && bit < 6 && granularity)) continue;
      d.fill(0);
      d.set(legal);
      d[bit >> 5]! |= 1 << (bit & 31);
      const known = fields.some(([high, low]) => bit <= high && bit >= low);
      expect([bit, decodeDescriptor(d, true, 63, out)]).toEqual([bit, known]);
    }
  });
});

describe('faults', () => {
  it('encodes a record', () => {
    const d = buffer();
    encodeFaultRecord(
      d,
      FaultReason.ReadDenied,
      0x3a10,
      -1,
      0x12,
      0x3456_7abc,
      RequestType.Read,
      AddressType.Untranslated,
    );
    expect(qwords(d, 2)).toEqual([0x12_3456_7000n, 0xc000_0006_0000_3a10n]);
    encodeFaultRecord(
      d,
      FaultReason.FirstStageNotPresent,
      0x3a10,
      0xabcde,
      0,
      0x1000,
      RequestType.PageRequest,
      AddressType.Translated,
    );
    expect(qwords(d, 2)).toEqual([0x1000n, 0xaabc_de71_9000_3a10n]);
    expect([faultRecorded(d[3]!), faultRecorded(d[3]! & 0x7fff_ffff)]).toEqual([true, false]);
  });

  it('maps the end of a walk to a reason per mode and stage', () => {
    const STAGES = [Stage.LegacySecond, Stage.ScalableFirst, Stage.ScalableSecond, Stage.ScalableSecondForTable];
    const row = (fault: Fault, access: number, permissions = 1, atRoot = false): number[] =>
      STAGES.map((stage) => faultReason(stage, fault, access, permissions, atRoot));
    expect(row(Fault.NotPresent, Access.Read)).toEqual([6, 0x71, 0x79, 0x79]);
    expect(row(Fault.NotPresent, Access.Write)).toEqual([5, 0x71, 0x79, 0x79]);
    expect(row(Fault.Reserved, Access.Read)).toEqual([0xc, 0x72, 0x7a, 0x7a]);
    expect(row(Fault.ReadDenied, Access.Read, Access.Write)).toEqual([6, 0x86, 0x86, 0x76]);
    expect(row(Fault.ReadDenied, Access.Read, Access.Write, true)).toEqual([6, 0x86, 0x86, 0x75]);
    expect(row(Fault.WriteDenied, Access.Write)).toEqual([5, 0x85, 0x85, 0x77]);
    // Entries that each grant something, but together nothing.
    expect(row(Fault.ReadDenied, Access.Read, 0)).toEqual([6, 0x86, 0x79, 0x79]);
    expect(row(Fault.WriteDenied, Access.Write, 0)).toEqual([5, 0x85, 0x79, 0x79]);
    expect(row(Fault.TableAccess, Access.Read).slice(0, 3)).toEqual([7, 0x70, 0x78]);
    expect(row(Fault.TableAccess, Access.Read, 1, true).slice(0, 3)).toEqual([3, 0x73, 0x7b]);
    expect(row(Fault.AccessFlag, Access.Read).slice(1)).toEqual([0x90, 0x7c, 0x7c]);
    expect(row(Fault.AddressWidth, Access.Read)[0]).toBe(4);
    expect(row(Fault.AddressWidth, Access.Read)[2]).toBe(0x84);
    const first = (fault: Fault): FaultReason => faultReason(Stage.ScalableFirst, fault, Access.Read, 0, false);
    expect([Fault.NonCanonical, Fault.Privilege, Fault.ExecuteDenied, Fault.OutputSize].map(first)).toEqual([
      0x80, 0x81, 0x82, 0x74,
    ]);
    expect(row(Fault.None, Access.Read)).toEqual([0, 0, 0, 0]);
  });

  it('suppresses only qualified faults and names each reason', () => {
    const always = Object.keys(FAULT_REASON_NAMES)
      .map(Number)
      .filter((reason) => !isQualified(reason));
    expect(always).toEqual([0x1, 0x8, 0x9, 0xa, 0x30, 0x31, 0x32, 0x38, 0x39, 0x3a, 0x40, 0x50, 0x58]);
    expect(FAULT_REASON_NAMES[FaultReason.PasidInvalid]).toBe('PASID entry invalid');
  });
});

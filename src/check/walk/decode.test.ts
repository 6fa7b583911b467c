import { describe, expect, test } from 'vitest';
import { Entry } from '../../iommu/arch/vtd/directory.js';
import { directoryLayout } from '../../iommu/arch/vtd/fields.js';
import {
  encodeDirectoryEntry,
  encodeLegacyContext,
  encodePasidEntry,
  encodeRootEntry,
  encodeScalableContext,
  PasidType,
  TranslationType,
} from '../../iommu/arch/vtd/format.js';
import { compileFormat } from '../../pagetable/format.js';
import { vtdSecondStage } from '../../pagetable/formats/vtdss.js';
import { decodeEntry, hex, permissionNames, short, sizeName, tableFields, tableMeaning, wordsOf } from './decode.js';

const TABLE = 0x1_2345_6000;

/** Name to value of every field of what `encode` writes. */
function fields(entry: Entry, scalable: boolean, dwords: number, encode: (out: Int32Array) => void) {
  const out = new Int32Array(dwords);
  encode(out);
  const decoded = decodeEntry(directoryLayout(entry, scalable), wordsOf(out));
  return Object.fromEntries(decoded.map(({ name, value }) => [name, value]));
}

describe('fields of VT-d structures are where the encoders put them', () => {
  test('root and PASID directory entries', () => {
    const root = { P: '1', CTP: '0x1_2345_6000' };
    expect(fields(Entry.Root, false, 4, (out) => encodeRootEntry(out, TABLE))).toEqual(root);
    const upper = (out: Int32Array): void => encodeRootEntry(out.subarray(2), TABLE);
    expect(fields(Entry.Root, true, 4, upper)).toEqual({ LP: '0', LCTP: '0x0', UP: '1', UCTP: '0x1_2345_6000' });
    const directory = (out: Int32Array): void => encodeDirectoryEntry(out, TABLE);
    expect(fields(Entry.PasidDirectory, true, 2, directory)).toEqual({ P: '1', FPD: '0', SMPTBLPTR: '0x1_2345_6000' });
  });

  test('context entries', () => {
    const legacy = {
      translationType: TranslationType.PassThrough,
      root: TABLE,
      levels: 4,
      domain: 0x1234,
      suppressFaults: true,
    };
    expect(fields(Entry.Context, false, 4, (out) => encodeLegacyContext(out, legacy))).toEqual({
      P: '1',
      FPD: '1',
      TT: '2 (pass-through)',
      SSPTPTR: '0x1_2345_6000',
      AW: '2 (4 levels, 48 bits)',
      DID: '0x1234',
    });
    const scalable = {
      pasidDirectory: TABLE,
      directorySize: 5,
      requesterPasid: 0xf_0123,
      pasidEnable: true,
      deviceTlbEnable: false,
      pageRequestEnable: true,
      suppressFaults: false,
    };
    expect(fields(Entry.Context, true, 8, (out) => encodeScalableContext(out, scalable))).toEqual({
      P: '1',
      FPD: '0',
      DTE: '0',
      PASIDE: '1',
      PRE: '1',
      PDTS: '5',
      PASIDDIRPTR: '0x1_2345_6000',
      RID_PASID: '0xf_0123',
      RID_PRIV: '0',
    });
  });

  test('PASID table entries', () => {
    const entry = {
      type: PasidType.Nested,
      domain: 7,
      firstRoot: TABLE,
      firstLevels: 5,
      secondRoot: 2 * TABLE,
      secondLevels: 3,
      secondAccessedDirty: true,
      walkSnoop: true,
      pageSnoop: false,
      supervisorRequests: true,
      suppressFaults: false,
    };
    expect(fields(Entry.Pasid, true, 16, (out) => encodePasidEntry(out, entry))).toEqual({
      P: '1',
      FPD: '0',
      AW: '1 (3 levels, 39 bits)',
      PGTT: '3 (nested)',
      SSADE: '1',
      SSPTPTR: '0x2_468a_c000',
      DID: '7',
      PWSNP: '1',
      PGSNP: '0',
      SRE: '1',
      FSPM: '1 (5 levels)',
      WPE: '0',
      EAFE: '0',
      FSPTPTR: '0x1_2345_6000',
    });
  });
});

describe('page-table entries', () => {
  const format = compileFormat(
    vtdSecondStage({
      hostAddressWidth: 46,
      guestAddressWidth: 48,
      largestPageLg2: 30,
      scalable: true,
      snoopControl: true,
      accessedDirty: false,
    }),
  );
  const meaning = (level: number, hi: number, lo: number): string => tableMeaning(format, level, hi, lo);

  test('say what they are', () => {
    expect(tableFields(format, 0x1_2345_6083n)).toBe('R=1 W=1 X=0 PS=1 A=0 D=0 SNP=0 ADDRESS=0x1_2345_6000');
    expect(meaning(3, 1, 0x2345_6003)).toMatch(/^points to a level 2 table at 0x1_2345_6000; grants read write /);
    expect(meaning(1, 1, 0x2345_6001)).toMatch(/^maps a page; grants read execute user/);
    expect(meaning(2, 1, 0)).toBe('not present');
    expect(meaning(2, 1 | (1 << 30), 0x2345_6083)).toBe('reserved bits that are set: 62, 18, 16, 14, 13');
  });

  test('numbers, sizes and permissions are readable', () => {
    expect([hex(0xfn), hex(0x1_0000n), hex(0xabcd_ef01_2345n)]).toEqual(['0xf', '0x1_0000', '0xabcd_ef01_2345']);
    expect([short(9), short(10), short(0xffffn)]).toEqual(['9', '0xa', '0xffff']);
    expect([sizeName(12), sizeName(21), sizeName(16), sizeName(39)]).toEqual(['4 KiB', '2 MiB', '64 KiB', '512 GiB']);
    expect(permissionNames(0)).toBe('nothing');
  });
});

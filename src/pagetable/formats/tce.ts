/**
 * POWER translation control entries (PAPR 14.5.4.2 and the IODA3 bridges as QEMU hw/pci-host/pnv_phb4.c and Linux
 * arch/powerpc/platforms/powernv/pci-ioda-tce.c describe them): one table, or several levels of pointers that have the same
 * layout, and one page size for a whole window. An entry is present when a permission bit is set.
 * Words are shown as the CPU reads them; the byte order in memory (big-endian) is not modelled, nor are window bounds.
 */
import { type FormatDescription, type Grants, UNRESTRICTED } from '../description.js';

export interface TceOptions {
  readonly hostAddressWidth: number;
  /** TVE I/O page size: 12, 16, 21 or 30 on PHB4. */
  readonly pageLg2: number;
  /** TVE TCE table size: log2 of the entries of one table, 9 (4 KiB) to 27; all levels have this size. */
  readonly indexBits: number;
}

const GRANTS: Grants = { ...UNRESTRICTED, read: { Read: 1 }, write: { Write: 1 } };
/** DMA addresses have bits 63:60 clear. */
const INPUT_LIMIT = 60;

/** Linux lets a device read what it may write. A table of one level is the flat table of a window. */
export function tce(options: TceOptions): FormatDescription {
  const { hostAddressWidth, pageLg2, indexBits } = options;
  if (!(indexBits >= 9 && indexBits <= 27)) throw new RangeError(`TCE tables of 2^${indexBits} entries`);
  const heights = [1, 2, 3, 4, 5].filter((height) => pageLg2 + (height - 1) * indexBits < INPUT_LIMIT);
  const common = { reserved: [], preset: {}, presetIfWritable: {}, setWhenUsed: {}, dirty: {} } as const;
  return {
    name: 'POWER TCE',
    source: 'PAPR 14.5.4.2; QEMU hw/pci-host/pnv_phb4.c',
    granuleLg2: pageLg2,
    indexBits,
    rootExtraBits: 0,
    heights,
    inputLimitLg2: INPUT_LIMIT,
    signExtended: false,
    hostAddressWidth,
    fields: { Read: [0, 0], Write: [1, 1], RPN: [hostAddressWidth - 1, 12] },
    address: { field: 'RPN', lowestBit: 12 },
    earlyPermissions: 0,
    rules: [
      { ...common, kind: 'absent', levels: [1, 5], when: { Read: 0, Write: 0 }, grants: UNRESTRICTED },
      { ...common, kind: 'leaf', levels: [1, 1], when: {}, grants: GRANTS, presetIfWritable: { Read: 1 } },
      { ...common, kind: 'table', levels: [2, 5], when: {}, grants: UNRESTRICTED, preset: { Read: 1, Write: 1 } },
    ],
  };
}

/**
 * Intel VT-d second-stage paging entries (VT-d specification 3.7 and 9.8; Linux drivers/iommu/generic_pt/fmt/vtdss.h writes them).
 * There is no present bit: an entry is present when R or W (or X where it counts) is set. Reserved bits are those of 9.8, which QEMU's
 * emulation checks too (hw/i386/intel_iommu_internal.h, VTD_SPTE_*_RSVD_MASK). Not modelled: memory types.
 */
import { type EntryRule, type FormatDescription, type Grant, UNRESTRICTED } from '../description.js';
import { Permission } from '../format.js';

export interface VtdSecondStageOptions {
  /** Host physical address bits (HAW). */
  readonly hostAddressWidth: number;
  /** CAP.MGAW: input address bits the unit accepts, whatever the tables decode. */
  readonly guestAddressWidth: number;
  /** Largest leaf that CAP.SLLPS allows: 12, 21 or 30. */
  readonly largestPageLg2: number;
  /** Bit 11 (SNP) of a leaf is reserved in a unit with neither scalable mode nor snoop control (ECAP.SC); in a table entry always. */
  readonly scalable: boolean;
  readonly snoopControl: boolean;
  /** PASID entry SSADE (ECAP.SLADS): hardware sets A in every entry it uses and D in the leaf of a write. */
  readonly accessedDirty: boolean;
  /** PASID entry PWSNP clear, or not supported: an entry whose A or D bit would have to be set ends the walk. Hardware sets them by default. */
  readonly updates?: 'hardware' | 'fault';
  /** PASID entry SSEE: X permits execution. When off, the bit is ignored and every page is executable. */
  readonly executeEnable?: boolean;
}

/** Linux sets R and W in every table entry and restricts at the leaf only; it presets neither A nor D. */
export function vtdSecondStage(options: VtdSecondStageOptions): FormatDescription {
  const {
    largestPageLg2,
    scalable,
    snoopControl,
    accessedDirty,
    updates = 'hardware',
    executeEnable = false,
  } = options;
  const execute: Grant = executeEnable ? { X: 1 } : 'always';
  const executable = executeEnable ? { X: 1 } : {};
  const common = {
    grants: {
      ...UNRESTRICTED,
      read: { R: 1 },
      write: { W: 1 },
      execute,
      supervisorExecute: execute,
    },
    preset: {},
    presetIfWritable: {},
    setWhenUsed: accessedDirty ? { A: 1 } : {},
    dirty: {},
  } as const;
  const leaf = (
    level: number,
    when: Readonly<Record<string, number>>,
    low: readonly [number, number][],
  ): EntryRule => ({
    ...common,
    kind: 'leaf',
    levels: [level, level],
    when,
    reserved: [...low, [62, 62], ...(scalable || snoopControl ? [] : [[11, 11] as const])],
    dirty: accessedDirty ? { D: 1 } : {},
  });
  const table = (low: number, high: number): EntryRule => ({
    ...common,
    kind: 'table',
    levels: [low, high],
    when: {},
    reserved: [
      [7, 7],
      [11, 11],
      [62, 62],
    ],
    preset: { R: 1, W: 1, ...executable },
  });
  return {
    name: 'VT-d second stage',
    source: 'Intel VT-d specification, sections 3.7 and 9.8',
    granuleLg2: 12,
    indexBits: 9,
    rootExtraBits: 0,
    heights: [3, 4, 5],
    inputLimitLg2: options.guestAddressWidth,
    signExtended: false,
    hostAddressWidth: options.hostAddressWidth,
    fields: { R: [0, 0], W: [1, 1], X: [2, 2], PS: [7, 7], A: [8, 8], D: [9, 9], SNP: [11, 11], ADDRESS: [51, 12] },
    address: { field: 'ADDRESS', lowestBit: 12 },
    earlyPermissions: Permission.All,
    updates,
    rules: [
      {
        ...common,
        kind: 'absent',
        levels: [1, 5],
        when: { R: 0, W: 0, ...(executeEnable ? { X: 0 } : {}) },
        reserved: [],
      },
      leaf(1, {}, []),
      ...(largestPageLg2 >= 21 ? [leaf(2, { PS: 1 }, [[20, 12]])] : []),
      ...(largestPageLg2 >= 30 ? [leaf(3, { PS: 1 }, [[29, 12]])] : []),
      table(2, 5),
    ],
  };
}

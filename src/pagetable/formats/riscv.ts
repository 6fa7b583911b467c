/**
 * RISC-V page-table entries (privileged specification, chapters "Sv39", "Sv48", "Sv57", "Svnapot", "Svpbmt" and "Two-stage address
 * translation"; IOMMU specification, "Process to translate an IOVA"), first stage (Sv39, Sv48, Sv57: 3, 4 or 5 levels) and second
 * stage (the x4 forms with 16 KiB roots). Linux drivers/iommu/generic_pt/fmt/riscv.h writes the first.
 * Not modelled: Sv32, the memory types themselves, G of a non-leaf entry (the pages below count as not global, which is safe).
 */
import {
  type BitRange,
  type EntryRule,
  type FieldValues,
  type FormatDescription,
  type Grants,
  UNRESTRICTED,
} from '../description.js';

export interface RiscvOptions {
  /** capabilities.PAS: physical address bits, at most 56. Only software looks at it: reading from beyond is an access fault. */
  readonly hostAddressWidth: number;
  /** G-stage: root index 2 bits wider, no sign extension, every page must have U. */
  readonly secondStage: boolean;
  /** capabilities.AMO_HWAD with tc.SADE (first stage) or GADE (second): hardware sets A and D. Otherwise A = 0, or D = 0 on a write, faults. */
  readonly hardwareUpdates: boolean;
  /** Svnapot: N with PPN[3:0] = 8 in a level 1 entry is a 64 KiB page, written to its 16 entries. Without it N is reserved. */
  readonly napot: boolean;
  /** Svpbmt: bits 62:61 are a memory type, 3 being reserved. Without it both are. */
  readonly pageTypes: boolean;
  /** Svrsw60t59b: bits 60:59 are software's. Otherwise they are reserved. */
  readonly softwareBits?: boolean;
  /** SUM: privileged requests may read and write user pages, but not execute from them. First stage only. */
  readonly userMemory?: boolean;
}

/** Software presets A, and D in writable pages; write permission comes with read permission (W alone is reserved). */
export function riscv(options: RiscvOptions): FormatDescription {
  const { hostAddressWidth, secondStage, hardwareUpdates, napot, pageTypes } = options;
  const { softwareBits = false, userMemory = false } = options;
  const grants: Grants = {
    read: { R: 1 },
    write: { W: 1 },
    execute: { X: 1 },
    user: { U: 1 },
    supervisor: secondStage ? { U: 1 } : userMemory ? 'always' : { U: 0 },
    supervisorExecute: secondStage ? { X: 1 } : { X: 1, U: 0 },
  };
  const common = { grants: UNRESTRICTED, preset: {}, presetIfWritable: {}, setWhenUsed: {}, dirty: {} };
  const upper: BitRange[] = [[softwareBits ? 58 : 60, 54], ...(pageTypes ? [] : [[62, 61] as const])];
  const leaf = (level: number, when: FieldValues): EntryRule => ({
    kind: 'leaf',
    levels: [level, level],
    when: { V: 1, ...when },
    // PPN bits below the page size must be zero.
    reserved: [...upper, [63, 63], ...(level > 1 ? [[9 * level, 10] as const] : [])],
    grants,
    preset: { A: 1 },
    presetIfWritable: { R: 1, D: 1 },
    setWhenUsed: { A: 1 },
    dirty: { D: 1 },
  });
  const leaves = (level: number): EntryRule[] => [leaf(level, { R: 1 }), leaf(level, { X: 1 })];
  const coded = (rule: EntryRule): EntryRule => ({
    ...rule,
    when: { ...rule.when, N: 1 },
    reserved: upper,
    sizeCode: { form: 'napot', least: 16, most: 16 },
  });
  return {
    name: secondStage ? 'RISC-V second stage' : 'RISC-V first stage',
    source: 'RISC-V privileged specification, Sv39/Sv48/Sv57, Svnapot, Svpbmt and two-stage address translation',
    granuleLg2: 12,
    indexBits: 9,
    rootExtraBits: secondStage ? 2 : 0,
    heights: [3, 4, 5],
    inputLimitLg2: 64,
    signExtended: !secondStage,
    hostAddressWidth,
    beyondWidth: 'unchecked',
    marksTables: hardwareUpdates,
    fields: {
      ...{ V: [0, 0], R: [1, 1], W: [2, 2], X: [3, 3], U: [4, 4], G: [5, 5], A: [6, 6], D: [7, 7] },
      ...{ PPN: [53, 10], PBMT: [62, 61], N: [63, 63] },
    },
    address: { field: 'PPN', lowestBit: 12 },
    earlyPermissions: 0,
    ...(secondStage ? {} : { global: { field: 'G', value: 1 } }),
    updates: hardwareUpdates ? 'hardware' : 'fault',
    rules: [
      { ...common, kind: 'absent', levels: [1, 5], when: { V: 0 }, reserved: [] },
      // Writable without readable: reserved, and shadow stacks do not exist for devices.
      { ...common, kind: 'refused', levels: [1, 5], when: { R: 0, W: 1 }, reserved: [] },
      ...(pageTypes
        ? [{ ...common, kind: 'refused', levels: [1, 5], when: { PBMT: 3 }, reserved: [] } satisfies EntryRule]
        : []),
      ...(napot ? leaves(1).map(coded) : []),
      ...[1, 2, 3, 4, 5].flatMap(leaves),
      // A pointer in a level 1 table leads nowhere.
      { ...common, kind: 'refused', levels: [1, 1], when: {}, reserved: [], fault: 'not-present' },
      {
        ...common,
        kind: 'table',
        levels: [2, 5],
        when: {},
        reserved: [
          [63, 61],
          [softwareBits ? 58 : 60, 54],
          [7, 6],
          [4, 4],
        ],
        preset: { V: 1 },
      },
    ],
  };
}

/**
 * x86-64 paging entries as the first stage of VT-d uses them (VT-d specification 3.6 and 9.7; Intel SDM volume 3, 4.5) and as AMD-Vi
 * guest tables (AMD IOMMU specification 2.2.6, APM volume 2, 5.3). Linux drivers/iommu/generic_pt/fmt/x86_64.h writes both.
 * Reserved bits are those QEMU's VT-d emulation checks (VTD_FPTE_*). Not modelled: memory types, SMEP.
 */
import { type BitRange, type EntryRule, type FormatDescription, type Grant, UNRESTRICTED } from '../description.js';
import { Permission } from '../format.js';

export interface X86FirstStageOptions {
  readonly hostAddressWidth: number;
  /** Largest leaf: 21, or 30 with CAP.FS1GP. */
  readonly largestPageLg2: number;
  /** Bit 63 forbids execution. VT-d ignores it, as it has no execute requests any more (ECAP.ERS = 0): every page is executable. */
  readonly executeDisable: boolean;
  /** PASID entry EAFE: hardware sets bit 10 too in every entry it uses. */
  readonly extendedAccessed?: boolean;
  /** All requests are privileged: US does not matter, and with `unprotected` (PASID entry WPE clear) RW does not either. */
  readonly privileged?: 'protected' | 'unprotected';
  /** PASID entry PWSNP clear: an entry whose A or D bit would have to be set ends the walk. Hardware sets them by default. */
  readonly updates?: 'hardware' | 'fault';
  /** Nested: entries hold guest addresses of so many bits. Higher ones, up to the host address width, are Fault.OutputSize. */
  readonly guestAddressWidth?: number;
}

/**
 * Hardware sets A in every entry it uses and D in the leaf of a write. Linux presets both in DMA mappings (D in writable
 * pages), so that no DMA pays a locked update. Every read-only page is readable: there is no read bit.
 */
export function x86FirstStage(options: X86FirstStageOptions): FormatDescription {
  const { hostAddressWidth, largestPageLg2, executeDisable, extendedAccessed = false, updates = 'hardware' } = options;
  const { guestAddressWidth = hostAddressWidth } = options;
  const addressWidth = Math.min(hostAddressWidth, guestAddressWidth);
  const execute: Grant = executeDisable ? { XD: 0 } : 'always';
  const common = {
    grants: {
      ...UNRESTRICTED,
      write: options.privileged === 'unprotected' ? 'always' : { RW: 1 },
      execute,
      user: options.privileged === undefined ? { US: 1 } : 'always',
      supervisorExecute: execute,
    },
    preset: {},
    presetIfWritable: {},
    setWhenUsed: extendedAccessed ? { A: 1, EA: 1 } : { A: 1 },
    dirty: {},
  } as const;
  const aboveHost: readonly BitRange[] = addressWidth === hostAddressWidth ? [] : [[51, hostAddressWidth]];
  const leaf = (
    level: number,
    when: Readonly<Record<string, number>>,
    low: readonly [number, number][],
  ): EntryRule => ({
    ...common,
    kind: 'leaf',
    levels: [level, level],
    when,
    reserved: [...low, ...aboveHost],
    preset: { P: 1, A: 1 },
    presetIfWritable: { D: 1 },
    dirty: { D: 1 },
  });
  const table = (low: number, high: number, reserved: readonly [number, number][]): EntryRule => ({
    ...common,
    kind: 'table',
    levels: [low, high],
    when: {},
    reserved: [...reserved, ...aboveHost],
    preset: { P: 1, RW: 1, US: 1, A: 1 },
  });
  return {
    name: 'x86-64 first stage',
    source: 'Intel VT-d specification, sections 3.6 and 9.7',
    granuleLg2: 12,
    indexBits: 9,
    rootExtraBits: 0,
    heights: [4, 5],
    inputLimitLg2: 57,
    signExtended: true,
    hostAddressWidth: addressWidth,
    beyondWidth: addressWidth === hostAddressWidth ? 'reserved' : 'output-size',
    updates,
    fields: {
      P: [0, 0],
      RW: [1, 1],
      US: [2, 2],
      A: [5, 5],
      D: [6, 6],
      PS: [7, 7],
      G: [8, 8],
      EA: [10, 10],
      XD: [63, 63],
      ADDRESS: [51, 12],
    },
    address: { field: 'ADDRESS', lowestBit: 12 },
    earlyPermissions: Permission.All,
    global: { field: 'G', value: 1 },
    rules: [
      { ...common, kind: 'absent', levels: [1, 5], when: { P: 0 }, reserved: [] },
      leaf(1, {}, []),
      ...(largestPageLg2 >= 21 ? [leaf(2, { PS: 1 }, [[20, 13]])] : []),
      ...(largestPageLg2 >= 30 ? [leaf(3, { PS: 1 }, [[29, 13]])] : []),
      table(2, 5, [[7, 7]]),
    ],
  };
}

export interface AmdGuestOptions {
  /** EFR2 or CPUID physical address bits. */
  readonly hostAddressWidth: number;
  /** Off for the table of PASID 0 that serves requests without PASID (DTE.GIOV): its addresses are not sign-extended. */
  readonly signExtended: boolean;
}

/** AMD-Vi guest (version 2) tables: x86-64 long mode with NX and 1 GiB pages, 4 or 5 levels by DTE.GuestPagingMode. */
export function amdGuest(options: AmdGuestOptions): FormatDescription {
  const { hostAddressWidth, signExtended } = options;
  return {
    ...x86FirstStage({ hostAddressWidth, largestPageLg2: 30, executeDisable: true }),
    name: 'AMD-Vi guest table',
    source: 'AMD IOMMU specification, section 2.2.6; APM volume 2, section 5.3',
    signExtended,
  };
}

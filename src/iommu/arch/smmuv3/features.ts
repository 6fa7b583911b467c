/** What the identification registers of a unit say (SMMU_IDR0, IDR1, IDR3, IDR5), as far as translation depends on it. */
import type { IommuSpec } from '../../spec.js';

export interface Features {
  /** IDR0.S1P, S2P. */
  stage1: boolean;
  stage2: boolean;
  /** IDR0.HYP: StreamWorld EL2. */
  hypervisor: boolean;
  /** IDR0.HTTU: 1 hardware sets access flags, 2 and dirty state. */
  hardwareUpdates: 0 | 1 | 2;
  /** IDR1.SSIDSIZE; 0: no SubstreamIDs. */
  substreamBits: number;
  /** IDR3.RIL: TLBI commands with ranges. */
  ranges: boolean;
  /** IDR5.OAS, bits: sizes of physical and of intermediate physical addresses. */
  outputLg2: number;
  /** IDR0.STALL_MODEL 0b00 and IDR5.STALL_MAX; 0: STALL_MODEL 0b01, faults terminate. */
  stalls: number;
  /** IDR5.VAX: input addresses of 52 bits with the 64 KiB granule. */
  wideInput: boolean;
}

/**
 * A unit that has the stages it is configured to use, SubstreamIDs of 20 bits if it has context descriptor tables, and ranges if a
 * command can name more than one page. Hardware updates and wide input addresses are off until somebody sets them.
 */
export function featuresOf(spec: IommuSpec): Features {
  return {
    stage1: spec.stage !== 'second',
    stage2: spec.stage !== 'first',
    hypervisor: true,
    hardwareUpdates: 0,
    substreamBits: spec.processLevels > 0 ? 20 : 0,
    ranges: spec.invalidation.maxAddressMask > 0,
    outputLg2: spec.hostAddressWidth,
    stalls: spec.faults.stalls,
    wideInput: false,
  };
}

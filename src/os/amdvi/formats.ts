/** Page-table formats as the AMD driver uses them. Accessed and dirty bits of host tables are for dirty tracking only. */
import { compileFormat, type Format } from '../../pagetable/format.js';
import { amdHost } from '../../pagetable/formats/amdv1.js';
import { amdGuest } from '../../pagetable/formats/x86_64.js';
import type { UnitSpec } from '../spec.js';

/** DMA mappings are in guest (v2) tables, alone or over a host table (amd_iommu=pgtbl_v2). */
export function usesGuestTables(spec: UnitSpec): boolean {
  return spec.stage !== 'second';
}

export function hostTableFormat({ hostAddressWidth }: UnitSpec): Format {
  return compileFormat(amdHost({ hostAddressWidth, hostAccessDirty: 0 }));
}

/** Software keeps to the lower half of the address space, which PASID 0 and the others translate alike. */
export function guestTableFormat({ hostAddressWidth }: UnitSpec): Format {
  return compileFormat(amdGuest({ hostAddressWidth, signExtended: true }));
}

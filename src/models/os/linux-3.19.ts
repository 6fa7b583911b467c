/**
 * Linux 3.19 on x86, the kernel of the pcie-bench hosts: no IOVA magazines, one deferred list of 250 entries (here: for each
 * domain), no invalidation hint. Page-table costs are those of the code that generic_pt replaced.
 */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { commonCosts, iova, strategy, swiotlb } from './costs.js';
import { guestX86 } from './guest.js';
import { tableCode, tableCosts } from './table-code.js';
import { processes } from './memory-management.js';
import { userMap } from './user-map.js';

const OLD = spec('legacy', '', 'Linux before 6.19 has no generic_pt');

export const linux319: Sheet = defineSheet({
  name: 'linux-3.19',
  title: 'Linux 3.19 (before IOVA caches)',
  kind: 'os',
  description: 'DMA API of Linux 3.19: every IOVA from the locked tree, each driver with page-table code of its own.',
  parameters: {
    dma: {
      mode: spec('lazy', '', 'Linux 3.19 drivers/iommu/intel-iommu.c: deferred flush unless intel_iommu=strict'),
      flushQueue: {
        kind: spec('single', '', 'Linux 3.19 drivers/iommu/intel-iommu.c: deferred_flush behind async_umap_flush_lock'),
        entries: spec(
          251,
          'entries',
          'Linux 3.19 drivers/iommu/intel-iommu.c: HIGH_WATER_MARK, and the one that stays free',
        ),
        timeout: spec(10, 'ms', 'Linux 3.19 drivers/iommu/intel-iommu.c: unmap_timer'),
      },
      iova: iova(127, 0, 'Linux 3.19 drivers/iommu/iova.c has no range cache'),
      strategy,
      bounce: spec('never', '', 'Linux copies for devices that firmware reports as untrusted only'),
      swiotlb: swiotlb(1, 'Linux 3.19 lib/swiotlb.c: one io_tlb_lock'),
    },
    superpages: spec(true, '', 'default; intel_iommu=sp_off clears it'),
    invalidationHint: spec(false, '', 'Linux before late 2025 did not pass the hint'),
    completion: spec('msi', '', 'Linux drivers/iommu/arm/arm-smmu-v3: ARM_SMMU_OPT_MSIPOLL where the unit is coherent'),
    queueMemory: assumed('near', '', 'memory of the node the unit belongs to'),
    tick: assumed(4, 'ms', 'CONFIG_HZ=250'),
    jitter: assumed(10, '%', 'not published; keeps threads from running in lockstep'),
    traced: assumed(false, '', 'no tracing'),
    perPageCallbacks: spec(false, '', 'Linux 3.19 drivers/iommu/intel-iommu.c: the DMA API of x86 writes whole ranges'),
    tableCode: tableCode(OLD, OLD, OLD, OLD, assumed('legacy', '', 'this kernel has no driver for RISC-V IOMMUs')),
    guest: guestX86,
    userMap,
    processes,
    costs: {
      ...commonCosts,
      table: tableCosts,
    },
  },
});

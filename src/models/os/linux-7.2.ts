/** Linux 7.2 on x86: generic_pt page-table code, IOVA magazines, per-CPU flush queues, invalidation hint passed on. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { commonCosts, iova, strategy, swiotlb } from './costs.js';
import { guestX86 } from './guest.js';
import { tableCode, tableCosts } from './table-code.js';
import { processes } from './memory-management.js';
import { userMap } from './user-map.js';

export const linux72: Sheet = defineSheet({
  name: 'linux-7.2',
  title: 'Linux 7.2 (generic_pt)',
  kind: 'os',
  description:
    'DMA API of Linux 7.2: IOVA magazines, per-CPU flush queues, generic_pt page-table code where drivers use it.',
  parameters: {
    dma: {
      mode: spec('lazy', '', 'Linux drivers/iommu/Kconfig: IOMMU_DEFAULT_DMA_LAZY on x86'),
      flushQueue: {
        kind: spec(
          'per-cpu',
          '',
          'Linux drivers/iommu/dma-iommu.c: IOMMU_DMA_OPTS_PER_CPU_QUEUE unless shadow_on_flush',
        ),
        entries: spec(256, 'entries', 'Linux drivers/iommu/dma-iommu.c: IOVA_DEFAULT_FQ_SIZE'),
        timeout: spec(10, 'ms', 'Linux drivers/iommu/dma-iommu.c: IOVA_DEFAULT_FQ_TIMEOUT'),
      },
      iova: iova(127, 6, 'Linux drivers/iommu/iova.c: IOVA_MAG_SIZE, IOVA_RANGE_CACHE_MAX_SIZE'),
      strategy,
      bounce: spec('never', '', 'Linux copies for devices that firmware reports as untrusted only'),
      swiotlb: swiotlb(0, 'Linux kernel/dma/swiotlb.c: default_nareas, one for each possible CPU'),
    },
    superpages: spec(true, '', 'default; intel_iommu=sp_off clears it'),
    invalidationHint: spec(true, '', 'Linux drivers/iommu/intel/iommu.c: hint set when the freelist is empty'),
    completion: spec('msi', '', 'Linux drivers/iommu/arm/arm-smmu-v3: ARM_SMMU_OPT_MSIPOLL where the unit is coherent'),
    queueMemory: assumed('near', '', 'memory of the node the unit belongs to'),
    tick: assumed(4, 'ms', 'CONFIG_HZ=250'),
    jitter: assumed(10, '%', 'not published; keeps threads from running in lockstep'),
    traced: assumed(false, '', 'no tracing'),
    perPageCallbacks: spec(false, '', 'Linux 7.2 drivers/iommu/iommu.c: map_pages and unmap_pages'),
    tableCode: tableCode(
      spec('generic', '', 'Linux 7.2 drivers/iommu/amd/iommu.c: pt_iommu_amdv1_init'),
      spec('generic', '', 'Linux 7.2 drivers/iommu/intel/iommu.c: pt_iommu_vtdss_init'),
      spec('generic', '', 'Linux 7.2 drivers/iommu/intel/iommu.c and amd/iommu.c: pt_iommu_x86_64_init'),
      spec('legacy', '', 'Linux 7.2 drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c: alloc_io_pgtable_ops'),
      spec('generic', '', 'Linux 7.2 drivers/iommu/riscv/iommu.c: pt_iommu_riscv_64_init'),
    ),
    guest: guestX86,
    userMap,
    processes,
    costs: {
      ...commonCosts,
      table: tableCosts,
    },
  },
});

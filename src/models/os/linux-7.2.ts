/** Linux 7.2 on x86: generic_pt page-table code, IOVA magazines, per-CPU flush queues, invalidation hint passed on. */
import { assumed, measured, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { GENERIC_PT } from '../sources.js';
import { commonCosts, iova } from './costs.js';

export const linux72: Sheet = defineSheet({
  name: 'linux-7.2',
  title: 'Linux 7.2 (generic_pt)',
  kind: 'os',
  description: 'DMA API of Linux 7.2: 53 ns to map and 67 ns to unmap one page in the page-table code.',
  parameters: {
    dma: {
      mode: spec('lazy', '', 'Linux drivers/iommu/Kconfig: IOMMU_DEFAULT_DMA_LAZY on x86'),
      flushQueue: {
        entries: spec(256, 'entries', 'Linux drivers/iommu/dma-iommu.c: IOVA_DEFAULT_FQ_SIZE'),
        timeout: spec(10, 'ms', 'Linux drivers/iommu/dma-iommu.c: IOVA_DEFAULT_FQ_TIMEOUT'),
      },
      iova: iova(127, 6, 'Linux drivers/iommu/iova.c: IOVA_MAG_SIZE, IOVA_RANGE_CACHE_MAX_SIZE'),
    },
    superpages: spec(true, '', 'default; intel_iommu=sp_off clears it'),
    invalidationHint: spec(true, '', 'Linux drivers/iommu/intel/iommu.c: hint set when the freelist is empty'),
    tick: assumed(4, 'ms', 'CONFIG_HZ=250'),
    jitter: assumed(10, '%', 'not published; keeps threads from running in lockstep'),
    costs: {
      ...commonCosts,
      tableMapCall: measured(51.7, 'ns', `${GENERIC_PT}: 53 ns a map of 4 KiB less one entry`),
      tableUnmapCall: measured(66.4, 'ns', `${GENERIC_PT}: 67 ns an unmap of 4 KiB less one entry`),
      tableMapEntry: measured(1.3, 'ns', `${GENERIC_PT}: 384 ns for 256 entries`),
      tableUnmapEntry: measured(0.58, 'ns', `${GENERIC_PT}: 216 ns for 256 entries`),
      tableLevel: measured(0, 'ns', `${GENERIC_PT}: 1 GiB and 4 KiB maps differ by 1 ns`),
    },
  },
});

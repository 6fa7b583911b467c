/**
 * Linux 3.19 on x86, the kernel of the pcie-bench hosts: no IOVA magazines, one deferred list of 250 entries (here: per
 * CPU), no invalidation hint. Page-table costs are those of the driver that generic_pt replaced.
 */
import { assumed, measured, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { GENERIC_PT } from '../sources.js';
import { commonCosts, iova } from './costs.js';

export const linux319: Sheet = defineSheet({
  name: 'linux-3.19',
  title: 'Linux 3.19 (before IOVA caches)',
  kind: 'os',
  description: 'DMA API of Linux 3.19: every IOVA from the locked tree; 66 ns to map and 86 ns to unmap one page.',
  parameters: {
    dma: {
      mode: spec('lazy', '', 'Linux 3.19 drivers/iommu/intel-iommu.c: deferred flush unless intel_iommu=strict'),
      flushQueue: {
        entries: spec(250, 'entries', 'Linux 3.19 drivers/iommu/intel-iommu.c: HIGH_WATER_MARK'),
        timeout: spec(10, 'ms', 'Linux 3.19 drivers/iommu/intel-iommu.c: unmap_timer'),
      },
      iova: iova(127, 0, 'Linux 3.19 drivers/iommu/iova.c has no range cache'),
    },
    superpages: spec(true, '', 'default; intel_iommu=sp_off clears it'),
    invalidationHint: spec(false, '', 'Linux before late 2025 did not pass the hint'),
    tick: assumed(4, 'ms', 'CONFIG_HZ=250'),
    jitter: assumed(10, '%', 'not published; keeps threads from running in lockstep'),
    costs: {
      ...commonCosts,
      tableMapCall: measured(64.2, 'ns', `${GENERIC_PT}: replaced code, 66 ns a map of 4 KiB less one entry`),
      tableUnmapCall: measured(85, 'ns', `${GENERIC_PT}: replaced code, 86 ns an unmap of 4 KiB less one entry`),
      tableMapEntry: measured(1.8, 'ns', `${GENERIC_PT}: replaced code, 524 ns for 256 entries`),
      tableUnmapEntry: measured(0.98, 'ns', `${GENERIC_PT}: replaced code, 335 ns for 256 entries`),
      tableLevel: measured(0, 'ns', `${GENERIC_PT}: replaced code, 1 GiB and 4 KiB maps take the same time`),
    },
  },
});

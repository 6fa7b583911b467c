/** SMMUv3 of Kunpeng 920 (HiSilicon's own design). Nothing of its insides is published. */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { SOME_PAGE_REQUESTS } from './stalls.js';
import { invalidation, LINUX_QUEUE, NO_RANGES, unit } from './smmuv3.js';

const START = 'where the fit starts';

export const kunpeng920: Sheet = defineSheet({
  name: 'kunpeng-920',
  title: 'SMMUv3 of Kunpeng 920',
  kind: 'iommu',
  description:
    'HiSilicon design. Published are map and unmap rates of Linux over it (J. Garry, linux-iommu, 2020-08-21), no sizes.',
  parameters: {
    ...unit,
    invalidation: {
      ...invalidation(assumed(NO_RANGES, 'log2 pages', 'range invalidation not reported by boot logs'), LINUX_QUEUE),
      start: assumed(20, 'ns', 'an idle CMD_SYNC takes 190 to 270 ns (B. Song, linux-iommu 2020-08-03)'),
      iotlbPage: assumed(60, 'ns', START),
      wait: assumed(200, 'ns', START),
    },
    faults: {
      records: assumed(1, 'records', 'the event queue lies in memory, as large as software makes it'),
      stalls: assumed(
        64,
        'transactions',
        'its accelerators stall (S. Lu, iommu list, 2021-03-09); IDR5.STALL_MAX is not published',
      ),
      pageRequests: SOME_PAGE_REQUESTS,
    },
  },
});

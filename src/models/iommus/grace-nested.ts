/** SMMUv3 of NVIDIA Grace as a virtual machine uses it: a guest's stage 1 with 4 KiB pages over its host's stage 2. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { mmu700 } from './mmu-700.js';
import { invalidation, LINUX_QUEUE, NO_RANGES } from './smmuv3.js';

const ROW = 'unmap latency in a guest grows with every page of a mapping (N. Chen, linux-kselftest 2025-07-09)';
const START = 'where the fit starts';

export const graceNested: Sheet = defineSheet({
  name: 'grace-nested',
  title: 'SMMUv3 of NVIDIA Grace, nested translation',
  kind: 'iommu',
  description:
    'Stage 1 of a guest over stage 2; TLBI commands without ranges. Times of commands are fitted to published unmap latencies of a guest.',
  parameters: {
    ...mmu700.parameters,
    stage: spec('nested', '', 'Arm SMMUv3 architecture specification, IHI 0070G 3.3'),
    secondLevels: assumed(4, 'levels', '48 bits of intermediate address with the 4 KiB granule'),
    invalidation: {
      ...invalidation(assumed(NO_RANGES, 'log2 pages', `no range commands: ${ROW}`), LINUX_QUEUE),
      start: assumed(200, 'ns', START),
      iotlbPage: assumed(150, 'ns', START),
      wait: assumed(2000, 'ns', START),
    },
  },
});

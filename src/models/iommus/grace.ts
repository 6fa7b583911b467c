/** SMMUv3 of NVIDIA Grace, its shared command queue only: the CMDQV extension with a queue per CPU is not modelled. */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { mmu700 } from './mmu-700.js';
import { invalidation, LINUX_QUEUE, RANGES } from './smmuv3.js';

const BASED = 'taken to be based on MMU-700, as Linux treats it';

export const grace: Sheet = defineSheet({
  name: 'grace',
  title: 'SMMUv3 of NVIDIA Grace',
  kind: 'iommu',
  description:
    'Sizes of a middle MMU-700 build. Its command queues per CPU (CMDQV) are left out; `grace-nested` has one for a guest.',
  parameters: {
    ...mmu700.parameters,
    granule: assumed(64, 'KiB', 'kernels with 64 KiB pages are usual on Grace'),
    levels: assumed(3, 'levels', '48 bits with the 64 KiB granule'),
    largestPage: assumed(512, 'MiB', 'VMSAv8-64 blocks of the 64 KiB granule'),
    invalidation: invalidation(assumed(RANGES, 'log2 pages', BASED), LINUX_QUEUE),
  },
});

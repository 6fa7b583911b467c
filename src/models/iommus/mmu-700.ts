/** Arm MMU-700: ranges of its build parameters are published, not the choices of any part. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { guess, invalidation, LINUX_QUEUE, MMU700, NO_LEVEL_5, RANGES, unit } from './smmuv3.js';

/** The walk cache is one structure for all levels and stages; here a part of it for each level. */
const WALKS = `share of one walk cache of 8 to 65536 entries in 4, 8 or 16 ways (${MMU700}); choice not published`;
const CONFIGURATION = `configuration cache of 4 to 4096 entries (${MMU700}); choice not published`;

export const mmu700: Sheet = defineSheet({
  name: 'mmu-700',
  title: 'Arm MMU-700',
  kind: 'iommu',
  description: 'A middle build: every size is a parameter whose range is published and whose value is not.',
  parameters: {
    ...unit,
    contextCache: guess(512, 4, 3, CONFIGURATION),
    pasidCache: guess(512, 4, 3, CONFIGURATION),
    iotlb: guess(2048, 8, 3, `main TLB of 32 to 65536 entries in 4, 8 or 16 ways (${MMU700}); choice not published`),
    pagingStructureCache: {
      level2: guess(1024, 8, 4, WALKS),
      level3: guess(512, 8, 4, WALKS),
      level4: guess(256, 8, 4, WALKS),
      level5: NO_LEVEL_5,
    },
    secondStageTlb: guess(1024, 8, 4, WALKS),
    walkers: {
      ...(unit['walkers'] as Parameters),
      count: assumed(64, 'walks', `2 to 512 walk slots (${MMU700}); choice not published`),
      outstanding: assumed(256, 'pages', `4 to 4096 translation slots (${MMU700}); choice not published`),
    },
    invalidation: invalidation(spec(RANGES, 'log2 pages', `${MMU700}: IDR3.RIL = 1`), LINUX_QUEUE),
  },
});

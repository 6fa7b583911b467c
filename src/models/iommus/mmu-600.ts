/** Arm MMU-600, with the sizes of a build that is published (Intel Agilex 5). */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { AGILEX, guess, invalidation, LINUX_QUEUE, MMU600, NO_LEVEL_5, NO_RANGES, structure, unit } from './smmuv3.js';

/** One of the eight arrays of the TCU's walk cache; here the two stages of a level share one. */
const walkCache: Parameters = structure(
  spec(256, 'entries', `${AGILEX}: 8 walk caches of 256 entries`),
  spec(4, 'ways', `${MMU600}: 4-way arrays by stage and level`),
  spec('fifo', '', `${MMU600}: round robin`),
  assumed(4, 'ns', 'not published'),
);
const configuration: Parameters = structure(
  spec(256, 'entries', `${AGILEX}: configuration cache`),
  spec(4, 'ways', `${MMU600}: 4-way`),
  assumed('fifo', '', 'not published'),
  assumed(3, 'ns', 'not published'),
);

export const mmu600: Sheet = defineSheet({
  name: 'mmu-600',
  title: 'Arm MMU-600',
  kind: 'iommu',
  description: 'Sizes of the translation control unit from one shipping build; those of its TBUs are not published.',
  parameters: {
    ...unit,
    contextCache: configuration,
    pasidCache: configuration,
    iotlb: {
      ...guess(512, 4, 3, 'main TLB of a TBU; size is a build parameter'),
      ways: spec(4, 'ways', `${MMU600}: main TLB 4-way`),
      replacement: spec('random', '', `${MMU600}: main TLB`),
    },
    pagingStructureCache: { level2: walkCache, level3: walkCache, level4: walkCache, level5: NO_LEVEL_5 },
    secondStageTlb: walkCache,
    walkers: {
      ...(unit['walkers'] as Parameters),
      outstanding: spec(64, 'pages', `${AGILEX}: translation slots of the TCU`),
    },
    invalidation: invalidation(
      assumed(NO_RANGES, 'log2 pages', 'an SMMUv3.1 part: range invalidation came with SMMUv3.2'),
      LINUX_QUEUE,
    ),
  },
});

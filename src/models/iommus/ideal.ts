/** An IOMMU that knows every translation at no cost: the baseline of comparisons. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { legacyUnit, structure } from './vtd.js';
import { NO_PAGE_REQUESTS, NO_STALLS } from './stalls.js';

const BASELINE = 'definition of the baseline';
const absent: Parameters = {
  ...structure(assumed(16, 'entries', BASELINE), 16, 0, BASELINE),
  enabled: spec(false, '', BASELINE),
};

export const ideal: Sheet = defineSheet({
  name: 'ideal',
  title: 'Ideal IOMMU',
  kind: 'iommu',
  description:
    'Every translation is known when a request arrives; nothing is cached and nothing has to be invalidated.',
  parameters: {
    ...legacyUnit,
    architecture: spec('ideal', '', BASELINE),
    mode: spec('native', '', BASELINE),
    deviceLevels: spec(0, 'levels', BASELINE),
    processLevels: spec(0, 'levels', BASELINE),
    hostAddressWidth: spec(52, 'bits', BASELINE),
    queue: {
      postedDepth: spec(65536, 'transactions', BASELINE),
      nonPostedDepth: spec(65536, 'transactions', BASELINE),
      order: spec('none', '', BASELINE),
      interval: spec(0, 'ns', BASELINE),
    },
    contextCache: absent,
    pasidCache: absent,
    iotlb: absent,
    pagingStructureCache: { level2: absent, level3: absent, level4: absent, level5: absent },
    secondStageTlb: absent,
    invalidation: {
      ...(legacyUnit['invalidation'] as Parameters),
      sizeLg2: spec(0, 'log2 commands', BASELINE),
    },
    faults: { records: spec(1, 'records', BASELINE), stalls: NO_STALLS, pageRequests: NO_PAGE_REQUESTS },
  },
});

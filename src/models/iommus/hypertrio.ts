/**
 * The translation hardware of HyperTRIO (Lavrov and Wentzlaff, ISCA 2020), a proposal for shared devices with up to a thousand tenants,
 * with the constants of its simulator. Its translation cache (DevTLB) sits in the device: here it is the unit's IOTLB, and what a miss
 * pays for crossing the link both ways is part of the walk. The pending translation buffer is the number of walks.
 * Not modelled: partitions of the caches by tenant, the translation prefetcher, packets dropped when the buffer is full.
 */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { HYPERSIO, HYPERTRIO } from '../sources.js';
import { legacyUnit, structure } from './vtd.js';

const DEFINES = `${HYPERSIO}: src/sioperf/include/defines.h`;
const CONFIG = `${HYPERSIO}: src/lib/sioperf_config.py`;
const DEFAULTS = `${HYPERSIO}: src/lib/config.py`;

function cache(entries: number, ways: number, latencyNs: number, source: string): Parameters {
  return {
    enabled: spec(true, '', source),
    entries: spec(entries, 'entries', source),
    ways: spec(ways, 'ways', source),
    replacement: spec('lru', '', CONFIG),
    latency: spec(latencyNs, 'ns', DEFINES),
  };
}

const NO_CACHE = 'the simulator has page caches for levels 2 and 3 only';
const none: Parameters = {
  ...structure(assumed(4, 'entries', NO_CACHE), 4, 0, NO_CACHE),
  enabled: spec(false, '', NO_CACHE),
};

export const hypertrio: Sheet = defineSheet({
  name: 'hypertrio',
  title: 'HyperTRIO (ISCA 2020)',
  kind: 'iommu',
  description:
    'A research proposal: many walks in flight and large page caches for hyper-tenant devices. Partitioning and prefetching are not modelled.',
  parameters: {
    ...legacyUnit,
    coherent: spec(false, '', `${DEFINES}: every read of a walk is one of DRAM, 50 ns`),
    contextCache: cache(1536, 1536, 1, `${CONFIG}: context cache`),
    iotlb: cache(64, 8, 2, `${DEFAULTS}: DevTLB of 64 entries, 8 ways`),
    pagingStructureCache: {
      level2: cache(512, 16, 5, `${CONFIG}: L2 page cache`),
      level3: cache(1024, 16, 5, `${CONFIG}: L3 page cache`),
      level4: none,
      level5: none,
    },
    walkers: {
      count: assumed(32, 'walks', `${HYPERTRIO}: pending translation buffer; its published simulator defaults to 1`),
      overhead: spec(900, 'ns', `${DEFINES}: the link, 450 ns each way`),
      replay: assumed(0, 'ns', 'the way back is part of the walk, which keeps its buffer entry'),
      readHold: assumed(0, 'ns', 'the design does not tell reads from writes'),
      merge: spec(false, '', `${HYPERSIO}: src/sioperf/include/sioperf.tcc: each translation walks for itself`),
      outstanding: assumed(1024, 'pages', 'not a limit of the design'),
    },
  },
});

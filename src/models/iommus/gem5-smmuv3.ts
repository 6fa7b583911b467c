/** The defaults of gem5's SMMUv3 model, to compare simulators; cycles at 1 GHz. */
import { assumed, type Quantity, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { absent, GEM5, invalidation, NO_LEVEL_5, NO_RANGES, structure, unit } from './smmuv3.js';

const of = (value: Quantity['value'], what: string, parameter: string): Quantity =>
  spec(value, what, `${GEM5}: ${parameter}`);

function cache(entries: number, parameter: string, latencyNs: number): Parameters {
  return structure(
    of(entries, 'entries', `${parameter}_entries`),
    of(4, 'ways', `${parameter}_assoc`),
    of('fifo', '', `${parameter}_policy rr`),
    of(latencyNs, 'ns', `${parameter}_lat`),
  );
}

/** 348 and 28 entries in 4 ways are no power of two of sets, which this simulator needs. */
function walkCache(entries: number, parameter: string): Parameters {
  return {
    ...cache(entries, parameter, 4),
    ways: assumed(entries, 'ways', `4 ways in ${GEM5}; here fully associative, the sets being no power of two`),
  };
}

const none = (what: string): Quantity => spec(0, 'ns', `gem5 commit 2574dc41a6b4: ${what}`);
const NO_TIME = 'invalidations take no time';

export const gem5Smmuv3: Sheet = defineSheet({
  name: 'gem5-smmuv3',
  title: 'SMMUv3 of gem5',
  kind: 'iommu',
  description: 'Default parameters of the SMMUv3 model of gem5. Its micro TLB is left out: it saves 3 cycles of a hit.',
  parameters: {
    ...unit,
    hostAddressWidth: of(48, 'bits', 'IDR5 0x55'),
    coherent: of(false, '', 'IDR0 0x094C100F: COHACC clear'),
    queue: {
      postedDepth: of(16, 'transactions', 'SMMUv3DeviceInterface xlate_slots'),
      nonPostedDepth: of(16, 'transactions', 'SMMUv3DeviceInterface xlate_slots'),
      order: assumed('class', '', 'order ids keep requests of one id in order'),
      interval: assumed(1, 'ns', 'one lookup a cycle'),
    },
    contextCache: cache(64, 'cfg', 3),
    pasidCache: cache(64, 'cfg', 3),
    iotlb: cache(2048, 'tlb', 3),
    pagingStructureCache: {
      level2: walkCache(348, 'walk_S1L2'),
      level3: walkCache(28, 'walk_S1L1'),
      level4: cache(4, 'walk_S1L0', 4),
      level5: NO_LEVEL_5,
    },
    secondStageTlb: absent(`${GEM5}: ipa_enable False`),
    walkers: {
      ...(unit['walkers'] as Parameters),
      count: of(16, 'walks', 'ptw_slots'),
      overhead: of(8, 'ns', 'SMMUv3DeviceInterface to SMMU: ifc_smmu_lat'),
      replay: of(8, 'ns', 'SMMU to SMMUv3DeviceInterface: smmu_ifc_lat'),
      outstanding: of(64, 'pages', 'xlate_slots'),
    },
    invalidation: {
      ...invalidation(of(NO_RANGES, 'log2 pages', 'IDR3 0'), of(7, 'log2 commands', 'IDR1 0x00E00000')),
      start: none(NO_TIME),
      context: none(NO_TIME),
      pasid: none(NO_TIME),
      iotlbGlobal: none(NO_TIME),
      iotlbDomain: none(NO_TIME),
      iotlbPage: none(NO_TIME),
      wait: none('CMD_SYNC completes at once'),
    },
  },
});

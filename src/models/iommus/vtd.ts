/**
 * What Intel VT-d units have in common, as starting values: paging-structure caches, queues and invalidation times are
 * not published for any part. Each generation's sheet states what is known of it and takes the rest from here.
 */
import { assumed, type Quantity, spec } from '../quantity.js';
import { isQuantity, type Parameters, type Sheet } from '../sheet.js';
import { PCIE_BENCH, RIOMMU, VTD } from '../sources.js';
import { NO_STALLS } from './stalls.js';
import { deviceTlbCommands } from './device-tlb.js';

const LRU = 'datasheets (LGA2011 volume 2, VTGENCTRL2) describe an aged pseudo-LRU';
const PWC =
  'existence of one cache per level: Linux tools/perf uncore events of Skylake to Granite Rapids; sizes not published';

export function structure(entries: Quantity, ways: number, latencyNs: number, source: string): Parameters {
  return {
    enabled: assumed(true, '', 'present in hardware'),
    entries,
    ways: assumed(ways, 'ways', source),
    replacement: assumed('lru', '', LRU),
    latency: assumed(latencyNs, 'ns', 'an IOTLB hit costs within 3 ns of no IOMMU at all (pcie-bench, small windows)'),
  };
}

/** An IOTLB of `entries`: about 103 to 126 of 128 are effective on five hosts. */
export function iotlb(entries: Quantity): Parameters {
  return structure(entries, Number(entries.value), 2, 'knee of the pcie-bench window sweeps: small conflict loss');
}

export const pagingStructureCache: Parameters = {
  level2: structure(assumed(64, 'entries', PWC), 64, 0, PWC),
  level3: structure(assumed(32, 'entries', PWC), 32, 0, PWC),
  level4: structure(assumed(16, 'entries', PWC), 16, 0, PWC),
  level5: structure(assumed(4, 'entries', PWC), 4, 0, PWC),
};

export const contextCache: Parameters = structure(assumed(64, 'entries', 'size not published'), 64, 1, 'not published');
export const pasidCache: Parameters = structure(assumed(64, 'entries', 'size not published'), 64, 1, 'not published');

export const queue: Parameters = {
  postedDepth: assumed(
    32,
    'transactions',
    'bounded queue required by the miss throughput of posted writes; size not published',
  ),
  nonPostedDepth: assumed(
    32,
    'transactions',
    'bounded queue: hits wait behind misses in pcie-bench; size not published',
  ),
  order: assumed('class', '', 'PCI Express ordering rules keep posted requests in order'),
  interval: assumed(4, 'ns', 'one lookup every 4 ns exceeds every published rate'),
};

export function walkers(count: number, overheadNs: number, replayNs: number, source: string): Parameters {
  return {
    count: assumed(count, 'walks', source),
    overhead: assumed(overheadNs, 'ns', source),
    replay: assumed(replayNs, 'ns', source),
    readHold: assumed(0, 'ns', 'not published'),
    merge: assumed(true, '', 'not published; misses of one page share a walk'),
    outstanding: assumed(32, 'pages', 'not published'),
  };
}

const SHARE = `share of the submit-to-status time of ${RIOMMU}`;

export const invalidation: Parameters = {
  sizeLg2: spec(8, 'log2 descriptors', 'Linux drivers/iommu/intel/dmar.c: QI_LENGTH 256'),
  queues: spec(1, 'queues', 'the architecture has one'),
  start: assumed(60, 'ns', SHARE),
  context: assumed(60, 'ns', SHARE),
  pasid: assumed(60, 'ns', SHARE),
  iotlbGlobal: assumed(120, 'ns', SHARE),
  iotlbDomain: assumed(80, 'ns', SHARE),
  iotlbPage: assumed(50, 'ns', SHARE),
  wait: assumed(20, 'ns', SHARE),
  ...deviceTlbCommands(),
  drain: spec(true, '', 'CAP.DRD and CAP.DWD set on every published Xeon capability word'),
  hintHonoured: spec(true, '', `${VTD}, invalidation hint (IH)`),
  nonLeafScope: spec(
    'domain',
    '',
    'Intel Xeon E7 v2 datasheet volume 2: page-selective with IH=0 invalidates non-leaf caches by domain',
  ),
  maxAddressMask: spec(18, 'log2 pages', 'CAP.MAMV of Xeon E5 to Ice Lake'),
};

/** Records of the page request queue. */
export const PAGE_REQUESTS: Quantity = spec(2048, 'records', 'Linux drivers/iommu/intel/prq.c: PRQ_ORDER 4, 64 KiB');

/** A legacy-mode unit of a Xeon E5 or first Xeon Scalable. */
export const legacyUnit: Parameters = {
  architecture: spec('vtd', '', VTD),
  mode: spec('legacy', '', 'ECAP.SMTS clear'),
  stage: spec('second', '', 'legacy mode translates through second-stage tables only'),
  levels: spec(4, 'levels', 'CAP.SAGAW: 48-bit, 4 levels'),
  secondLevels: spec(0, 'levels', 'no nested translation'),
  granule: spec(4, 'KiB', `${VTD} 3.7`),
  deviceLevels: spec(2, 'levels', `${VTD} 3.4: root and context table`),
  processLevels: spec(2, 'levels', `${VTD} 3.4.3: PASID directory and PASID table, in scalable mode`),
  hostAddressWidth: spec(46, 'bits', 'kernel boot logs of Xeon E5 and Scalable'),
  largestPage: spec(1, 'GiB', 'CAP.SLLPS: 2 MiB and 1 GiB'),
  coherent: spec(true, '', 'ECAP.C'),
  queue,
  contextCache,
  pasidCache,
  iotlb: iotlb(assumed(128, 'entries', `${PCIE_BENCH}: 103 to 126 effective 4 KiB entries`)),
  pagingStructureCache,
  secondStageTlb: {
    ...structure(assumed(16, 'entries', 'no nested translation'), 16, 0, 'no nested translation'),
    enabled: spec(false, '', 'no nested translation'),
  },
  walkers: walkers(4, 100, 50, 'start value of the fit'),
  invalidation,
  faults: { records: spec(8, 'records', 'CAP.NFR + 1'), stalls: NO_STALLS, pageRequests: PAGE_REQUESTS },
};

/** The walkers of another unit, taken over without evidence of their own: fitted or not there, they are assumed here. */
export function inheritedWalkers(sheet: Sheet): Parameters {
  const walkers = Object.entries(sheet.parameters['walkers'] as Parameters);
  return Object.fromEntries(
    walkers.map(([key, quantity]) => {
      if (!isQuantity(quantity)) {
        throw new Error(`walkers.${key} of ${sheet.name} is not a quantity`);
      }
      return [key, assumed(quantity.value, quantity.unit, `inherited from ${sheet.name}`)];
    }),
  );
}

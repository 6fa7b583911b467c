/**
 * What Arm SMMUv3 units have in common, as starting values. Arm's system MMUs are built from parameters that their users choose and
 * seldom publish: each sheet states what is known of its part and takes the rest from here. Translations of TBU and TCU are one
 * structure here (the main TLB of a TBU); STEs and context descriptors, which share one configuration cache, have one each.
 */
import { assumed, type Quantity, spec } from '../quantity.js';
import type { Parameters } from '../sheet.js';
import { NO_STALLS, SOME_PAGE_REQUESTS } from './stalls.js';
import { deviceTlbCommands } from './device-tlb.js';

export const SMMU = 'Arm SMMUv3 architecture specification, IHI 0070G';
export const MMU600 = 'Arm MMU-600AE Technical Reference Manual';
export const MMU700 = 'Arm MMU-700 Technical Reference Manual, 101542 issue 9';
export const GEM5 = 'gem5 v24.0.0.1, src/dev/arm/SMMUv3.py';
export const AGILEX = 'Intel Agilex 5 Hard Processor System TRM 814346 (parameters of its MMU-600)';
const LINUX = 'Linux 7.2 drivers/iommu/arm/arm-smmu-v3';
const UNKNOWN = 'build parameter, not published';

/** A structure of the unit. `fifo` is round robin. */
export function structure(entries: Quantity, ways: Quantity, replacement: Quantity, latency: Quantity): Parameters {
  return { enabled: assumed(true, '', 'present in hardware'), entries, ways, replacement, latency };
}

export function guess(entries: number, ways: number, latencyNs: number, source: string = UNKNOWN): Parameters {
  return structure(
    assumed(entries, 'entries', source),
    assumed(ways, 'ways', source),
    assumed('fifo', '', source),
    assumed(latencyNs, 'ns', `${GEM5}, cycles at 1 GHz`),
  );
}

/** A structure that a part does not have. */
export function absent(source: string): Parameters {
  return { ...guess(16, 16, 0, source), enabled: spec(false, '', source) };
}

export const NO_LEVEL_5: Parameters = absent(`${SMMU} 3.4: at most four levels`);

export function invalidation(ranges: Quantity, queueLg2: Quantity): Parameters {
  const share = 'share of 0.5 to 0.7 us for TLBI and CMD_SYNC on an idle unit; estimate';
  return {
    sizeLg2: queueLg2,
    queues: assumed(1, 'queues', 'ECMDQ is optional'),
    start: assumed(60, 'ns', share),
    context: assumed(40, 'ns', share),
    pasid: assumed(40, 'ns', share),
    iotlbGlobal: assumed(100, 'ns', share),
    iotlbDomain: assumed(60, 'ns', share),
    iotlbPage: assumed(36, 'ns', 'dispatch of about 20 cycles, and a round trip of 16 to a TBU with its one token'),
    wait: assumed(36, 'ns', share),
    ...deviceTlbCommands(),
    drain: spec(true, '', `${SMMU} 4.7.3: CMD_SYNC waits for accesses that used what was removed`),
    hintHonoured: spec(true, '', `${SMMU} 4.4: Leaf keeps table entries`),
    nonLeafScope: spec('range', '', `${SMMU} 4.4: table entries on the way to the address`),
    maxAddressMask: ranges,
  };
}

/** SMMU_IDR3.RIL: a command names up to 32 * 2^31 granules, or one page. */
export const RANGES = 36;
export const NO_RANGES = 0;

/** Linux allocates queues of at most one block of its page allocator. */
export const LINUX_QUEUE: Quantity = spec(18, 'log2 commands', `${LINUX}: Q_MAX_SZ_SHIFT, 4 MiB with 4 KiB pages`);

export const unit: Parameters = {
  architecture: spec('smmuv3', '', SMMU),
  mode: spec('native', '', `${SMMU}: one mode`),
  stage: spec('first', '', `${LINUX}: DMA domains use stage 1 where the unit has it`),
  levels: spec(4, 'levels', 'VMSAv8-64, 48 bits with the 4 KiB granule'),
  secondLevels: spec(0, 'levels', 'no nested translation'),
  granule: assumed(4, 'KiB', 'page size of the kernel; all granules are supported'),
  deviceLevels: spec(2, 'levels', `${LINUX}: two-level stream table where the unit has it`),
  processLevels: spec(2, 'levels', `${LINUX}: two-level context descriptor tables`),
  hostAddressWidth: assumed(48, 'bits', 'IDR5.OAS is a build parameter'),
  largestPage: spec(1, 'GiB', 'VMSAv8-64 blocks of the 4 KiB granule'),
  coherent: assumed(true, '', 'IDR0.COHACC of server platforms'),
  queue: {
    postedDepth: assumed(64, 'transactions', UNKNOWN),
    nonPostedDepth: assumed(64, 'transactions', UNKNOWN),
    order: assumed('class', '', 'PCI Express ordering rules keep posted requests in order'),
    interval: assumed(1, 'ns', `${MMU600}: one main TLB lookup a cycle, at 1 GHz`),
  },
  contextCache: guess(256, 4, 3),
  pasidCache: guess(256, 4, 3),
  iotlb: guess(2048, 4, 3),
  pagingStructureCache: {
    level2: guess(256, 4, 4),
    level3: guess(256, 4, 4),
    level4: guess(256, 4, 4),
    level5: NO_LEVEL_5,
  },
  secondStageTlb: guess(256, 4, 4),
  walkers: {
    count: assumed(16, 'walks', `${UNKNOWN}; ${GEM5}: ptw_slots`),
    overhead: assumed(8, 'ns', `${GEM5}: interface to SMMU, 8 cycles`),
    replay: assumed(8, 'ns', `${GEM5}: SMMU to interface, 8 cycles`),
    readHold: assumed(0, 'ns', UNKNOWN),
    merge: assumed(true, '', 'hazard entries: a second miss of a page waits for the first'),
    outstanding: assumed(64, 'pages', UNKNOWN),
  },
  invalidation: invalidation(assumed(NO_RANGES, 'log2 pages', UNKNOWN), LINUX_QUEUE),
  faults: {
    records: assumed(1, 'records', 'the event queue lies in memory, as large as software makes it'),
    stalls: NO_STALLS,
    pageRequests: SOME_PAGE_REQUESTS,
  },
};

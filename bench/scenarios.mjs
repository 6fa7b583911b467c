// Fixed scenarios of the whole-simulation benchmarks, as resolved point specifications. Changing a number here changes what
// is compared: bench/reference/end-to-end.cpp holds the numbers of `reference` once more.

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

const structure = (entries, ways, latency) => ({ enabled: true, entries, ways, replacement: 'lru', latency });

const llc = { size: 32 * MIB, ways: 16, ddioWays: 2, scatter: 0, latency: 60_000, bandwidth: 2_048_000_000_000 };
const dram = { size: 16 * GIB, channels: 4, latency: 50_000, bandwidth: 160_000_000_000 };

const iommu = {
  architecture: 'vtd',
  socket: 's0',
  mode: 'legacy',
  stage: 'second',
  levels: 4,
  secondLevels: 0,
  granule: 4 * KIB,
  deviceLevels: 2,
  processLevels: 2,
  hostAddressWidth: 46,
  largestPage: GIB,
  coherent: true,
  queue: { postedDepth: 64, nonPostedDepth: 64, order: 'class', interval: 2000 },
  contextCache: structure(64, 4, 1000),
  pasidCache: structure(64, 4, 1000),
  iotlb: structure(1024, 8, 2000),
  pagingStructureCache: {
    level2: structure(64, 4, 1000),
    level3: structure(32, 4, 1000),
    level4: structure(16, 4, 1000),
    level5: structure(16, 4, 1000),
  },
  secondStageTlb: { ...structure(16, 4, 0), enabled: false },
  walkers: { count: 8, overhead: 20_000, replay: 10_000, readHold: 0, merge: true, outstanding: 32 },
  invalidation: {
    sizeLg2: 8,
    queues: 1,
    start: 60_000,
    context: 60_000,
    pasid: 60_000,
    iotlbGlobal: 120_000,
    iotlbDomain: 80_000,
    iotlbPage: 50_000,
    wait: 20_000,
    deviceTlb: 20_000,
    deviceTimeout: 60e12,
    drain: true,
    hintHonoured: true,
    nonLeafScope: 'range',
    maxAddressMask: 18,
  },
  faults: { records: 8, stalls: 0, pageRequests: 0 },
};

const port = {
  socket: 's0',
  iommu: 'iommu0',
  postedHeaders: 128,
  postedData: 4096,
  nonPostedHeaders: 128,
  creditReturn: 40_000,
};

const device = {
  port: 'port0',
  requester: 0x0300,
  link: {
    generation: 4,
    width: 16,
    maxPayload: 256,
    maxReadRequest: 512,
    requestOverhead: 24,
    completionOverhead: 20,
    dllpShare: 50_000,
    latency: 100_000,
    tags: 256,
  },
  engine: {
    readOverhead: 100_000,
    writeOverhead: 0,
    readInterval: [],
    writeInterval: [],
    outstanding: 256,
    retire: 'any',
    outstandingReadBytes: 64 * KIB,
    readSlots: [],
  },
  ats: {
    ...structure(64, 8, 0),
    enabled: false,
    interval: 1000,
    stu: 4 * KIB,
    largestPage: 2 * MIB,
    outstanding: 32,
    queue: 128,
    ahead: 0,
    queueDepth: 32,
    pri: { enabled: false, outstanding: 32, group: 1, gather: 0 },
    invalidation: 100_000,
    answers: true,
  },
  accelerator: null,
};

const costs = Object.fromEntries(
  [
    ...['mapCall', 'unmapCall', 'iovaCache', 'iovaDepot', 'iovaTree', 'iovaTreeNode'],
    ...['tablePage', 'cacheLineFlush', 'lock', 'lockHandOver'],
    ...['lockHandOverRemote', 'descriptor', 'mmioWrite', 'mmioFlight', 'poll', 'queueIova', 'timer', 'dirtyLine'],
    'completion',
  ].map((name) => [name, 10_000]),
);

const terms = { call: 10_000, leaf: 10_000, slot: 10_000, level: 10_000 };
const generic = { rootPerLeaf: false, map: terms, unmap: terms };

const os = {
  dma: {
    mode: 'strict',
    flushQueue: { kind: 'per-cpu', entries: 256, timeout: 10_000_000_000 },
    iova: { magazine: 127, cachedOrders: 6, trim: 100_000_000_000, addressBits: 64 },
    strategy: { kind: 'linux' },
    bounce: 'never',
    swiotlb: { size: 64 * MIB, areas: 0 },
  },
  superpages: false,
  invalidationHint: true,
  tick: 4_000_000_000,
  jitter: 0,
  tableCode: { vtdss: 'generic' },
  guest: { mode: 'none' },
  costs: { ...costs, table: { vtdss: { generic } } },
};

const job = (window, reads, size) => ({
  kind: 'dma',
  device: 'device0',
  reads,
  size,
  window,
  pattern: 'random',
  outstanding: 256,
  interarrival: 0,
  memory: 's0',
  pasid: -1,
});

function point(workload, overrides = {}) {
  return {
    machine: {
      sockets: { s0: { cores: 4, frequency: 2_600_000_000, llc, dram } },
      interconnect: { latency: 100_000, bandwidth: 300_000_000_000 },
      iommus: { iommu0: iommu },
      ports: { port0: port },
      hostCache: 'host-warm',
    },
    os,
    devices: { device0: device },
    workload,
    warmup: { time: null, operations: null },
    stop: { time: null, operations: null, steady: null },
    seed: 1,
    ...overrides,
  };
}

/** A point of a sweep: hits; 50,000 operations take about 20 ms. */
export function sweepPoint(seed, operations = 50_000) {
  const stop = { time: null, operations, steady: null };
  return point({ job: job(64 * 4 * KIB, 50, 64) }, { stop, seed });
}

/** Random 64-byte DMAs, half reads and half writes, over a window of 4 KiB pages that stays mapped; 256 in flight. */
export const SCENARIOS = {
  /** 64 pages: every access hits the IOTLB. */
  hits: point({ job: job(64 * 4 * KIB, 50, 64) }),
  /** 4,096 pages for 1,024 IOTLB entries: one access in four hits. */
  reference: point({ job: job(4096 * 4 * KIB, 50, 64) }),
  /** 65,536 pages: practically every access walks. */
  walks: point({ job: job(65_536 * 4 * KIB, 50, 64) }),
  /** Open loop, one DMA in five simulated minutes on average: all that happens is that time passes. */
  idle: point({ job: { ...job(64 * 4 * KIB, 50, 64), interarrival: 3e14 } }),
};

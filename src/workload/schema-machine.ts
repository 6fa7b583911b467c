/** Schema of a machine as a workload file writes it: memory, IOMMU units, root ports. Resolves to `MachineSpec`. */
import { z } from 'zod';
import { choice, count, flag, frequency, millionths, NAME, rate, reference, size, sizeOneOf, time } from './fields.js';

const KiB = 1024;
const GiB = 1024 ** 3;

/** Parts by name. */
export function named<T extends z.ZodType>(part: T) {
  return z.record(
    z.string().regex(NAME, { error: () => 'E106 a name is a letter, then letters, digits, "-" or "_"' }),
    part,
  );
}

const socket = z.strictObject({
  cores: count(1, 4096, 'Cores.'),
  frequency: frequency('Core clock.'),
  llc: z.strictObject({
    size: size('Capacity of the last-level cache.', { min: 64 }),
    ways: count(1, 64, 'Ways.'),
    ddioWays: count(0, 64, 'Ways that device writes may allocate into; 0 sends them to DRAM.'),
    scatter: millionths('Share of lines whose set follows from a hash of the line number.'),
    latency: time('Load-to-use time of a hit as seen at the root complex.'),
    bandwidth: rate('Bandwidth of the cache towards I/O.'),
  }),
  dram: z.strictObject({
    size: size('Capacity.', { min: 1024 * KiB }),
    channels: count(1, 64, 'Channels.'),
    latency: time('Added to the cache latency by a miss.'),
    bandwidth: rate('Bandwidth of one channel.'),
  }),
});

export const structureSchema = z.strictObject({
  enabled: flag('false: always misses.'),
  entries: count(1, 2 ** 24, 'Entries.'),
  ways: count(1, 2 ** 24, 'Ways; as many as entries makes it fully associative.'),
  replacement: choice(['lru', 'plru', 'fifo', 'random'], 'Replacement policy.'),
  latency: time('Lookup time.'),
});

export const iommuSchema = z.strictObject({
  architecture: choice(
    ['vtd', 'amdvi', 'smmuv3', 'riscv', 'virtio', 'tce', 'dart', 'ideal', 'none'],
    'Architecture of the unit.',
  ),
  socket: reference('Socket whose memory controller the unit sits on.'),
  mode: choice(['legacy', 'scalable', 'native'], 'Root table mode of VT-d; native for all others.'),
  stage: choice(['first', 'second', 'nested'], 'Tables used for DMA mappings.'),
  levels: count(1, 6, 'Levels of the tables that hold DMA mappings.'),
  secondLevels: count(0, 6, 'Levels of the second-stage tables under a nested first stage.'),
  granule: sizeOneOf([4 * KiB, 16 * KiB, 64 * KiB, 2 * KiB * KiB, GiB], 'Smallest page.'),
  deviceLevels: count(0, 3, 'Reads from a requester id to its device context.'),
  processLevels: count(0, 3, 'Reads from the device context to a process context; 0: no PASIDs.'),
  hostAddressWidth: count(32, 52, 'Host physical address bits.'),
  largestPage: sizeOneOf(
    [4 * KiB, 16 * KiB, 64 * KiB, 2 * KiB * KiB, 32 * KiB * KiB, 512 * KiB * KiB, GiB, 512 * GiB],
    'Largest leaf.',
  ),
  coherent: flag('Table walks snoop the CPU caches.'),
  queue: z.strictObject({
    postedDepth: count(1, 65536, 'Posted transactions between arrival and release.'),
    nonPostedDepth: count(1, 65536, 'Non-posted transactions between arrival and release.'),
    order: choice(['all', 'class', 'posted', 'none'], 'Which transactions leave in order of arrival.'),
    interval: time('One lookup may start in each interval.'),
  }),
  contextCache: structureSchema,
  pasidCache: structureSchema,
  iotlb: structureSchema,
  pagingStructureCache: z.strictObject({
    level2: structureSchema,
    level3: structureSchema,
    level4: structureSchema,
    level5: structureSchema,
  }),
  secondStageTlb: structureSchema,
  walkers: z.strictObject({
    count: count(1, 4096, 'Page walks in flight.'),
    overhead: time('Time a walk occupies its walker besides its memory reads.'),
    replay: time('From the end of a walk until the waiting transaction is translated.'),
    readHold: time('A walk for a non-posted request holds its walker this much longer.'),
    merge: flag('Requests that miss on a page whose walk is under way wait for it.'),
    outstanding: count(1, 65536, 'Distinct pages that may be missing at the same time.'),
  }),
  invalidation: z.strictObject({
    sizeLg2: count(0, 20, 'The command queue has 2^sizeLg2 entries.'),
    queues: count(1, 256, 'Command queues; SMMUv3 may have several, which os.dma.strategy.kind per-cpu-queues uses.'),
    start: time('From the tail-register write to the first command fetch.'),
    context: time('Execution time of an invalidation of device contexts.'),
    pasid: time('Execution time of an invalidation of process contexts.'),
    iotlbGlobal: time('Execution time of a global IOTLB invalidation.'),
    iotlbDomain: time('Execution time of a domain-selective IOTLB invalidation.'),
    iotlbPage: time('Execution time of a page-selective IOTLB invalidation.'),
    wait: time('Execution time of a command that waits for earlier ones.'),
    drain: flag('Invalidations wait for translated requests on their way to memory.'),
    hintHonoured: flag('The invalidation hint keeps non-leaf entries.'),
    nonLeafScope: choice(
      ['range', 'domain'],
      'What a page-selective invalidation without hint removes from the paging-structure caches.',
    ),
    deviceTlb: time('Execution time of an invalidation of a device TLB, until the request is on its way.'),
    deviceTimeout: time('A device that has not answered an invalidation after so long is given up.', { min: 1 }),
    maxAddressMask: count(0, 52, 'Largest address mask of a page-selective invalidation.'),
  }),
  faults: z.strictObject({
    records: count(1, 32768, 'Fault recording registers, or entries of the fault log in memory.'),
    stalls: count(0, 65536, 'SMMUv3: transactions that can be stalled for page faults at a time; 0: no stall model.'),
    pageRequests: count(
      0,
      32768,
      'Records of the page request queue (AMD-Vi: PPR log), a power of two; 0: devices cannot ask for pages.',
    ),
  }),
});

const port = z.strictObject({
  socket: reference('Socket the root port belongs to.'),
  iommu: reference('IOMMU unit in front of it, or null for none.').nullable(),
  postedHeaders: count(1, 65536, 'Posted header credits.'),
  postedData: count(1, 2 ** 20, 'Posted data credits, 16 bytes each.'),
  nonPostedHeaders: count(1, 65536, 'Non-posted header credits.'),
  creditReturn: time('From a buffer being freed until the device may use the credit.'),
});

export const machineSchema = z.strictObject({
  sockets: named(socket),
  interconnect: z.strictObject({
    latency: time('Added to a request that crosses.'),
    bandwidth: rate('One direction.'),
  }),
  iommus: named(iommuSchema),
  ports: named(port),
  hostCache: choice(['cold', 'device-warm', 'host-warm'], 'State of the last-level cache when a run starts.'),
});

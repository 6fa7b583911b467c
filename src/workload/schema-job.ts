/** Schemas of the jobs a workload consists of, and of the windows that start and stop the measurement. */
import { z } from 'zod';
import { MAP_MODES } from '../os/drivers/map-benchmark.js';
import { PREFAULTS } from '../os/drivers/sva.js';
import { PLACEMENTS } from '../os/drivers/segments.js';
import { choice, count, flag, millionths, pasid, percent, reference, size, time } from './fields.js';

const LARGEST_DMA = 2 ** 30;
/** PASIDs but 0. */
const MOST_PROCESSES = 2 ** 20 - 1;

const dma = z.strictObject({
  kind: z.literal('dma').meta({ description: 'DMA over a window that stays mapped.' }),
  device: reference('Device that issues the DMAs.'),
  reads: percent('Share of reads.').default(100),
  size: size('Bytes of a DMA.', { max: LARGEST_DMA }),
  window: size('Bytes of I/O address space touched.'),
  pattern: choice(['random', 'sequential'], 'Order of addresses.').default('random'),
  outstanding: count(1, 65536, 'DMAs in flight.'),
  interarrival: time('Mean time between DMAs, exponentially distributed; 0ns: as fast as completions allow.').default(
    0,
  ),
  memory: reference('Socket whose memory holds the window.'),
  pasid: pasid().default(-1),
});

const MEMORY = reference("Socket whose memory holds the buffers; by default the threads' own.")
  .nullable()
  .default(null);
const PLACEMENT = choice(
  PLACEMENTS,
  'Segments of a scatter list in physical memory: in one block, or apart from each other.',
).default('contiguous');

const THREADS = count(1, 1024, 'Driver threads, one core each.');

const stream = z.strictObject({
  kind: z.literal('stream').meta({ description: 'Driver threads that map, post, wait for and unmap buffers.' }),
  device: reference('Device the buffers are posted to.'),
  threads: THREADS,
  depth: count(1, 65536, 'Buffers each thread keeps posted.'),
  burst: count(1, 65536, "Completions that one turn of the driver's loop handles at most (a NAPI budget).").default(1),
  size: size('Bytes of a buffer, or of one of its segments.', { max: LARGEST_DMA }),
  segments: count(1, 1024, 'Segments of a buffer; more than one: it is mapped as a scatter list.').default(1),
  placement: PLACEMENT,
  maxSegment: size('Most bytes of a mapped segment of a list, and so of a DMA (dma_set_max_seg_size).', {
    min: 4096,
    max: LARGEST_DMA,
  }).default(65536),
  direction: choice(['to-device', 'from-device'], 'from-device: the device writes the buffer.'),
  socket: reference('Socket of the CPUs.'),
  memory: MEMORY,
  completers: count(
    0,
    1024,
    'Threads on further cores that unmap what the device reports; 0: each thread unmaps its own buffers.',
  ).default(0),
  lateAccess: percent('Buffers the device touches again after it reported them complete.').default(0),
  lateAfter: time('When it touches them again.').default(0),
});

const mapBenchmark = z.strictObject({
  kind: z.literal('map-benchmark').meta({ description: "The kernel's dma_map_benchmark loop." }),
  device: reference('Device the mappings are for.'),
  threads: THREADS,
  mode: choice(
    MAP_MODES,
    'map_mode (-m): one mapping of all pages, or a scatter list with a segment for each.',
  ).default('single'),
  granule: count(1, 262144, 'Pages of a mapping, segments of a list. The tool allows 1024, and so do lists.'),
  placement: PLACEMENT,
  direction: choice(['bidirectional', 'to-device', 'from-device'], 'Direction of the mappings.'),
  transfer: time('dma_trans_ns: pause between map and unmap.', { max: 1e10 }).default(0),
  copy: size('Bytes that the thread copies after each unmap.', { max: LARGEST_DMA, min: 0 }).default(0),
  socket: reference('Socket of the threads.'),
  memory: MEMORY,
});

const userMap = z.strictObject({
  kind: z.literal('user-map').meta({
    description: 'Processes that map and unmap a buffer of theirs for a device, a system call each.',
  }),
  device: reference('Device the mappings are for.'),
  threads: THREADS,
  size: size('Bytes of the buffer of each thread.', { min: 4096, max: 2 ** 40 }),
  run: size('Bytes of frames that follow each other in memory.', { min: 4096, max: 2 ** 40 }).default(4096),
  socket: reference('Socket of the threads and their buffers.'),
});

const sva = z.strictObject({
  kind: z.literal('sva').meta({ description: 'DMA in the address spaces of processes (shared virtual addressing).' }),
  device: reference('Device that is bound to the processes.'),
  processes: count(1, MOST_PROCESSES, 'Processes, each with an address space and a PASID of its own.').default(1),
  reads: percent('Share of reads.').default(0),
  size: size('Bytes of a DMA.', { max: LARGEST_DMA }),
  window: size('Bytes of memory of each process that the device uses.', { min: 4096, max: 2 ** 40 }),
  pattern: choice(['random', 'sequential'], 'Order of addresses.').default('sequential'),
  outstanding: count(1, 65536, 'DMAs in flight, of all processes.'),
  prefault: choice(
    PREFAULTS,
    'Pages of the window: none present when the run begins, touched ahead of the device by a CPU, or all present and staying (as if pinned).',
  ).default('none'),
  ahead: count(1, 2 ** 20, 'Pages that the CPU is ahead of the device, with prefault ahead.').default(16),
  huge: flag('Large pages where they fit.').default(false),
  pageOut: time('Time between page-outs of a random page; 0ns: never.').default(0),
  munmap: time('Time between unmappings of a random page, which is mapped again at once; 0ns: never.').default(0),
  socket: reference('Socket of the thread that posts DMAs, and of the memory.'),
});

const offload = z.strictObject({
  kind: z.literal('offload').meta({
    description: "Processes that have an accelerator move their memory: work submitted to the device's queues.",
  }),
  device: reference('Device with an accelerator.'),
  threads: THREADS,
  processes: count(
    1,
    MOST_PROCESSES,
    'Processes that the threads belong to in turn, each with a PASID of its own.',
  ).default(1),
  queue: choice(
    ['shared', 'dedicated'],
    'One queue for all threads, filled by ENQCMD; or one for each thread, filled by MOVDIR64B.',
  ).default('shared'),
  entries: count(1, 65536, 'Descriptors that a work queue holds.'),
  depth: count(1, 65536, 'Descriptors that a thread has submitted at a time.').default(1),
  size: size('Bytes of a move.', { max: LARGEST_DMA }),
  window: size("Bytes of each thread's source, and of its target.", { min: 4096, max: 2 ** 40 }),
  pattern: choice(['random', 'sequential'], 'Order of addresses.').default('sequential'),
  retries: z
    .strictObject({
      limit: count(
        0,
        2 ** 31,
        'Refusals of a shared queue before the thread copies by itself; 0: it never does.',
      ).default(32),
      pause: time('Pause after a refusal.').default(0),
    })
    .default({ limit: 32, pause: 0 }),
  virtualMachines: count(0, 1024, 'Virtual machines that the processes belong to in turn; 0: none.').default(0),
  translation: choice(
    ['ahead', 'demand'],
    'Guest PASIDs stand in the PASID translation table from the start, or from the exit of the first submission with them on.',
  ).default('ahead'),
  prefault: choice(['none', 'all'], 'Pages: none present when the run begins, or all present and staying.').default(
    'all',
  ),
  socket: reference('Socket of the threads, and of the memory.'),
});

const invalidate = z.strictObject({
  kind: z
    .literal('invalidate')
    .meta({ description: 'Threads that invalidate translations of a DMA job on the same device while it runs.' }),
  device: reference('Device of the DMA job.'),
  pasid: pasid().default(-1),
  threads: THREADS,
  granularity: choice(
    ['range', 'domain', 'global'],
    'Ranges of addresses; all of the domain, or with a PASID all of that; or everything in the IOMMU.',
  ).default('range'),
  size: size('Bytes of a range; whole pages are invalidated.', { max: LARGEST_DMA }).default(4096),
  align: choice(
    ['natural', 'page'],
    'Where ranges begin: at multiples of the next power of two of their size, or at any page.',
  ).default('natural'),
  batch: count(
    1,
    64,
    'Ranges that one call names: their commands go together, with one wait for as many as a submission takes.',
  ).default(1),
  tables: flag('Pointers to tables go too, as when an unmap has freed tables.').default(false),
  interval: time('From the start of an invalidation to that of the next one of a thread; 0ns: back to back.').default(
    0,
  ),
  socket: reference('Socket of the threads.'),
});

export const jobSchema = z.discriminatedUnion('kind', [dma, stream, mapBenchmark, userMap, sva, offload, invalidate]);

const bounds = {
  time: time('Simulated time.', { min: 1 }).nullable().default(null),
  operations: count(0, 2 ** 50, 'Completed operations of all jobs together.')
    .nullable()
    .default(null),
};

export const warmupSchema = z.strictObject(bounds);

export const stopSchema = z.strictObject({
  ...bounds,
  steady: z
    .strictObject({
      batches: count(2, 1000, 'Batches that must agree.'),
      batchOperations: count(1, 2 ** 32, 'Operations of a batch.'),
      tolerance: millionths('Largest relative difference of their mean latencies.'),
    })
    .nullable()
    .default(null),
});

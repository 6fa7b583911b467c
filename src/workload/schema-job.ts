/** Schemas of the jobs a workload consists of, and of the windows that start and stop the measurement. */
import { z } from 'zod';
import { choice, count, millionths, pasid, percent, reference, size, time } from './fields.js';

const LARGEST_DMA = 2 ** 30;

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

const THREADS = count(1, 1024, 'Driver threads, one core each.');

const stream = z.strictObject({
  kind: z.literal('stream').meta({ description: 'Driver threads that map, post, wait for and unmap buffers.' }),
  device: reference('Device the buffers are posted to.'),
  threads: THREADS,
  depth: count(1, 65536, 'Buffers each thread keeps posted.'),
  size: size('Bytes of a buffer.', { max: LARGEST_DMA }),
  direction: choice(['to-device', 'from-device'], 'from-device: the device writes the buffer.'),
  socket: reference('Socket of CPUs and memory.'),
  lateAccess: percent('Buffers the device touches again after it reported them complete.').default(0),
  lateAfter: time('When it touches them again.').default(0),
});

const mapBenchmark = z.strictObject({
  kind: z.literal('map-benchmark').meta({ description: "The kernel's dma_map_benchmark loop." }),
  device: reference('Device the mappings are for.'),
  threads: THREADS,
  granule: count(1, 1024, 'Pages of a mapping.'),
  direction: choice(['bidirectional', 'to-device', 'from-device'], 'Direction of the mappings.'),
  transfer: time('dma_trans_ns: pause between map and unmap.', { max: 1e10 }).default(0),
  copy: size('Bytes that the thread copies after each unmap.', { max: LARGEST_DMA, min: 0 }).default(0),
  socket: reference('Socket of the threads.'),
});

export const jobSchema = z.discriminatedUnion('kind', [dma, stream, mapBenchmark]);

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

/** Schema of a device: its link, its DMA engine and its use of ATS. Resolves to `DeviceSpec`. */
import { z } from 'zod';
import { choice, count, flag, millionths, oneOf, reference, requester, size, sizePowerOfTwo, time } from './fields.js';

const interval = z.strictObject({
  size: size('Largest DMA the row is for.'),
  interval: time('Smallest time between two DMAs.'),
});

const slots = z.strictObject({
  size: size('Largest DMA the row is for.'),
  slots: count(1, 65536, 'Reads in flight.'),
});

const link = z.strictObject({
  generation: count(1, 5, 'PCI Express generation.'),
  width: oneOf([1, 2, 4, 8, 16], 'Lanes.'),
  maxPayload: sizePowerOfTwo(128, 4096, 'Max_Payload_Size.'),
  maxReadRequest: sizePowerOfTwo(128, 4096, 'Max_Read_Request_Size.'),
  requestOverhead: size('Framing, header and LCRC of a memory request.', { min: 1, max: 256 }),
  completionOverhead: size('The same for a completion.', { min: 1, max: 256 }),
  dllpShare: millionths('Share of the link taken by DLLPs and ordered sets.', 90),
  latency: time('Time of flight and pipeline delay of one direction.'),
  tags: count(1, 1024, 'Outstanding non-posted requests.'),
});

const ONE_ROW = { error: () => 'E102 at least one row is needed' };

const engine = z.strictObject({
  readOverhead: time('Device time of a read besides link and host.'),
  writeOverhead: time('Device time of a write besides link and host.'),
  readInterval: z.array(interval).min(1, ONE_ROW),
  writeInterval: z.array(interval).min(1, ONE_ROW),
  outstanding: count(1, 65536, 'DMAs in flight.'),
  retire: choice(['in-order', 'any'], 'in-order: the place of a DMA is free when all older ones are complete.'),
  outstandingReadBytes: size('Read bytes in flight.'),
  readSlots: z.array(slots).min(1, ONE_ROW),
});

const ats = z.strictObject({
  enabled: flag('Address Translation Services: the device keeps translations itself.'),
  entries: count(1, 1 << 20, 'Entries of the device TLB.'),
  ways: count(1, 1 << 20, 'Ways; as many as entries: fully associative.'),
  replacement: choice(['lru', 'plru', 'fifo', 'random'], 'Which entry of a set is replaced.'),
  latency: time('Lookup in the device TLB.'),
  interval: time('Smallest time between two lookups.'),
  stu: sizePowerOfTwo(4096, 2 ** 21, 'Smallest translation unit.'),
  largestPage: sizePowerOfTwo(4096, 2 ** 30, 'Most bytes that an entry covers.'),
  outstanding: count(1, 1024, 'Translation requests under way.'),
  queue: count(1, 65536, 'DMA requests that the device TLB holds while they are looked up or wait for translations.'),
  ahead: count(0, 64, 'Following units that a miss asks for too.'),
  prefetch: z.strictObject({
    distance: count(
      0,
      1024,
      'Units of its sequential streams that the device asks for ahead of its accesses; 0: none.',
    ),
    streams: count(1, 256, 'Sequential streams that the device follows at a time.'),
    pageRequests: flag(
      'Asks for the pages of these units that have no translation, too. Needs the Page Request Interface.',
    ),
  }),
  queueDepth: count(1, 32, 'Invalidations that the device accepts at a time.'),
  pri: z.strictObject({
    enabled: flag('Page Request Interface: the device asks for pages that have no translation. Needs ATS.'),
    outstanding: count(1, 65536, 'Page requests without an answer that software allows the device.'),
    group: count(1, 512, 'Most pages that the device asks for in one group.'),
    gather: time(
      'Time that a group waits for further pages; 0ns: none, but pages that have to wait for an answer gather.',
    ),
  }),
  invalidation: time('Time the device works on an invalidation.'),
  answers: flag('The device answers invalidations; false: it is dead.'),
});

const accelerator = z.strictObject({
  queues: count(1, 1024, 'Work queues.'),
  entries: count(1, 65536, 'Descriptors that all work queues together hold.'),
  engines: count(1, 256, 'Engines that process descriptors.'),
  descriptors: count(1, 1024, 'Descriptors in process in each engine.'),
  dispatch: time('From one descriptor leaving the queues to the next at the earliest.'),
});

export const deviceSchema = z.strictObject({
  port: reference('Root port the device is plugged into.'),
  requester: requester(),
  link,
  engine,
  ats,
  accelerator: accelerator.nullable().default(null),
});

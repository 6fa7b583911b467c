/** Schema of the operating system's I/O address-space software. Resolves to `OsSpec`. */
import { z } from 'zod';
import { BOUNCE_RULES, DMA_MODES, FLUSH_QUEUE_KINDS, STRATEGY_KINDS } from '../os/spec.js';
import { LARGEST_BOUNCE } from '../os/swiotlb/pool.js';
import { GUEST_MODES } from '../os/guest/spec.js';
import { TABLE_CODES, TABLE_FORMATS, type TableFormat } from '../os/table-costs.js';
import { choice, count, flag, millionths, powerOfTwo, size, time } from './fields.js';

function eachFormat<T>(value: (format: TableFormat) => T): Record<TableFormat, T> {
  return Object.fromEntries(TABLE_FORMATS.map((format) => [format, value(format)])) as Record<TableFormat, T>;
}

function tableTerms(done: string) {
  return z.strictObject({
    call: time('One call.'),
    leaf: time(`One leaf ${done}, however many entries it has.`),
    slot: time(`One entry ${done} of a leaf that has several.`),
    level: time('One table entered on the way to a leaf.'),
  });
}

const tableProfile = z.strictObject({
  rootPerLeaf: flag('The code starts at the root again for every leaf.'),
  map: tableTerms('written'),
  unmap: tableTerms('cleared'),
});

/** Page-table code by format and generation. Resolves to `TableCosts`. */
export const tableCostsSchema = z.strictObject(
  eachFormat(() => z.strictObject({ generic: tableProfile, legacy: tableProfile })),
);

const costs = z.strictObject({
  mapCall: time('Entering and leaving dma_map_page.'),
  unmapCall: time('Entering and leaving dma_unmap_page.'),
  segment: time('One segment of the list of a dma_map_sg or dma_unmap_sg.'),
  iovaCache: time('Pop or push of a loaded magazine.'),
  iovaDepot: time('One exchange with the depot.'),
  iovaTree: time('Red-black tree: one allocation or free.'),
  iovaTreeNode: time('Red-black tree: one node visited.'),
  table: tableCostsSchema,
  tablePage: time('One table page allocated or freed.'),
  cacheLineFlush: time('One table line flushed for a walker that is not coherent.'),
  lock: time('Uncontended spin lock.'),
  lockHandOver: time('Contended lock to the next waiter of the same socket.'),
  lockHandOverRemote: time('Contended lock to a waiter of another socket.'),
  atomic: time('Atomic operation, load or store of a shared line that the CPU has.'),
  lineTransfer: time('Move of a shared line from another CPU of the socket.'),
  lineTransferRemote: time('Move of a shared line from a CPU of another socket.'),
  descriptor: time('Building and storing one invalidation descriptor.'),
  mmioWrite: time('CPU time of a posted register write.'),
  mmioFlight: time('From the register write until it reaches the unit.'),
  socketHop: time('One way over the link to a unit of another socket: its registers, queues and status words.'),
  poll: time('One turn of the completion polling loop.', { min: 1 }),
  pollWord: time('From a store of hardware to a word until the CPU that polls the word sees it.'),
  mmioRead: time('One uncached read of a register.', { min: 1 }),
  queueIova: time('Adding an entry to a flush queue.'),
  slot: time('One slot of the bounce pool looked at, taken or given back.'),
  copyLine: time('One 64-byte line copied by a CPU: bounce buffers, shadow buffers, copy of the map benchmark.'),
  copyLineRemote: time("One 64-byte line copied from or to another socket's memory."),
  timer: time('Timer interrupt entry and exit.'),
  dirtyLine: time('CPU time to write one 64-byte line.'),
  poolLookup: time('Finding the I/O address of a buffer that stays mapped.'),
  probe: time('Probe at the entry or exit of a traced function.'),
  mapCallback: time("Call of the driver's map function for one page, with perPageCallbacks."),
  unmapCallback: time("Call of the driver's unmap function for one page, with perPageCallbacks."),
  completion: time("From a device's completion to the driver's code."),
});

const strategy = z.strictObject({
  kind: choice(STRATEGY_KINDS, 'What the driver does with the hardware it has (iommusim explain strategies).'),
  before: z.strictObject({
    walkPerLeaf: flag('linux-before: the page-table code is called, and begins at the root, for each leaf.'),
    flushPerPage: flag('linux-before: each page is invalidated, and waited for, by itself.'),
    noHint: flag('linux-before: invalidations never say that table pages stay as they were.'),
    legacyCode: flag('linux-before: page-table code from before generic_pt, whatever tableCode says.'),
  }),
  batch: count(1, 4096, 'Unmapped buffers of a CPU held back at most (batched, ranged, contiguous, ring).'),
  chunk: powerOfTwo(1, 256, 'contiguous: pages of a chunk of I/O addresses.'),
  slots: count(1, 65536, 'ring: slots of a ring.'),
});

const guest = z.strictObject({
  mode: choice(
    GUEST_MODES,
    "Whether this is a guest's operating system, and how its IOMMU is made: caching (emulated, the host shadows the guest's tables), nested-trapped (own first stage, emulated queue), nested-queue (own first stage, a queue that hardware executes). A paravirtual IOMMU is an architecture of its own, with mode none.",
  ),
  exit: time("From a trapped register access to the monitor's code and back to the guest, both ways together."),
  lock: time("The monitor's lock, free."),
  lockHandOver: time("The monitor's lock from its release to the vCPU that sleeps on it."),
  emulation: time("The monitor's code for one command of an emulated queue, or one read of an emulated register."),
  batch: count(1, 65536, "Most invalidation commands that the monitor hands to the host's kernel at once."),
  call: time("A system call of the monitor into the host's IOMMU code, without its work on tables and queues."),
  pin: time('Pinning one page of guest memory for a shadow mapping.'),
  unpin: time('Unpinning it.'),
  stage2Change: time(
    'Time between changes of the second stage under the guest, each of which flushes all its translations; 0ns: never.',
  ),
});

const userMap = z.strictObject({
  call: time('A system call that maps or unmaps memory of a process, with its bookkeeping.'),
  pinBatch: count(1, 2 ** 20, 'Most pages of one call of pin_user_pages.'),
  pinCall: time('One such call.'),
  pinPage: time('Each of its pages.'),
  unpinPage: time('Unpinning one page.'),
  run: time('One run of frames handed to the page-table code.'),
});

const processes = z.strictObject({
  memory: z.strictObject({
    exception: time('Page-fault exception of a CPU.'),
    lock: time('Uncontended mmap_lock.'),
    vmaLookup: time('Finding the region of an address.'),
    fault: time('Handling a page fault, without allocating, clearing and updating.'),
    allocatePage: time('Allocating a page.'),
    clearPage: time('Clearing or copying 4 KiB.'),
    updatePage: time('Changing permissions or state of a present page.'),
    submitIo: time('Preparing a transfer from or to storage.'),
    call: time('A system call that changes a mapping, without its work on pages.'),
    callPage: time('Each present page of its range.'),
    callTable: time('Each table that it frees.'),
    freePage: time('Freeing a page.'),
    shootdown: time("Removing translations from the CPUs' TLBs."),
    scanPage: time('Looking at a page that might be paged out.'),
    evictPage: time('Unmapping a page that is paged out.'),
    cluster: count(1, 4096, 'Pages that one reclaim frees.'),
    storageLatency: time('Transfer of 4 KiB on an idle storage device.'),
    storageInterval: time('Time between transfers of a busy one.'),
  }),
  faults: z.strictObject({
    workers: count(1, 256, "Threads that handle a unit's recoverable page faults, one core each."),
    hardInterrupt: time("From the unit's message to the end of the hard interrupt handler."),
    unmask: time('What the interrupt thread pays when it has emptied the queue.'),
    queueWork: time('Handing a page fault to a worker.'),
    takeWork: time('A worker takes a page fault up and retires it.'),
    report: time('Finding out whose page fault it is.'),
  }),
  wakeLatency: time('From the wake-up of a thread to its start on an idle CPU.'),
  contextSwitch: time('Switching a CPU to another thread.'),
  enqcmd: z.strictObject({
    fixup: time("A thread's first ENQCMD: the fault, and loading the PASID register."),
    translate: time("The processor's look-up of a guest PASID."),
    exit: time('Leaving the virtual machine for a guest PASID that has no entry, and coming back.'),
  }),
  bind: time("Binding a device to a process, without the driver's part."),
  unbind: time("The opposite, without the driver's part."),
});

export const osSchema = z.strictObject({
  dma: z.strictObject({
    mode: choice(
      DMA_MODES,
      'When unmapped memory is out of reach: at once, later, never protected. bounce: not translated, every buffer copied (swiotlb=force).',
    ),
    flushQueue: z.strictObject({
      kind: choice(FLUSH_QUEUE_KINDS, 'A ring for each CPU, or one for all behind one lock.'),
      entries: count(2, 2 ** 20, 'Entries of a ring; one stays free. Linux: 256 for each CPU, 32768 of a single ring.'),
      timeout: time('Timer of the queue. Linux: 10 ms for rings of CPUs, 1 s for a single ring.', { min: 1 }),
    }),
    iova: z.strictObject({
      magazine: count(1, 65536, 'Page frame numbers in a magazine.'),
      cachedOrders: count(0, 16, 'Size classes with magazines; 0 takes every address from the tree.'),
      trim: time('Depot trim period.', { min: 1 }),
      addressBits: count(20, 64, "Bits of the device's DMA mask."),
      aged: count(
        0,
        2 ** 20,
        'Ranges of 1 to 32 pages that long-lived mappings hold when the run begins, with a hole of as many pages beside each.',
      ),
    }),
    strategy,
    bounce: choice(
      BOUNCE_RULES,
      'Buffers copied although the IOMMU translates: none, those that do not fill whole pages (as for untrusted devices), or all.',
    ),
    swiotlb: z.strictObject({
      size: size('Bytes of the bounce pool, rounded up to a power of two.', { min: LARGEST_BOUNCE, max: 2 ** 32 }),
      areas: count(
        0,
        4096,
        'Areas with a lock each, rounded up to a power of two; 0: one for each CPU. 1: before Linux 6.0.',
      ),
    }),
  }),
  superpages: flag('Use large leaves when alignment allows.'),
  invalidationHint: flag('The driver passes the invalidation hint when no table page was freed.'),
  completion: choice(
    ['msi', 'event', 'register'],
    'SMMUv3: a CPU learns of the end of a CMD_SYNC by a store to memory, by an event, or by reading CMDQ_CONS.',
  ),
  queueMemory: choice(['near', 'first'], "SMMUv3: command queues lie in memory of the unit's socket, or of the first."),
  tick: time('Timer tick; timeouts round up to it.', { min: 1 }),
  jitter: millionths('Spread of software times: each step takes its cost, more or less by up to this share.', 50),
  traced: flag('The functions of the unmap path are traced with probes at entry and exit.'),
  perPageCallbacks: flag(
    'The driver is called once for each page (before Linux 5.14), for mapCallback and unmapCallback each, not once for a range. Not together with linux-before and walkPerLeaf, which makes the same calls at the cost of the page-table code.',
  ),
  tableCode: z.strictObject(
    eachFormat((format) =>
      choice(TABLE_CODES, `Page-table code of ${format} tables: Linux's generic_pt, or what the driver had before it.`),
    ),
  ),
  guest,
  userMap,
  processes,
  costs,
});

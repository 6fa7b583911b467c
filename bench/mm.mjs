// Process address spaces: host memory of so many, bound to a device and with a page each; page faults per second of host CPU time.
// npm run -s build && node --expose-gc bench/mm.mjs [address spaces]
import v8 from 'node:v8';

for (const flag of [
  '--no-use-osr',
  '--max-inlined-bytecode-size=1000',
  '--max-inlined-bytecode-size-cumulative=4000',
]) {
  v8.setFlagsFromString(flag);
}
const { Kernel } = await import('../dist/kernel/kernel.js');
const { FrameAllocator } = await import('../dist/memory/frames.js');
const { PhysicalMemory } = await import('../dist/memory/physical.js');
const { compileFormat } = await import('../dist/pagetable/format.js');
const { x86FirstStage } = await import('../dist/pagetable/formats/x86_64.js');
const { Device } = await import('../dist/os/device.js');
const { Domain } = await import('../dist/os/domain.js');
const { Group } = await import('../dist/os/group.js');
const { FaultQueue } = await import('../dist/os/iopf.js');
const { LockStatistics, SpinLock } = await import('../dist/os/lock.js');
const { MemoryManager } = await import('../dist/os/mm/memory.js');
const { Scheduler } = await import('../dist/os/scheduler.js');
const { Sva } = await import('../dist/os/sva.js');
const { Workqueue } = await import('../dist/os/workqueue.js');

const SPACES = Number(process.argv[2] ?? 1_000_000);
const FAULTS = Math.min(SPACES, 300_000);
const PAGE = 4096;
const WRITE = 2;
const NS = 1000;

const costs = Object.fromEntries(
  'exception lock vmaLookup fault allocatePage clearPage updatePage submitIo call callPage callTable freePage shootdown scanPage evictPage'
    .split(' ')
    .map((name) => [name, 100 * NS]),
);
const spec = { limit: Number.POSITIVE_INFINITY, cluster: 32, storage: { latency: 0, interval: 0 }, costs };
const kernel = new Kernel();
const memory = new PhysicalMemory();
const cpus = Array.from({ length: 8 }, () => ({ socket: 0, frequency: 3e9 }));
const scheduler = new Scheduler(kernel, cpus, 0, 0, { wakeLatency: 1500 * NS, contextSwitch: 1000 * NS });
const format = compileFormat(x86FirstStage({ hostAddressWidth: 46, largestPageLg2: 30, executeDisable: true }));
const manager = new MemoryManager(scheduler, spec, memory, new FrameAllocator(2 ** 32, 2 ** 40), format, 4);

// A unit without hardware: what binding costs the host besides the driver's own tables.
const driver = {
  supportsPasid: () => true,
  attach: (domain, device, pasid) => domain.addTag(device.unit, pasid, () => 1),
};
let domains = 0;
const locks = new LockStatistics();
const factory = {
  processDomain(unit, table, handler) {
    const domain = new Domain(domains++, 'sva', unit, new SpinLock(scheduler, costs, locks));
    domain.process = table;
    domain.faultHandler = handler;
    return domain;
  },
};
const workqueue = new Workqueue('iopf', scheduler, scheduler.cpus.slice(4), 4, { queueWork: NS, takeWork: NS });
const queue = new FaultQueue(scheduler, workqueue, { report: 100 * NS, lock: 20 * NS });
const sva = new Sva(scheduler, manager, 'x86_64', factory, { bind: 0, unbind: 0, lock: 0 });
let answers = 0;
const device = new Device(0, 'dev', 0, 0x100, new Group(0));
const faults = {
  queue,
  device: queue.add(device, {
    *respond() {
      answers++;
      yield* [];
    },
  }),
};
const target = {
  device,
  driver,
  unit: { architecture: 'vtd', mode: 'scalable', stage: 'first', levels: 4, granule: PAGE },
  maxPasids: 2 ** 20,
  faults,
};

function held() {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

const before = held();
let since = cpuSeconds();
function report(what, count) {
  const seconds = cpuSeconds() - since;
  console.log(`${what}: ${Math.round(count / seconds)} per second of CPU time`);
  since = cpuSeconds();
}
function weigh(what) {
  const bytes = held() - before;
  console.log(`${what}: ${Math.round(bytes / SPACES)} bytes each, ${(bytes / 2 ** 30).toFixed(2)} GiB in all`);
  since = cpuSeconds();
}

const spaces = [];
const start = (i) => 2 ** 40 + (i % 4096) * 2 ** 21;
const thread = scheduler.spawn('bench', scheduler.cpus[0], function* (self) {
  for (let i = 0; i < SPACES; i++) {
    const mm = manager.create();
    manager.addRegion(mm, start(i), 16 * PAGE);
    yield* manager.touch(self, mm, start(i), WRITE);
    spaces.push(mm);
  }
  report('create an address space and touch a page', SPACES);
  weigh(`${SPACES} address spaces with a page each`);
  console.log(`of these, tables in simulated memory: ${Math.round(memory.bytes / SPACES)} bytes each`);
  for (const mm of spaces) yield* sva.bind(self, target, mm);
  report('bind', SPACES);
  weigh('the same, each bound to a device');
  for (let i = 0; i < FAULTS; i++) yield* manager.touch(self, spaces[i], start(i) + PAGE, WRITE);
  report('first-touch faults of a CPU', FAULTS);
  for (let i = 0; i < FAULTS; i++) {
    const fault = queue.fault();
    fault.pasid = spaces[i].pasid;
    fault.group = i & 511;
    fault.address = start(i) + 2 * PAGE;
    fault.access = WRITE;
    fault.last = true;
    fault.arrive(kernel.clock[0]);
    yield* queue.report(self, faults.device, fault);
    if ((i & 63) === 63) yield* workqueue.flush(self);
  }
  yield* workqueue.flush(self);
  report('page faults of a device, report to answer', FAULTS);
  if (answers !== FAULTS) throw new Error(`${answers} answers`);
});
scheduler.start(thread);
for (let event = kernel.next(); event !== null; event = kernel.next()) scheduler.threadStep(event);

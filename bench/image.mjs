// What bench/reference/end-to-end.cpp starts from: the numbers of a scenario and the words of simulated memory after boot.
import { femtosecondsPerByte } from '../dist/pcie/link.js';
import { Machine } from '../dist/system/machine.js';

const lines = (numbers) => Object.entries(numbers).map(([key, value]) => `${key} ${value}`);
const hex = (hi, lo) => (hi >>> 0).toString(16) + (lo >>> 0).toString(16).padStart(8, '0');
const linePs = (bandwidth) => Math.round((64 * 8 * 1e12) / bandwidth);

function wordsOf(physical) {
  const words = [];
  physical.forEachLine((hi, lo) => {
    for (let at = 0; at < 64; at += 8) {
      physical.read(hi, lo | at);
      const { wordHi, wordLo } = physical;
      if ((wordHi | wordLo) !== 0) words.push(`${hex(hi, lo | at)} ${hex(wordHi, wordLo)}`);
    }
  });
  return words;
}

export function imageOf(spec) {
  const machine = new Machine(spec, { everyEvent: false, audit: false });
  const [device] = Object.values(spec.devices);
  const [job] = Object.values(spec.workload);
  const [socket] = Object.values(spec.machine.sockets);
  const [port] = Object.values(spec.machine.ports);
  const [unit] = Object.values(spec.machine.iommus);
  const source = machine.engines[0].sources[0];
  const { link, engine } = device;
  const { pagingStructureCache: psc } = unit;
  // The numbers that have not been drawn yet; then the register writes of the boot take effect, before any request arrives.
  const state = source.random.generator.getState();
  machine.start();
  while (machine.units[0].unit.architecture.contexts.bypass) machine.dispatcher.batch(1);
  const { rootHi, rootLo } = machine.units[0].hardware.registers;
  const numbers = {
    base: machine.memory.baseOf(0),
    size: machine.memory.sizeOf(0),
    llcWays: socket.llc.ways,
    ddioWays: socket.llc.ddioWays,
    llcSize: socket.llc.size,
    llcLatency: socket.llc.latency,
    portLine: linePs(socket.llc.bandwidth),
    channels: socket.dram.channels,
    dramLatency: socket.dram.latency,
    dramLine: linePs(socket.dram.bandwidth),
    postedHeaders: port.postedHeaders,
    postedData: port.postedData,
    nonPostedHeaders: port.nonPostedHeaders,
    creditReturn: port.creditReturn,
    femto: femtosecondsPerByte(link),
    linkLatency: link.latency,
    requestOverhead: link.requestOverhead,
    completionOverhead: link.completionOverhead,
    maxPayload: link.maxPayload,
    maxReadRequest: link.maxReadRequest,
    tags: link.tags,
    records: machine.engines[0].pool.size,
    slots: engine.outstanding,
    outstandingReadBytes: engine.outstandingReadBytes,
    readOverhead: engine.readOverhead,
    requester: device.requester,
    postedDepth: unit.queue.postedDepth,
    nonPostedDepth: unit.queue.nonPostedDepth,
    interval: unit.queue.interval,
    lookup: Math.max(unit.iotlb.latency, unit.contextCache.latency),
    contextEntries: unit.contextCache.entries,
    contextWays: unit.contextCache.ways,
    iotlbEntries: unit.iotlb.entries,
    iotlbWays: unit.iotlb.ways,
    ...Object.fromEntries(
      [2, 3, 4, 5].flatMap((level) => [
        [`psc${level}Entries`, psc[`level${level}`].entries],
        [`psc${level}Ways`, psc[`level${level}`].ways],
      ]),
    ),
    structure: Math.max(...Object.values(psc).map((cache) => cache.latency)),
    outstanding: unit.walkers.outstanding,
    walkers: unit.walkers.count,
    walkOverhead: unit.walkers.overhead,
    replay: unit.walkers.replay,
    hostAddressWidth: unit.hostAddressWidth,
    root: (rootHi >>> 0) * 2 ** 32 + (rootLo >>> 0),
    ...Object.fromEntries(state.map((word, i) => [`random${i}`, word])),
    iova: source.work.base,
    windowAddress: windowAddress(machine, source.work.base),
    window: job.window,
    bytes: job.size,
    reads: job.reads,
    depth: job.outstanding,
  };
  return [...lines(numbers), 'words 0', ...wordsOf(machine.physical)].join('\n').concat('\n');
}

/** The window is physically contiguous: the translation of its first byte. */
function windowAddress(machine, iova) {
  return machine.os.devices[0].domainOf(-1).space.table.lookup(iova);
}

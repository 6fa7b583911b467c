// Hot path (bench: bench/memory.mjs)
/**
 * Timing of simulated memory: sockets with an LLC and DRAM each, joined by links. A request is served by the LLC and DRAM of the socket that owns its
 * address (home); a request from another socket pays the link's latency once and its bandwidth per line in the direction of the data.
 * Every server is booked at the instant of the call, never for a future arrival, so that a far request does not make nearer ones wait for it:
 * waits at the link and at the home socket overlap (the larger one counts). Values live in PhysicalMemory; nothing here touches them.
 * Not modelled: multi-hop topologies, snoop traffic between sockets, memory interleaved over sockets.
 */
import type { Registry } from '../stats/registry.js';
import { ArrayLoan } from './array-store.js';
import { LINE_BYTES, linePs } from './dram.js';
import { MEMORY_METRICS, registerNode } from './metrics.js';
import { MemoryNode } from './node.js';
import { ServerBank } from './servers.js';
import type { HostCacheState, InterconnectSpec, MemorySpec } from './spec.js';

/** First byte of the first socket's memory; below it lie low memory and device registers, which are not simulated as memory. */
export const FIRST_BASE = 2 ** 32;
/** Sockets start at multiples of this. */
export const SOCKET_ALIGN = 2 ** 30;
const GIB_LG2 = 30;
const GIB = 1 << GIB_LG2;

/** A request touches bytes that no socket owns. */
export class AddressOutsideMemory extends Error {
  constructor(hi: number, lo: number, bytes: number) {
    super(`no socket owns all of the ${bytes} bytes at 0x${((hi >>> 0) * 2 ** 32 + (lo >>> 0)).toString(16)}`);
    this.name = 'AddressOutsideMemory';
  }
}

export class MemorySystem {
  /** Sockets in the order of their names (by code unit); an index into it is a socket number. */
  readonly socketNames: readonly string[];
  readonly nodes: readonly MemoryNode[];
  private readonly hostCache: HostCacheState;
  private readonly interconnect: InterconnectSpec;
  private readonly linkLinePs: number;
  /** One server per ordered pair of sockets: from * sockets + to. */
  private readonly links: ServerBank;
  private readonly linkLines: Float64Array;
  /** Base and end of each socket's range, alternating. */
  private readonly ranges: Float64Array;
  /** Socket by number of the GiB of the address; -1 where a GiB is not owned by one socket from end to end. */
  private readonly homes: Int16Array;

  /** `clock[0]` is the current time, ps; it belongs to the caller. Throws RangeError for an impossible machine: no socket, an LLC that is not a whole number of sets, rates that are not positive. */
  constructor(
    spec: MemorySpec,
    readonly clock: Float64Array = new Float64Array(1),
    arrays: ArrayLoan = new ArrayLoan(),
  ) {
    this.hostCache = spec.hostCache;
    this.interconnect = spec.interconnect;
    this.socketNames = Object.keys(spec.sockets).sort();
    const count = this.socketNames.length;
    if (count === 0) throw new RangeError('a machine needs at least one socket');
    this.ranges = new Float64Array(2 * count);
    let base = FIRST_BASE;
    this.nodes = this.socketNames.map((name, index) => {
      const socket = spec.sockets[name]!;
      requirePositive(`${name}.llc.bandwidth`, socket.llc.bandwidth);
      requirePositive(`${name}.dram.bandwidth`, socket.dram.bandwidth);
      requirePositive(`${name}.dram.channels`, socket.dram.channels);
      requirePositive(`${name}.dram.size`, socket.dram.size);
      const node = new MemoryNode(socket, base, this.clock, arrays);
      this.ranges[2 * index] = base;
      this.ranges[2 * index + 1] = base + socket.dram.size;
      base = Math.ceil((base + socket.dram.size) / SOCKET_ALIGN) * SOCKET_ALIGN;
      return node;
    });
    if (base > 2 ** 52) throw new RangeError('the memory of all sockets does not fit 52 address bits');
    if (count > 1) requirePositive('interconnect.bandwidth', spec.interconnect.bandwidth);
    this.linkLinePs = count > 1 ? linePs(spec.interconnect.bandwidth) : 0;
    this.links = new ServerBank(count * count, this.clock);
    this.linkLines = new Float64Array(count);
    this.homes = new Int16Array(base / GIB).fill(-1);
    for (let socket = 0; socket < count; socket++) {
      this.homes.fill(socket, this.ranges[2 * socket]! / GIB, Math.floor(this.ranges[2 * socket + 1]! / GIB));
    }
  }

  /** Socket number of a name; throws RangeError for an unknown one. */
  indexOf(name: string): number {
    const index = this.socketNames.indexOf(name);
    if (index < 0) throw new RangeError(`no socket is called ${name}; there are ${this.socketNames.join(', ')}`);
    return index;
  }

  /** First byte of a socket's memory. */
  baseOf(socket: number): number {
    return this.ranges[2 * socket]!;
  }

  /** Bytes of a socket's memory. */
  sizeOf(socket: number): number {
    return this.ranges[2 * socket + 1]! - this.ranges[2 * socket]!;
  }

  /** Socket that owns the byte; throws AddressOutsideMemory. */
  socketOf(hi: number, lo: number): number {
    return this.homeOf(hi, lo, 1);
  }

  /** Whether some socket owns the 64-byte line of the address. */
  owns(hi: number, lo: number): boolean {
    if (this.homeOfGib(hi, lo) >= 0) return true;
    const line = (hi >>> 0) * 4294967296 + ((lo & -LINE_BYTES) >>> 0);
    const ranges = this.ranges;
    for (let i = 0; i < ranges.length; i += 2) {
      if (line >= ranges[i]! && line + LINE_BYTES <= ranges[i + 1]!) return true;
    }
    return false;
  }

  /** The line will be read or written soon, if any socket owns it. Host time only. */
  expect(hi: number, lo: number): void {
    const home = this.homeOfGib(hi, lo);
    if (home >= 0) this.nodes[home]!.llc.expect(hi, lo);
  }

  /** A device at `socket`'s root complex reads up to 4 KiB; delay until the last data are back there, ps. Looks the LLC up, allocates nothing. */
  deviceRead(socket: number, hi: number, lo: number, bytes: number): number {
    const home = this.homeOf(hi, lo, bytes);
    const lines = linesOf(lo, bytes);
    const delay = this.nodes[home]!.read(hi, lo, lines);
    return home === socket ? delay : this.cross(home, socket, home, lines, delay);
  }

  /** A device writes up to 4 KiB; delay until the last line is globally visible, ps. Allocates in the DDIO ways; without any it goes to DRAM. */
  deviceWrite(socket: number, hi: number, lo: number, bytes: number): number {
    const home = this.homeOf(hi, lo, bytes);
    const lines = linesOf(lo, bytes);
    const delay = this.nodes[home]!.write(hi, lo, lines);
    return home === socket ? delay : this.cross(socket, home, home, lines, delay);
  }

  /** A walker reads the 64-byte line of the address; delay until the data, ps. Coherent: through the LLC, which keeps the line. */
  walkerRead(socket: number, hi: number, lo: number, coherent: boolean): number {
    const home = this.homeOf(hi, lo, 1);
    const delay = this.nodes[home]!.walk(hi, lo, coherent);
    return home === socket ? delay : this.cross(home, socket, home, 1, delay);
  }

  /** The IOMMU writes (status words, fault records, accessed/dirty bits); as deviceWrite. */
  hardwareWrite(socket: number, hi: number, lo: number, bytes: number): number {
    return this.deviceWrite(socket, hi, lo, bytes);
  }

  /** A CPU has stored to the bytes: their lines are dirty in the LLC of their socket. State only, no time. */
  cpuWrite(hi: number, lo: number, bytes: number): void {
    const llc = this.nodes[this.homeOf(hi, lo, bytes)]!.llc;
    const lines = linesOf(lo, bytes);
    for (let i = 0; i < lines; i++) {
      const lineLo = (lo + i * LINE_BYTES) | 0;
      llc.cpuWrite(lineLo >>> 0 < lo >>> 0 ? hi + 1 : hi, lineLo);
    }
  }

  /** A CPU has loaded the bytes: their lines are in the LLC of their socket. State only, no time. */
  cpuRead(hi: number, lo: number, bytes: number): void {
    const llc = this.nodes[this.homeOf(hi, lo, bytes)]!.llc;
    const lines = linesOf(lo, bytes);
    for (let i = 0; i < lines; i++) {
      const lineLo = (lo + i * LINE_BYTES) | 0;
      llc.coherentRead(lineLo >>> 0 < lo >>> 0 ? hi + 1 : hi, lineLo);
    }
  }

  /** The line leaves the LLC (clflush). State only. */
  flushLine(hi: number, lo: number): void {
    this.nodes[this.homeOf(hi, lo, 1)]!.llc.invalidate(hi, lo);
  }

  /** Brings one DMA window into the state that `hostCache` names, before a run. */
  warmWindow(address: number, bytes: number): void {
    if (this.hostCache === 'device-warm') this.warmFromDevice(address, bytes);
    else if (this.hostCache === 'host-warm') this.warmFromHost(address, bytes);
    else this.eachLine(address, bytes, false, (node, hi, lo) => node.llc.invalidate(hi, lo));
  }

  /** Replays device writes over the range in ascending order; no time, no metrics. */
  warmFromDevice(address: number, bytes: number): void {
    this.eachLine(address, bytes, true, (node, hi, lo) => node.llc.deviceWrite(hi, lo));
  }

  /** Replays CPU stores over the range in ascending order; no time, no metrics. */
  warmFromHost(address: number, bytes: number): void {
    this.eachLine(address, bytes, true, (node, hi, lo) => node.llc.cpuWrite(hi, lo));
  }

  /** Drops everything from every LLC. */
  coldAll(): void {
    for (const node of this.nodes) node.llc.clear();
  }

  /** Defines the memory metrics and registers every socket's gauges under its name. */
  registerMetrics(registry: Pick<Registry, 'define' | 'gauge' | 'onReset'>): void {
    registry.define(MEMORY_METRICS);
    this.nodes.forEach((node, socket) => {
      registerNode(registry, this.socketNames[socket]!, node, () => this.linkLines[socket]! * LINE_BYTES);
    });
    registry.onReset((now) => this.resetMetrics(now));
  }

  /** Clears the counters and starts a window of utilisation at `now`. */
  private resetMetrics(now: number): void {
    for (const node of this.nodes) {
      node.lookups.fill(0);
      node.hits.fill(0);
      node.dram.counts.fill(0);
      node.dram.bank.reset(now);
      node.port.reset(now);
    }
    this.linkLines.fill(0);
    this.links.reset(now);
  }

  /** Delay of a request whose lines cross the link `from` -> `to` and that the home socket serves within `delay`. */
  private cross(from: number, to: number, home: number, lines: number, delay: number): number {
    const service = this.linkLinePs;
    const wait = this.links.book(from * this.nodes.length + to, 0, lines * service);
    this.linkLines[home] = this.linkLines[home]! + lines;
    const paced = wait + (lines - 1) * service + this.nodes[home]!.latencyPs;
    return Math.max(delay, paced) + this.interconnect.latency;
  }

  /** Socket that owns the whole GiB of the address, or -1. Integers only: most requests need no more. */
  private homeOfGib(hi: number, lo: number): number {
    const gib = (hi << 2) | (lo >>> GIB_LG2);
    return hi >>> 20 === 0 && gib < this.homes.length ? this.homes[gib]! : -1;
  }

  private homeOf(hi: number, lo: number, bytes: number): number {
    const home = this.homeOfGib(hi, lo);
    return home >= 0 && (lo & (GIB - 1)) + bytes <= GIB ? home : this.search(hi, lo, bytes);
  }

  private search(hi: number, lo: number, bytes: number): number {
    const address = (hi >>> 0) * 4294967296 + (lo >>> 0);
    const ranges = this.ranges;
    for (let i = 0; i < ranges.length; i += 2) {
      if (address >= ranges[i]! && address + bytes <= ranges[i + 1]!) return i >>> 1;
    }
    throw new AddressOutsideMemory(hi, lo, bytes);
  }

  /** Visits the lines of a range in ascending order; `tail`: of a range beyond twice its LLC only the end, since the beginning would be evicted again. */
  private eachLine(
    address: number,
    bytes: number,
    tail: boolean,
    visit: (node: MemoryNode, hi: number, lo: number) => void,
  ): void {
    if (bytes <= 0) return;
    const node = this.nodes[this.homeOf(Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0, bytes)]!;
    const end = address + bytes;
    let line = Math.floor(address / LINE_BYTES) * LINE_BYTES;
    if (tail)
      line = Math.max(line, Math.ceil(end / LINE_BYTES) * LINE_BYTES - 2 * node.llc.sets * node.llc.ways * LINE_BYTES);
    for (; line < end; line += LINE_BYTES) visit(node, Math.floor(line / 2 ** 32), (line % 2 ** 32) | 0);
  }
}

/** 64-byte lines that `bytes` bytes at an address with lower half `lo` touch. */
function linesOf(lo: number, bytes: number): number {
  return ((lo & (LINE_BYTES - 1)) + bytes + LINE_BYTES - 1) >>> 6;
}

function requirePositive(name: string, value: number): void {
  if (!(value > 0)) throw new RangeError(`${name} must be positive, got ${value}`);
}

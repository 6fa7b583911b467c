// Hot path (bench: bench/memory.mjs)
/**
 * The memory of one socket as its root complex sees it: LLC tags behind a port of limited bandwidth, DRAM channels behind the LLC.
 * The lines of a request pass the port one after the other; line i is looked up when the port takes it and its data arrive
 * `llc.latency` later, on a miss after the wait for the channel and `dram.latency` more. A request's delay is that of its last line to arrive.
 * Posted writes are visible at the LLC (or accepted by DRAM without DDIO); a dirty victim is buffered for one LLC latency, after which a
 * busy channel holds the write back. Not modelled: read-for-ownership of partial lines, snoops of inner caches.
 */
import type { ArrayLoan } from './array-store.js';
import { Dram, linePs } from './dram.js';
import { Llc } from './llc.js';
import { ServerBank } from './servers.js';
import type { SocketSpec } from './spec.js';

/** Index into `lookups` and `hits`. */
export const enum Kind {
  DeviceRead,
  DeviceWrite,
  Walker,
  Count,
}

export class MemoryNode {
  readonly llc: Llc;
  readonly dram: Dram;
  readonly port: ServerBank;
  /** Lines by Kind. */
  readonly lookups = new Float64Array(Kind.Count);
  readonly hits = new Float64Array(Kind.Count);
  readonly latencyPs: number;
  /** Occupancy of the port by one line, ps. */
  readonly portLinePs: number;
  private readonly posted: boolean;

  /** The node's range is [base, base + spec.dram.size). `clock[0]` is the current time, ps. */
  constructor(
    spec: SocketSpec,
    readonly base: number,
    clock: Float64Array,
    arrays: ArrayLoan,
  ) {
    this.llc = new Llc(spec.llc, arrays);
    this.dram = new Dram(spec.dram, clock);
    this.port = new ServerBank(1, clock);
    this.latencyPs = spec.llc.latency;
    this.portLinePs = linePs(spec.llc.bandwidth);
    this.posted = spec.llc.ddioWays > 0;
  }

  /** A device reads `lines` lines from the one at the address on; returns the delay until the last data, ps. */
  read(hi: number, lo: number, lines: number): number {
    const wait = this.port.book(0, 0, lines * this.portLinePs);
    let last = 0;
    for (let i = 0; i < lines; i++) {
      const lineLo = (lo + i * 64) | 0;
      const lineHi = carry(hi, lo, lineLo);
      const offset = wait + i * this.portLinePs;
      this.lookups[Kind.DeviceRead] = this.lookups[Kind.DeviceRead]! + 1;
      let arrival = offset + this.latencyPs;
      if (this.llc.deviceRead(lineHi, lineLo)) this.hits[Kind.DeviceRead] = this.hits[Kind.DeviceRead]! + 1;
      else arrival += this.dram.read(offset, lineHi, lineLo) + this.dram.latencyPs;
      if (arrival > last) last = arrival;
    }
    return last;
  }

  /** A device writes `lines` lines; returns the delay until all are visible, ps. */
  write(hi: number, lo: number, lines: number): number {
    const wait = this.port.book(0, 0, lines * this.portLinePs);
    let last = 0;
    for (let i = 0; i < lines; i++) {
      const lineLo = (lo + i * 64) | 0;
      const lineHi = carry(hi, lo, lineLo);
      const offset = wait + i * this.portLinePs;
      this.lookups[Kind.DeviceWrite] = this.lookups[Kind.DeviceWrite]! + 1;
      if (this.llc.deviceWrite(lineHi, lineLo)) this.hits[Kind.DeviceWrite] = this.hits[Kind.DeviceWrite]! + 1;
      let visible = offset + this.latencyPs;
      if (this.posted === false) visible += this.dram.write(offset, lineHi, lineLo);
      else if (this.llc.evictedDirty === true) visible = this.writeBack(offset);
      if (visible > last) last = visible;
    }
    return last;
  }

  /** A walker reads one line; returns the delay until the data, ps. Not coherent: from DRAM, whatever the LLC holds. */
  walk(hi: number, lo: number, coherent: boolean): number {
    const offset = this.port.book(0, 0, this.portLinePs);
    if (coherent) {
      this.lookups[Kind.Walker] = this.lookups[Kind.Walker]! + 1;
      if (this.llc.coherentRead(hi, lo)) {
        this.hits[Kind.Walker] = this.hits[Kind.Walker]! + 1;
        return offset + this.latencyPs;
      }
      if (this.llc.evictedDirty === true) this.writeBack(offset);
    }
    return offset + this.latencyPs + this.dram.read(offset, hi, lo) + this.dram.latencyPs;
  }

  /** Writes the victim of the last allocation back; returns when the line that replaced it is usable, ps from now. */
  private writeBack(offset: number): number {
    const wait = this.dram.write(offset, this.llc.evictedHi, this.llc.evictedLo);
    return offset + (wait > this.latencyPs ? wait : this.latencyPs);
  }
}

/** Upper half of a line's address when its lower half may have wrapped past 4 GiB. */
function carry(hi: number, lo: number, lineLo: number): number {
  return lineLo >>> 0 < lo >>> 0 ? hi + 1 : hi;
}

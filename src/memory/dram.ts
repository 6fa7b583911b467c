// Hot path (bench: bench/memory.mjs)
/**
 * DRAM of one socket: channels interleaved by line, each a first-in first-out server with the time of one 64-byte line as service time.
 * Consecutive lines go to consecutive channels; the page number and the 2 MiB number rotate the start, standing for the address hash of real
 * controllers, so that equally aligned accesses (the first line of every page) spread over the channels.
 * Not modelled: banks, open rows, refresh, read/write turn-around.
 */
import { ServerBank } from './servers.js';
import type { DramSpec } from './spec.js';

export const LINE_BYTES = 64;

/** Time of one 64-byte line at `bandwidth` bit/s, in whole picoseconds. */
export function linePs(bandwidth: number): number {
  return Math.round((LINE_BYTES * 8 * 1e12) / bandwidth);
}

export class Dram {
  readonly latencyPs: number;
  /** Occupancy of a channel by one line, ps. */
  readonly servicePs: number;
  readonly bank: ServerBank;
  /** [0] lines read, [1] lines written. */
  readonly counts = new Float64Array(2);
  private readonly channels: number;
  /** 2^26 lines (4 GiB) modulo the number of channels. */
  private readonly stride: number;

  constructor(spec: DramSpec, clock: Float64Array) {
    this.latencyPs = spec.latency;
    this.servicePs = linePs(spec.bandwidth);
    this.channels = spec.channels;
    this.stride = 2 ** 26 % spec.channels;
    this.bank = new ServerBank(spec.channels, clock);
  }

  /** Channel of the line that contains the address. */
  channelOf(hi: number, lo: number): number {
    return (hi * this.stride + (lo >>> 6) + (lo >>> 12) + (lo >>> 21)) % this.channels;
  }

  /** Books the read of a line that reaches its channel `offsetPs` from now; returns the wait for the channel, ps. The data come latencyPs after the wait. */
  read(offsetPs: number, hi: number, lo: number): number {
    this.counts[0] = this.counts[0]! + 1;
    return this.bank.book(this.channelOf(hi, lo), offsetPs, this.servicePs);
  }

  /** Same for a write; the line is accepted when the wait is over. */
  write(offsetPs: number, hi: number, lo: number): number {
    this.counts[1] = this.counts[1]! + 1;
    return this.bank.book(this.channelOf(hi, lo), offsetPs, this.servicePs);
  }
}

/** Sockets, ports and links between sockets as functions of what their data sheets state. */
import { assumed, measured, type Quantity, spec } from '../quantity.js';
import type { Parameters } from '../sheet.js';
import { ARK, DEVICE_SIDE, PCIE_BENCH } from '../sources.js';

export interface SocketFacts {
  readonly cores: number;
  readonly frequencyGHz: number;
  readonly llcMiB: number;
  readonly ways: number;
  readonly dram: Quantity;
  readonly channels: number;
  /** GB/s of one channel. */
  readonly channelGBps: number;
  /** Added by a miss of the last-level cache. */
  readonly dramLatency: Quantity;
  readonly llcLatency?: Quantity;
}

export function socket(facts: SocketFacts): Parameters {
  return {
    cores: spec(facts.cores, 'cores', ARK),
    frequency: spec(facts.frequencyGHz, 'GHz', ARK),
    llc: {
      size: spec(facts.llcMiB, 'MiB', ARK),
      ways: spec(facts.ways, 'ways', 'CPUID leaf 4 of this family'),
      ddioWays: spec(2, 'ways', 'Intel Data Direct I/O: two ways by default'),
      scatter: assumed(0, '%', 'start value of the fit: sets follow from the line number'),
      latency: facts.llcLatency ?? assumed(100, 'ns', DEVICE_SIDE),
      bandwidth: assumed(50, 'GBps', 'above every published I/O rate of one root port'),
    },
    dram: {
      size: facts.dram,
      channels: spec(facts.channels, 'channels', ARK),
      latency: facts.dramLatency,
      bandwidth: spec(facts.channelGBps, 'GBps', `${ARK}: memory types, 8 bytes a transfer`),
    },
  };
}

export function interconnect(latency: Quantity, gigabytes: number, name: string): Parameters {
  return { latency, bandwidth: spec(gigabytes, 'GBps', `${ARK}: ${name}, one direction`) };
}

const CREDITS = 'not published; enough not to limit the published rates';

/** A root port of `socket` behind the unit `iommu`. */
export function port(socketName: string, iommu: string | null): Parameters {
  return {
    socket: socketName,
    iommu,
    postedHeaders: assumed(64, 'credits', CREDITS),
    postedData: assumed(512, 'credits of 16 B', CREDITS),
    nonPostedHeaders: assumed(64, 'credits', CREDITS),
    creditReturn: assumed(100, 'ns', CREDITS),
  };
}

/** Added latency of DRAM as the device sees it: cold minus device-warm at 16 KiB, IOMMU off. */
export function coldMinusWarm(ns: number): Quantity {
  return measured(ns, 'ns', `${PCIE_BENCH}: cold minus device-warm 64 B read latency, 16 KiB window, IOMMU off`);
}

export const BENCH_MEMORY: Quantity = assumed(64, 'GiB', 'not stated by the publication');

export const hostCache: Quantity = assumed(
  'device-warm',
  '',
  'state when a run starts: devices have written their windows',
);

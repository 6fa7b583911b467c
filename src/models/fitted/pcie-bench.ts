/**
 * Parameters decided by the published pcie-bench measurements (github.com/pcie-bench/data @ b2abf2f, Neugebauer et al.,
 * SIGCOMM 2018): sheet name, dotted path, value. Worked out by hand from single rows as starting values for the fit.
 */
import type { FittedTable } from '../sheet.js';

const LATENCY = 'by hand from pcie-bench 64 B read latency, device-warm, IOMMU off';
const MISS = 'by hand from pcie-bench 64 B reads, 64 MiB window, 4 KiB pages: added latency and sustained rate';
const RATE = 'by hand from pcie-bench bandwidth by transfer size, IOMMU off and small windows';

export const PCIE_BENCH_FIT: Readonly<Record<string, FittedTable>> = {
  'bdw-e5-2630v4': { 'sockets.s0.llc.latency': { value: 100, unit: 'ns', rows: LATENCY } },
  'hsw-e5-2620v3': { 'sockets.s0.llc.latency': { value: 101, unit: 'ns', rows: LATENCY } },
  'hsw-e5-2637v3': { 'sockets.s0.llc.latency': { value: 125, unit: 'ns', rows: LATENCY } },
  'ivb-e5-2620v2': { 'sockets.s0.llc.latency': { value: 106, unit: 'ns', rows: LATENCY } },
  'snb-e5-2630': { 'sockets.s0.llc.latency': { value: 108, unit: 'ns', rows: LATENCY } },
  'vtd-bdw-ep': {
    'walkers.count': { value: 4, unit: 'walks', rows: MISS },
    'walkers.overhead': { value: 108, unit: 'ns', rows: MISS },
    'walkers.replay': { value: 80, unit: 'ns', rows: MISS },
  },
  'vtd-hsw-ep': {
    'walkers.count': { value: 4, unit: 'walks', rows: MISS },
    'walkers.overhead': { value: 103, unit: 'ns', rows: MISS },
    'walkers.replay': { value: 22, unit: 'ns', rows: MISS },
  },
  'vtd-ivb-ep': {
    'walkers.count': { value: 4, unit: 'walks', rows: MISS },
    'walkers.overhead': { value: 41, unit: 'ns', rows: MISS },
    'walkers.replay': { value: 75, unit: 'ns', rows: MISS },
  },
  nfp6000: {
    'engine.readOverhead': { value: 198, unit: 'ns', rows: LATENCY },
    'engine.readInterval.1.interval': { value: 23.4, unit: 'ns', rows: RATE },
    'engine.readInterval.2.interval': { value: 42.6, unit: 'ns', rows: RATE },
    'engine.readInterval.3.interval': { value: 74.4, unit: 'ns', rows: RATE },
    'engine.writeInterval.0.interval': { value: 21.1, unit: 'ns', rows: RATE },
    'engine.writeInterval.1.interval': { value: 40.55, unit: 'ns', rows: RATE },
    'engine.outstanding': { value: 27, unit: 'DMAs', rows: RATE },
  },
};

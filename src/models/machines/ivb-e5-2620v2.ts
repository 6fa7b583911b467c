/** Xeon E5-2620 v2 (Ivy Bridge-EP), Dell T620, host of the published pcie-bench measurements. Walker not coherent. */
import { measured } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdIvbEp } from '../iommus/vtd-ivb-ep.js';
import { BENCH_MEMORY, coldMinusWarm, hostCache, interconnect, port, socket } from './parts.js';
import { PCIE_BENCH } from '../sources.js';

const facts = {
  cores: 6,
  frequencyGHz: 2.1,
  llcMiB: 15,
  ways: 20,
  channels: 4,
  channelGBps: 12.8,
  dramLatency: coldMinusWarm(76),
  dram: BENCH_MEMORY,
};

export const ivbE52620v2: Sheet = defineSheet({
  name: 'ivb-e5-2620v2',
  title: 'Xeon E5-2620 v2 (Ivy Bridge-EP), Dell T620',
  kind: 'machine',
  description: 'Two sockets, one VT-d unit and one root port on the first. Walker not coherent.',
  parameters: {
    sockets: { s0: socket(facts), s1: socket(facts) },
    interconnect: interconnect(measured(58, 'ns', `${PCIE_BENCH}: remote minus local DRAM`), 14.4, 'QPI 7.2 GT/s'),
    iommus: { iommu0: { ...vtdIvbEp.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

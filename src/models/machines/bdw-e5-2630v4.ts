/** Xeon E5-2630 v4 (Broadwell-EP), Dell T430, host of the published pcie-bench measurements. Coherent walker. */
import { measured } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdBdwEp } from '../iommus/vtd-bdw-ep.js';
import { BENCH_MEMORY, coldMinusWarm, hostCache, interconnect, port, socket } from './parts.js';
import { PCIE_BENCH } from '../sources.js';

const facts = {
  cores: 10,
  frequencyGHz: 2.2,
  llcMiB: 25,
  ways: 20,
  channels: 4,
  channelGBps: 17.064,
  dramLatency: coldMinusWarm(76),
  dram: BENCH_MEMORY,
};

export const bdwE52630v4: Sheet = defineSheet({
  name: 'bdw-e5-2630v4',
  title: 'Xeon E5-2630 v4 (Broadwell-EP), Dell T430',
  kind: 'machine',
  description: 'Two sockets, one VT-d unit and one root port on the first. Coherent walker.',
  parameters: {
    sockets: { s0: socket(facts), s1: socket(facts) },
    interconnect: interconnect(measured(49, 'ns', `${PCIE_BENCH}: remote minus local DRAM`), 16, 'QPI 8 GT/s'),
    iommus: { iommu0: { ...vtdBdwEp.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

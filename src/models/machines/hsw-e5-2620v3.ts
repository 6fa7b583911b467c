/** Xeon E5-2620 v3 (Haswell-EP), Dell T630, host of the published pcie-bench measurements. Coherent walker. */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdHswEp } from '../iommus/vtd-hsw-ep.js';
import { BENCH_MEMORY, coldMinusWarm, hostCache, interconnect, port, socket } from './parts.js';

const facts = {
  cores: 6,
  frequencyGHz: 2.4,
  llcMiB: 15,
  ways: 20,
  channels: 4,
  channelGBps: 14.928,
  dramLatency: coldMinusWarm(69),
  dram: BENCH_MEMORY,
};

export const hswE52620v3: Sheet = defineSheet({
  name: 'hsw-e5-2620v3',
  title: 'Xeon E5-2620 v3 (Haswell-EP), Dell T630',
  kind: 'machine',
  description: 'Two sockets, one VT-d unit and one root port on the first. Coherent walker.',
  parameters: {
    sockets: { s0: socket(facts), s1: socket(facts) },
    interconnect: interconnect(assumed(49, 'ns', 'as measured on the Broadwell-EP host'), 16, 'QPI 8 GT/s'),
    iommus: { iommu0: { ...vtdHswEp.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

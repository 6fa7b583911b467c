/** Xeon E5-2630 (Sandy Bridge-EP), Dell T620, host of the published pcie-bench measurements. Walker not coherent; walkers inherited from vtd-ivb-ep. */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdSnbEp } from '../iommus/vtd-snb-ep.js';
import { BENCH_MEMORY, coldMinusWarm, hostCache, interconnect, port, socket } from './parts.js';

const facts = {
  cores: 6,
  frequencyGHz: 2.3,
  llcMiB: 15,
  ways: 20,
  channels: 4,
  channelGBps: 10.664,
  dramLatency: coldMinusWarm(68),
  dram: BENCH_MEMORY,
};

export const snbE52630: Sheet = defineSheet({
  name: 'snb-e5-2630',
  title: 'Xeon E5-2630 (Sandy Bridge-EP), Dell T620',
  kind: 'machine',
  description:
    'Two sockets, one VT-d unit and one root port on the first. Walker not coherent; walkers inherited from vtd-ivb-ep.',
  parameters: {
    sockets: { s0: socket(facts), s1: socket(facts) },
    interconnect: interconnect(assumed(58, 'ns', 'as measured on the Ivy Bridge-EP host'), 14.4, 'QPI 7.2 GT/s'),
    iommus: { iommu0: { ...vtdSnbEp.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

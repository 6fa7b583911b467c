/** Xeon E5-2637 v3 (Haswell-EP), host of the published pcie-bench measurements. Firmware reports a walker that is not coherent; walkers inherited from vtd-hsw-ep. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { inheritedWalkers } from '../iommus/vtd.js';
import { vtdHswEp } from '../iommus/vtd-hsw-ep.js';
import { BENCH_MEMORY, coldMinusWarm, hostCache, interconnect, port, socket } from './parts.js';

const facts = {
  cores: 4,
  frequencyGHz: 3.5,
  llcMiB: 15,
  ways: 20,
  channels: 4,
  channelGBps: 17.064,
  dramLatency: coldMinusWarm(85),
  dram: BENCH_MEMORY,
};

export const hswE52637v3: Sheet = defineSheet({
  name: 'hsw-e5-2637v3',
  title: 'Xeon E5-2637 v3 (Haswell-EP)',
  kind: 'machine',
  description:
    'Two sockets, one VT-d unit and one root port on the first. Firmware reports a walker that is not coherent; walkers inherited from vtd-hsw-ep.',
  parameters: {
    sockets: { s0: socket(facts), s1: socket(facts) },
    interconnect: interconnect(assumed(49, 'ns', 'as measured on the Broadwell-EP host'), 19.2, 'QPI 9.6 GT/s'),
    iommus: {
      iommu0: {
        ...vtdHswEp.parameters,
        socket: 's0',
        walkers: inheritedWalkers(vtdHswEp),
        coherent: spec(false, '', 'ECAP of this host: C = 0'),
      },
    },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

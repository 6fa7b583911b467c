/** Xeon E3-1220 (Sandy Bridge), Dell R210 II: the machine of rIOMMU (ASPLOS 2015). */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdSnbEp } from '../iommus/vtd-snb-ep.js';
import { BENCH_MEMORY, hostCache, interconnect, port, socket } from './parts.js';

export const snbE31220: Sheet = defineSheet({
  name: 'snb-e3-1220',
  title: 'Xeon E3-1220 (Sandy Bridge), one socket',
  kind: 'machine',
  description: 'Host of rIOMMU (ASPLOS 2015). Its VT-d unit is taken to be that of Sandy Bridge-EP.',
  parameters: {
    sockets: {
      s0: socket({
        cores: 4,
        frequencyGHz: 3.1,
        llcMiB: 8,
        ways: 16,
        channels: 2,
        channelGBps: 10.664,
        dramLatency: assumed(68, 'ns', 'as on Sandy Bridge-EP'),
        dram: BENCH_MEMORY,
      }),
    },
    interconnect: interconnect(assumed(58, 'ns', 'one socket: not used'), 14.4, 'none, one socket'),
    iommus: { iommu0: { ...vtdSnbEp.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

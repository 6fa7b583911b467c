/** Xeon Platinum 8480+ (Sapphire Rapids), one socket: scalable-mode VT-d with first-stage tables. */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdSpr } from '../iommus/vtd-spr.js';
import { hostCache, interconnect, port, socket } from './parts.js';

export const spr8480: Sheet = defineSheet({
  name: 'spr-8480',
  title: 'Xeon Platinum 8480+ (Sapphire Rapids), one socket',
  kind: 'machine',
  description: 'One socket, one PCIe stack with its VT-d unit in scalable mode. The part has up to ten units a socket.',
  parameters: {
    sockets: {
      s0: socket({
        cores: 56,
        frequencyGHz: 2,
        llcMiB: 105,
        ways: 15,
        dram: assumed(512, 'GiB', 'a common configuration: eight 64 GiB modules'),
        channels: 8,
        channelGBps: 38.4,
        dramLatency: assumed(90, 'ns', 'DDR5 on a mesh part; order of published tests'),
      }),
    },
    interconnect: interconnect(
      assumed(80, 'ns', 'remote minus local memory latency, order of published tests'),
      32,
      'UPI 16 GT/s',
    ),
    iommus: { iommu0: { ...vtdSpr.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

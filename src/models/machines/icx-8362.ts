/** Xeon Platinum 8362 (Ice Lake-SP), one socket: a host of Fast & Safe IO Memory Protection (SOSP 2024). */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdIcx } from '../iommus/vtd-icx.js';
import { hostCache, interconnect, port, socket } from './parts.js';

export const icx8362: Sheet = defineSheet({
  name: 'icx-8362',
  title: 'Xeon Platinum 8362 (Ice Lake-SP), one socket',
  kind: 'machine',
  description:
    'One socket, one PCIe stack with its VT-d unit in legacy mode. The part has several such units a socket.',
  parameters: {
    sockets: {
      s0: socket({
        cores: 32,
        frequencyGHz: 2.8,
        llcMiB: 48,
        ways: 12,
        dram: assumed(256, 'GiB', 'a common configuration: eight 32 GiB modules'),
        channels: 8,
        channelGBps: 25.6,
        dramLatency: assumed(80, 'ns', 'DDR4 on a mesh part; order of published tests'),
      }),
    },
    interconnect: interconnect(
      assumed(70, 'ns', 'remote minus local memory latency, order of published tests'),
      22.4,
      'UPI 11.2 GT/s',
    ),
    iommus: { iommu0: { ...vtdIcx.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

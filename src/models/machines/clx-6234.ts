/** Xeon Gold 6234 (Cascade Lake-SP), one socket: a host of Fast & Safe IO Memory Protection (SOSP 2024). */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdClx } from '../iommus/vtd-clx.js';
import { hostCache, interconnect, port, socket } from './parts.js';

export const clx6234: Sheet = defineSheet({
  name: 'clx-6234',
  title: 'Xeon Gold 6234 (Cascade Lake-SP), one socket',
  kind: 'machine',
  description: 'One socket, one PCIe stack with its VT-d unit. The part has four such units a socket.',
  parameters: {
    sockets: {
      s0: socket({
        cores: 8,
        frequencyGHz: 3.3,
        llcMiB: 24.75,
        ways: 11,
        dram: assumed(192, 'GiB', 'a common configuration: six 32 GiB modules'),
        channels: 6,
        channelGBps: 23.464,
        dramLatency: assumed(75, 'ns', 'as measured on Haswell-EP and Broadwell-EP'),
      }),
    },
    interconnect: interconnect(
      assumed(70, 'ns', 'remote minus local memory latency, order of published tests'),
      20.8,
      'UPI 10.4 GT/s',
    ),
    iommus: { iommu0: { ...vtdClx.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

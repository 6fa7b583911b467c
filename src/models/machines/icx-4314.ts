/** Xeon Silver 4314 (Ice Lake-SP), one socket: the machine of a published cost of queued invalidation. */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdIcx } from '../iommus/vtd-icx.js';
import { hostCache, interconnect, port, socket } from './parts.js';

export const icx4314: Sheet = defineSheet({
  name: 'icx-4314',
  title: 'Xeon Silver 4314 (Ice Lake-SP), one socket',
  kind: 'machine',
  description: 'One socket, one PCIe stack with its VT-d unit in legacy mode.',
  parameters: {
    sockets: {
      s0: socket({
        cores: 16,
        frequencyGHz: 2.4,
        llcMiB: 24,
        ways: 12,
        dram: assumed(256, 'GiB', 'a common configuration: eight 32 GiB modules'),
        channels: 8,
        channelGBps: 21.328,
        dramLatency: assumed(80, 'ns', 'DDR4 on a mesh part; order of published tests'),
      }),
    },
    interconnect: interconnect(assumed(70, 'ns', 'one socket: not used'), 20.8, 'UPI 10.4 GT/s'),
    iommus: { iommu0: { ...vtdIcx.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

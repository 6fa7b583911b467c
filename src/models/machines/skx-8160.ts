/** Xeon Platinum 8160 (Skylake-SP), one socket: legacy-mode VT-d with second-stage tables. */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdSkx } from '../iommus/vtd-skx.js';
import { hostCache, interconnect, port, socket } from './parts.js';

export const skxSocket = socket({
  cores: 24,
  frequencyGHz: 2.1,
  llcMiB: 33,
  ways: 11,
  dram: assumed(192, 'GiB', 'a common configuration: six 32 GiB modules'),
  channels: 6,
  channelGBps: 21.328,
  dramLatency: assumed(75, 'ns', 'as measured on Haswell-EP and Broadwell-EP'),
});

export const skxInterconnect = interconnect(
  assumed(70, 'ns', 'remote minus local memory latency, order of published tests'),
  20.8,
  'UPI 10.4 GT/s',
);

export const skx8160: Sheet = defineSheet({
  name: 'skx-8160',
  title: 'Xeon Platinum 8160 (Skylake-SP), one socket',
  kind: 'machine',
  description: 'One socket, one PCIe stack with its VT-d unit. The part has four such units a socket.',
  parameters: {
    sockets: { s0: skxSocket },
    interconnect: skxInterconnect,
    iommus: { iommu0: { ...vtdSkx.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

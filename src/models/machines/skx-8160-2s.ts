/** Two Xeon Platinum 8160 (Skylake-SP): a VT-d unit and a root port on each socket. */
import { defineSheet, type Sheet } from '../sheet.js';
import { vtdSkx } from '../iommus/vtd-skx.js';
import { hostCache, port } from './parts.js';
import { skxInterconnect, skxSocket } from './skx-8160.js';

export const skx81602s: Sheet = defineSheet({
  name: 'skx-8160-2s',
  title: 'Xeon Platinum 8160 (Skylake-SP), two sockets',
  kind: 'machine',
  description: 'Two sockets, each with one PCIe stack, its VT-d unit and a root port.',
  parameters: {
    sockets: { s0: skxSocket, s1: skxSocket },
    interconnect: skxInterconnect,
    iommus: { iommu0: { ...vtdSkx.parameters, socket: 's0' }, iommu1: { ...vtdSkx.parameters, socket: 's1' } },
    ports: { port0: port('s0', 'iommu0'), port1: port('s1', 'iommu1') },
    hostCache,
  },
});

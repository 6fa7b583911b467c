/** NVIDIA Grace, one socket: its memory and one root port with an SMMUv3 unit. */
import { assumed, type Quantity, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { grace } from '../iommus/grace.js';
import { hostCache, interconnect, port } from './parts.js';

const GRACE = 'NVIDIA Grace CPU Superchip architecture white paper';
const guess = (value: number, unit: string, what: string): Quantity => assumed(value, unit, what);

export const grace72: Sheet = defineSheet({
  name: 'grace-72',
  title: 'NVIDIA Grace, one socket',
  kind: 'machine',
  description: 'One Grace CPU of 72 cores with one PCIe root port and its SMMUv3 unit.',
  parameters: {
    sockets: {
      s0: {
        cores: spec(72, 'cores', GRACE),
        frequency: assumed(3.1, 'GHz', `${GRACE}: base clock of the superchip`),
        llc: {
          size: assumed(112, 'MiB', `${GRACE}: 117 MB, here a whole number of sets`),
          ways: assumed(14, 'ways', 'not published'),
          ddioWays: assumed(2, 'ways', 'devices allocate in the system cache; share not published'),
          scatter: assumed(0, '%', 'sets follow from the line number'),
          latency: guess(60, 'ns', 'order of a system cache behind a mesh'),
          bandwidth: assumed(100, 'GBps', 'above the rate of one root port'),
        },
        dram: {
          size: spec(480, 'GiB', `${GRACE}: up to 480 GB of LPDDR5X a CPU`),
          channels: assumed(16, 'channels', 'not published'),
          latency: guess(120, 'ns', 'order of published LPDDR5X latencies'),
          bandwidth: assumed(32, 'GBps', `${GRACE}: about 500 GB/s a CPU over the channels assumed`),
        },
      },
    },
    interconnect: interconnect(assumed(150, 'ns', 'order of a coherent link between sockets'), 450, 'NVLink-C2C'),
    iommus: { iommu0: { ...grace.parameters, socket: 's0' } },
    ports: { port0: port('s0', 'iommu0') },
    hostCache,
  },
});

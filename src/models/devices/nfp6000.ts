/** Netronome NFP-6000 at 1.2 GHz, the device of the published pcie-bench measurements. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { DEVICE_SIDE, PCIE_BENCH } from '../sources.js';
import { ats } from './ats.js';
import { link } from './link.js';

const START = 'start value of the fit';
const IN_RING = 'more than the ring holds: not a limit';
const BYTES = '8 KiB of read data; 512 B reads sustain 53.7 Gb/s at 840 ns, which needs at least 11 in flight';

export const nfp6000: Sheet = defineSheet({
  name: 'nfp6000',
  title: 'Netronome NFP-6000, PCIe gen3 x8',
  kind: 'device',
  description:
    'Programmable NIC driven by the pcie-bench firmware: random or sequential DMA reads and writes of one size.',
  parameters: {
    link: link(3, 8, PCIE_BENCH),
    engine: {
      readOverhead: assumed(200, 'ns', DEVICE_SIDE),
      writeOverhead: assumed(100, 'ns', DEVICE_SIDE),
      readInterval: [
        {
          size: spec(64, 'B', PCIE_BENCH),
          interval: assumed(12, 'ns', 'below every published rate of 64 B reads: not a limit'),
        },
        { size: spec(128, 'B', PCIE_BENCH), interval: assumed(23, 'ns', START) },
        { size: spec(256, 'B', PCIE_BENCH), interval: assumed(43, 'ns', START) },
        { size: spec(512, 'B', PCIE_BENCH), interval: assumed(74, 'ns', START) },
      ],
      writeInterval: [
        { size: spec(64, 'B', PCIE_BENCH), interval: assumed(21, 'ns', START) },
        { size: spec(256, 'B', PCIE_BENCH), interval: assumed(41, 'ns', START) },
        { size: spec(512, 'B', PCIE_BENCH), interval: assumed(78, 'ns', START) },
      ],
      outstanding: assumed(32, 'DMAs', START),
      retire: assumed('in-order', '', 'descriptor ring of the pcie-bench firmware'),
      outstandingReadBytes: assumed(8, 'KiB', START),
      readSlots: [
        { size: spec(64, 'B', PCIE_BENCH), slots: assumed(32, 'reads', IN_RING) },
        { size: spec(128, 'B', PCIE_BENCH), slots: assumed(32, 'reads', IN_RING) },
        { size: spec(256, 'B', PCIE_BENCH), slots: assumed(32, 'reads', START) },
        { size: spec(512, 'B', PCIE_BENCH), slots: assumed(16, 'reads', BYTES) },
      ],
    },
    ats,
  },
});

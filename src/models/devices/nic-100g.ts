/** A 100 Gb/s network card on PCIe gen3 x16, as a parametric DMA engine. Rings and descriptors are not modelled here. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { ats } from './ats.js';
import { link } from './link.js';

const CLASS = 'typical of cards of this class; no single part';

export const nic100g: Sheet = defineSheet({
  name: 'nic-100g',
  title: '100 Gb/s NIC, PCIe gen3 x16',
  kind: 'device',
  description: 'DMA engine of a 100 Gb/s card: deep queues, about 100 cache lines of reads in flight.',
  parameters: {
    link: link(3, 16, CLASS),
    engine: {
      readOverhead: assumed(150, 'ns', CLASS),
      writeOverhead: assumed(80, 'ns', CLASS),
      readInterval: [
        { size: spec(64, 'B', 'one cache line'), interval: assumed(6, 'ns', CLASS) },
        { size: spec(4096, 'B', 'one page'), interval: assumed(12, 'ns', CLASS) },
      ],
      writeInterval: [
        { size: spec(64, 'B', 'one cache line'), interval: assumed(6, 'ns', CLASS) },
        { size: spec(4096, 'B', 'one page'), interval: assumed(12, 'ns', CLASS) },
      ],
      outstanding: assumed(256, 'DMAs', CLASS),
      retire: assumed('any', '', CLASS),
      outstandingReadBytes: assumed(64, 'KiB', CLASS),
      readSlots: [{ size: spec(4096, 'B', 'one page'), slots: assumed(256, 'reads', CLASS) }],
    },
    ats,
  },
});

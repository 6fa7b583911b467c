/** An NVMe drive on PCIe gen4 x4, as a parametric DMA engine. Queues and media are not modelled here. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { ats } from './ats.js';
import { link } from './link.js';

const CLASS = 'typical of drives of this class; no single part';

export const nvmeGen4: Sheet = defineSheet({
  name: 'nvme-gen4',
  title: 'NVMe drive, PCIe gen4 x4',
  kind: 'device',
  description: 'DMA engine of an NVMe drive of about one million 4 KiB operations a second.',
  parameters: {
    link: link(4, 4, CLASS),
    engine: {
      readOverhead: assumed(300, 'ns', CLASS),
      writeOverhead: assumed(200, 'ns', CLASS),
      readInterval: [{ size: spec(4096, 'B', 'one page'), interval: assumed(1, 'us', CLASS) }],
      writeInterval: [{ size: spec(4096, 'B', 'one page'), interval: assumed(1, 'us', CLASS) }],
      outstanding: assumed(128, 'DMAs', CLASS),
      retire: assumed('any', '', CLASS),
      outstandingReadBytes: assumed(64, 'KiB', CLASS),
      readSlots: [{ size: spec(4096, 'B', 'one page'), slots: assumed(128, 'reads', CLASS) }],
    },
    ats,
  },
});

/** Intel Data Streaming Accelerator 1.0, an integrated endpoint of Sapphire Rapids: work queues and engines before a DMA engine. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { ats } from './ats.js';
import { link } from './link.js';

const CAPABILITIES =
  'as the device reports them: Linux Documentation/ABI/stable/sysfs-driver-dma-idxd; Kuper et al., ASPLOS 2024 (arXiv 2305.02480), section 2';
const INSIDE = 'stands for the processor-internal path of the integrated endpoint';
const CLASS = 'estimate; about 30 GB/s from 4 KiB on, Kuper et al., ASPLOS 2024';

export const dsa: Sheet = defineSheet({
  name: 'dsa',
  title: 'Intel DSA 1.0',
  kind: 'device',
  description:
    'Moves memory for software that submits descriptors with ENQCMD or MOVDIR64B. Its path to memory inside the processor is modelled as a PCIe gen5 x16 link with a short flight.',
  parameters: {
    link: {
      ...link(5, 16, INSIDE),
      generation: assumed(5, '', INSIDE),
      width: assumed(16, 'lanes', INSIDE),
      maxReadRequest: assumed(4096, 'B', INSIDE),
      latency: assumed(20, 'ns', INSIDE),
      tags: assumed(512, 'tags', CLASS),
    },
    engine: {
      readOverhead: assumed(100, 'ns', CLASS),
      writeOverhead: assumed(50, 'ns', CLASS),
      readInterval: [{ size: spec(4096, 'B', 'one page'), interval: assumed(10, 'ns', CLASS) }],
      writeInterval: [{ size: spec(4096, 'B', 'one page'), interval: assumed(10, 'ns', CLASS) }],
      outstanding: assumed(256, 'DMAs', CLASS),
      retire: assumed('any', '', CLASS),
      outstandingReadBytes: assumed(2048, 'KiB', `${CLASS}; a move is at most 2 MiB`),
      readSlots: [{ size: spec(4096, 'B', 'one page'), slots: assumed(128, 'reads', CLASS) }],
    },
    ats,
    accelerator: {
      queues: spec(8, 'queues', CAPABILITIES),
      entries: spec(128, 'descriptors', CAPABILITIES),
      engines: spec(4, 'engines', CAPABILITIES),
      descriptors: assumed(8, 'descriptors', CLASS),
      dispatch: assumed(40, 'ns', CLASS),
    },
  },
});

/** Linux 7.2 on 64-bit Arm: as on x86, but strict by default, and with what leaving a guest costs there. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { guestArm } from './guest.js';
import { linux72 } from './linux-7.2.js';

export const linux72Arm64: Sheet = defineSheet({
  name: 'linux-7.2-arm64',
  title: 'Linux 7.2 (64-bit Arm)',
  kind: 'os',
  description: 'Linux 7.2 with the defaults of 64-bit Arm and, for guests, the exit costs of NVIDIA Grace.',
  parameters: {
    ...linux72.parameters,
    dma: {
      ...(linux72.parameters['dma'] as Parameters),
      mode: spec('strict', '', 'Linux drivers/iommu/Kconfig: IOMMU_DEFAULT_DMA_STRICT but on x86 and s390'),
    },
    guest: guestArm,
    costs: {
      ...(linux72.parameters['costs'] as Parameters),
      poll: assumed(30, 'ns', 'a message ends the wait: its word is polled in the cache'),
      mmioRead: assumed(300, 'ns', 'order of an uncached read within the chip'),
    },
  },
});

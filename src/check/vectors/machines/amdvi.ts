/** AMD-Vi units of vectors: no `cfg` keys; host tables of up to six levels, guest tables of four or five over them, 52 address bits. */
import type { MachineKind } from './machine.js';
import { coldUnit } from './unit-spec.js';
import { unknownLayout } from './unknown-layout.js';

export const AMDVI_MACHINE: MachineKind = {
  title: 'amdvi',
  faultNames: {},
  layout: unknownLayout,
  keys: [],
  spec: () =>
    coldUnit({
      architecture: 'amdvi',
      mode: 'native',
      stage: 'nested',
      levels: 5,
      secondLevels: 6,
      granule: 4096,
      deviceLevels: 1,
      processLevels: 3,
      hostAddressWidth: 52,
      largestPage: 2 ** 48,
    }),
};

/** AMD-Vi units of vectors: no `cfg` keys; host tables of up to six levels, guest tables of four or five over them, 52 address bits. */
import { directoryLayout } from '../../../iommu/arch/amdvi/fields.js';
import { EVENT_NAMES } from '../../../iommu/arch/amdvi/format.js';
import type { MachineKind } from './machine.js';
import { coldUnit } from './unit-spec.js';

export const AMDVI_MACHINE: MachineKind = {
  title: 'amdvi',
  faultNames: EVENT_NAMES,
  layout: directoryLayout,
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

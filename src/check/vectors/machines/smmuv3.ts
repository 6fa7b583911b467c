/**
 * Arm SMMUv3 units of vectors. `cfg stage` 1|2|nested (1) says which stages the unit has (IDR0.S1P, S2P), `oas` its output address bits
 * (44), `ssid` the SubstreamID bits (0: none), `httu` 0|1|2 what it does about access and dirty flags, `vax` 48|52.
 */
import type { IommuSpec } from '../../../iommu/spec.js';
import type { Config } from '../config.js';
import type { MachineKind } from './machine.js';
import { coldUnit } from './unit-spec.js';
import { unknownLayout } from './unknown-layout.js';

const STAGES = { '1': 'first', '2': 'second', nested: 'nested' } as const;

export const SMMUV3_MACHINE: MachineKind = {
  title: 'smmuv3',
  faultNames: {},
  layout: unknownLayout,
  keys: ['stage', 'oas', 'ssid', 'httu', 'vax'],
  spec(config: Config): IommuSpec {
    const stage = STAGES[config.oneOf('stage', ['1', '2', 'nested'])];
    return coldUnit({
      architecture: 'smmuv3',
      mode: 'native',
      stage,
      levels: 4,
      secondLevels: stage === 'nested' ? 4 : 0,
      granule: 4096,
      deviceLevels: 2,
      processLevels: 2,
      hostAddressWidth: Number(config.word('oas', 6, 44n)),
      largestPage: 2 ** 30,
    });
  },
};

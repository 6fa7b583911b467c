/**
 * Arm SMMUv3 units of vectors. `cfg stage` 1|2|nested (1) says which stages the unit has (IDR0.S1P, S2P), `oas` its output address bits
 * (44), `ssid` the SubstreamID bits (0: none), `httu` 0|1|2 what it does about access and dirty flags, `vax` 48|52. There is no EL2, and
 * requests of unknown streams are recorded (CR2.RECINVSID).
 */
import { guestHi, guestLo, isStage2 } from '../../../iommu/arch/smmuv3/directory.js';
import { directoryLayout } from '../../../iommu/arch/smmuv3/fields.js';
import { Control2Bit, EVENT_NAMES, EventCode, Register } from '../../../iommu/arch/smmuv3/format.js';
import { Smmuv3 } from '../../../iommu/arch/smmuv3/smmuv3.js';
import type { Miss } from '../../../iommu/miss.js';
import type { IommuSpec } from '../../../iommu/spec.js';
import type { BuiltUnit } from '../../../system/unit.js';
import { wordOf } from '../bench.js';
import { type Config, VectorConfigError } from '../config.js';
import type { MachineKind } from './machine.js';
import { coldUnit } from './unit-spec.js';

const STAGES = { '1': 'first', '2': 'second', nested: 'nested' } as const;
const SUBSTREAM_BITS = 20;

export const SMMUV3_MACHINE: MachineKind = {
  title: 'smmuv3',
  faultNames: { ...EVENT_NAMES, 0: 'aborted without an event' },
  layout: directoryLayout,
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
      hostAddressWidth: Number(config.oneOf('oas', ['44', '32', '36', '40', '42', '48', '52'])),
      largestPage: 2 ** 30,
    });
  },
  configure({ hardware }: BuiltUnit, config: Config): void {
    if (!(hardware instanceof Smmuv3)) throw new Error('not an SMMUv3 unit');
    const substreamBits = Number(config.word('ssid', 5, 0n));
    if (substreamBits > SUBSTREAM_BITS)
      throw new VectorConfigError(`cfg ssid ${substreamBits}: at most ${SUBSTREAM_BITS}`);
    Object.assign(hardware.directory.features, {
      hypervisor: false,
      substreamBits,
      hardwareUpdates: Number(config.oneOf('httu', ['0', '1', '2'])),
      wideInput: config.oneOf('vax', ['48', '52']) === '52',
    });
    hardware.write(Register.Control2, 0, Control2Bit.RECINVSID);
  },
  code: (m: Miss) => ((m.fault as EventCode) === EventCode.Silent ? 0 : m.fault),
  address2: (m: Miss) => (isStage2(m) ? wordOf(guestHi(m), guestLo(m) & ~0xfff) : undefined),
};

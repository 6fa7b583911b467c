/** RISC-V IOMMUs of vectors: `cfg capabilities` is the capabilities register, `cfg fctl` the feature-control register. */
import type { Directory } from '../../../iommu/arch/riscv/directory.js';
import { directoryLayout } from '../../../iommu/arch/riscv/fields.js';
import { CAUSE_NAMES, isGuestPageFault } from '../../../iommu/arch/riscv/format.js';
import type { Riscv } from '../../../iommu/arch/riscv/riscv.js';
import type { Miss } from '../../../iommu/miss.js';
import type { IommuSpec } from '../../../iommu/spec.js';
import type { BuiltUnit } from '../../../system/unit.js';
import { lower, upper, wordOf } from '../bench.js';
import type { Config } from '../config.js';
import type { MachineKind } from './machine.js';
import { coldUnit } from './unit-spec.js';

/** capabilities: Sv39, Sv48 and Sv57 at bit 9, Sv39x4 to Sv57x4 at bit 17, PAS in bits 37:32, PD8 to PD20 at bit 38. */
const FIRST_BIT = 9;
const SECOND_BIT = 17;
const PROCESS_BIT = 38;

/** 3 to 5 for the highest of three neighbouring bits, or 0. */
function highest(capabilities: bigint, low: number): number {
  const bits = Number((capabilities >> BigInt(low)) & 7n);
  return bits === 0 ? 0 : 34 - Math.clz32(bits);
}

export const RISCV_MACHINE: MachineKind = {
  title: 'riscv',
  faultNames: CAUSE_NAMES,
  layout: (entry, { hardware }) => directoryLayout(entry, (hardware as Riscv).registers.extended),
  keys: ['capabilities', 'fctl'],
  spec(config: Config): IommuSpec {
    const capabilities = config.word('capabilities', 64, 0n);
    const [first, second] = [highest(capabilities, FIRST_BIT), highest(capabilities, SECOND_BIT)];
    return coldUnit({
      architecture: 'riscv',
      mode: 'native',
      stage: first === 0 ? 'second' : second === 0 ? 'first' : 'nested',
      levels: first === 0 ? second : first,
      secondLevels: second,
      granule: 4096,
      deviceLevels: 3,
      processLevels: Math.max(0, highest(capabilities, PROCESS_BIT) - 2),
      hostAddressWidth: Number((capabilities >> 32n) & 63n),
      largestPage: 2 ** 48,
    });
  },
  configure({ hardware }: BuiltUnit, config: Config): void {
    const capabilities = config.word('capabilities', 64, 0n);
    (hardware as Riscv).registers.setCapabilities(upper(capabilities), lower(capabilities));
  },
  address2(m: Miss, { unit }: BuiltUnit): bigint | undefined {
    if (!isGuestPageFault(m.fault)) return undefined;
    return wordOf(...(unit.architecture as Directory).secondValue(m));
  },
};

/**
 * Intel VT-d units of vectors. `cfg aw` 39|48|57 is the guest address width, and up to 52 bits the host address width; `cfg scalable`
 * 0|1 whether the unit has scalable mode. Without `cfg rules specification` the unit is QEMU's intel-iommu, without nesting and snoop
 * control, which states faults of root entry, context entry and second stage by their legacy reasons in scalable mode too
 * (hw/i386/intel_iommu.c).
 */
import { Stage } from '../../../iommu/address-space.js';
import { directoryLayout } from '../../../iommu/arch/vtd/fields.js';
import { FAULT_REASON_NAMES, FaultReason } from '../../../iommu/arch/vtd/format.js';
import type { Vtd } from '../../../iommu/arch/vtd/vtd.js';
import type { Miss } from '../../../iommu/miss.js';
import type { IommuSpec } from '../../../iommu/spec.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import type { BuiltUnit } from '../../../system/unit.js';
import type { Config } from '../config.js';
import type { MachineKind } from './machine.js';
import { coldUnit } from './unit-spec.js';

/** Reasons of scalable mode (VT-d specification 7.1.3) by what QEMU reports instead. */
const LEGACY_REASONS: Readonly<Record<number, FaultReason>> = {
  [FaultReason.ScalableRootNotPresent]: FaultReason.RootNotPresent,
  [FaultReason.ScalableRootReserved]: FaultReason.RootReserved,
  [FaultReason.ScalableContextNotPresent]: FaultReason.ContextNotPresent,
  [FaultReason.ScalableContextReserved]: FaultReason.ContextReserved,
};
/** Those of second-stage walks; the first stage has some of them too. */
const LEGACY_WALK_REASONS: Readonly<Record<number, FaultReason>> = {
  [FaultReason.SecondStageReserved]: FaultReason.PagingEntryReserved,
  [FaultReason.AddressBeyondMaximum]: FaultReason.AddressBeyondWidth,
  [FaultReason.SecondStageOutputBeyondMaximum]: FaultReason.AddressBeyondWidth,
  [FaultReason.ScalableWriteDenied]: FaultReason.WriteDenied,
  [FaultReason.ScalableReadDenied]: FaultReason.ReadDenied,
};

function emulated({ fault, space, flags }: Miss): number {
  if (space.stage !== Stage.Second) return LEGACY_REASONS[fault] ?? fault;
  if (fault !== FaultReason.SecondStagePermission) return LEGACY_WALK_REASONS[fault] ?? LEGACY_REASONS[fault] ?? fault;
  return (flags & TlpFlag.Write) !== 0 ? FaultReason.WriteDenied : FaultReason.ReadDenied;
}

function isEmulator(config: Config): boolean {
  return config.oneOf('rules', ['emulator', 'specification']) === 'emulator';
}

export const VTD_MACHINE: MachineKind = {
  title: 'vtd',
  keys: ['aw', 'scalable', 'rules'],
  spec(config: Config): IommuSpec {
    const width = Number(config.oneOf('aw', ['48', '39', '57']));
    const levels = (width - 12) / 9;
    const scalable = config.oneOf('scalable', ['0', '1']) === '1';
    const emulator = isEmulator(config);
    return coldUnit({
      architecture: 'vtd',
      mode: scalable ? 'scalable' : 'legacy',
      stage: !scalable ? 'second' : emulator ? 'first' : 'nested',
      levels,
      secondLevels: emulator ? 0 : levels,
      granule: 4096,
      deviceLevels: 2,
      processLevels: 2,
      hostAddressWidth: Math.min(width, 52),
      largestPage: 2 ** 30,
    });
  },
  faultNames: FAULT_REASON_NAMES,
  layout: (entry, { hardware }) => directoryLayout(entry, (hardware as Vtd).registers.scalable),
  configure({ hardware }: BuiltUnit, config: Config): void {
    const { directory } = hardware as Vtd;
    const emulator = isEmulator(config);
    directory.tables.snoopControl = !emulator;
    directory.alwaysUpdates = emulator;
  },
  code(m: Miss, config: Config): number {
    return isEmulator(config) ? emulated(m) : m.fault;
  },
};

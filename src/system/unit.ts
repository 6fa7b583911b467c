/** Builds one VT-d unit: registers, directory, translation pipeline, invalidation queue, fault log. */
import { Directory } from '../iommu/arch/vtd/directory.js';
import { FaultLog } from '../iommu/arch/vtd/fault-log.js';
import { InvalidationQueue } from '../iommu/arch/vtd/invalidation-queue.js';
import { Registers } from '../iommu/arch/vtd/registers.js';
import { Vtd } from '../iommu/arch/vtd/vtd.js';
import type { IommuSpec } from '../iommu/spec.js';
import { IommuUnit } from '../iommu/unit.js';
import type { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import { compileFormat, type Format } from '../pagetable/format.js';
import { vtdSecondStage } from '../pagetable/formats/vtdss.js';
import { x86FirstStage } from '../pagetable/formats/x86_64.js';
import type { LatencyLedger } from '../stats/latency-ledger.js';

/** Formats of a unit by Stage (second, first). */
export function formatsOf(spec: IommuSpec): readonly Format[] {
  const largestPageLg2 = spec.largestPage >= 2 ** 30 ? 30 : spec.largestPage >= 2 ** 21 ? 21 : 12;
  const { hostAddressWidth, levels } = spec;
  const second = vtdSecondStage({
    hostAddressWidth,
    guestAddressWidth: 12 + 9 * levels,
    largestPageLg2,
    scalable: spec.mode === 'scalable',
    snoopControl: true,
    accessedDirty: false,
  });
  const first = x86FirstStage({
    hostAddressWidth,
    largestPageLg2: Math.max(largestPageLg2, 21),
    executeDisable: false,
  });
  return [compileFormat(second), compileFormat(first)];
}

export interface Surroundings {
  readonly kernel: Kernel;
  readonly memory: MemorySystem;
  readonly physical: PhysicalMemory;
  readonly ledger: LatencyLedger;
  readonly seed: number;
  readonly recycle: (event: Event) => void;
}

export interface VtdUnit {
  readonly name: string;
  readonly unit: IommuUnit;
  readonly vtd: Vtd;
}

export function buildVtd(name: string, index: number, spec: IommuSpec, s: Surroundings): VtdUnit {
  const { kernel, memory, physical, ledger, seed } = s;
  const socket = memory.indexOf(spec.socket);
  const registers = new Registers();
  const directory = new Directory(spec, seed, name, physical, registers);
  const faults = new FaultLog(spec.faults.records);
  const formats = formatsOf(spec);
  const unit = new IommuUnit(
    kernel,
    index,
    name,
    spec,
    seed,
    memory,
    physical,
    socket,
    ledger,
    directory,
    faults,
    formats,
  );
  const queue = new InvalidationQueue(kernel, unit, spec.invalidation, registers, directory, memory, physical, socket);
  return { name, unit, vtd: new Vtd(registers, directory, queue, faults, s.recycle) };
}

/** Builds IOMMU units: the one place that knows every architecture. */
import type { Hardware } from '../iommu/architecture.js';
import { buildAmdvi } from '../iommu/arch/amdvi/build.js';
import { buildIdeal } from '../iommu/arch/ideal/ideal.js';
import { buildRiscv } from '../iommu/arch/riscv/build.js';
import { buildSmmuv3 } from '../iommu/arch/smmuv3/build.js';
import { buildDart } from '../iommu/arch/dart/build.js';
import { buildTce } from '../iommu/arch/tce/build.js';
import { buildVirtio } from '../iommu/arch/virtio/build.js';
import { buildVtd } from '../iommu/arch/vtd/build.js';
import type { ArchitectureName, IommuSpec } from '../iommu/spec.js';
import type { HostSurroundings } from '../iommu/surroundings.js';
import type { IommuUnit } from '../iommu/unit.js';

/** A translating unit and its registers. */
export interface BuiltUnit {
  readonly unit: IommuUnit;
  readonly hardware: Hardware;
}

type Build = (name: string, index: number, spec: IommuSpec, surroundings: HostSurroundings) => BuiltUnit;

const BUILDERS: Readonly<Partial<Record<ArchitectureName, Build>>> = {
  vtd: buildVtd,
  riscv: buildRiscv,
  smmuv3: buildSmmuv3,
  amdvi: buildAmdvi,
  virtio: buildVirtio,
  tce: buildTce,
  dart: buildDart,
  ideal: buildIdeal,
};

/** Whether requests to the unit are translated at all. */
export function translates(spec: IommuSpec): boolean {
  return spec.architecture !== 'none';
}

export function buildUnit(name: string, index: number, spec: IommuSpec, surroundings: HostSurroundings): BuiltUnit {
  const build = BUILDERS[spec.architecture];
  if (build === undefined) throw new RangeError(`${name}: no unit of architecture ${spec.architecture} can be built`);
  return build(name, index, spec, surroundings);
}

/** Which page-table code a unit's driver runs: it follows from the architecture, the stage and `os.tableCode`. */
import type { OsSpec, UnitSpec } from './spec.js';
import type { TableFormat, TableProfile } from './table-costs.js';
import { usesFirstStage } from './vtd/formats.js';

type TableCodeSpec = Pick<OsSpec, 'costs' | 'tableCode' | 'perPageCallbacks'> & {
  readonly dma: Pick<OsSpec['dma'], 'strategy'>;
};

/** The code that maintains DMA tables of the unit. */
export function tableProfile(
  { costs, tableCode, perPageCallbacks, dma: { strategy } }: TableCodeSpec,
  unit: UnitSpec,
): TableProfile {
  const format = tableFormat(unit);
  const code = strategy.kind === 'linux-before' && strategy.before.legacyCode ? 'legacy' : tableCode[format];
  // The VT-d driver had one function for both of its stages.
  const own = unit.architecture === 'vtd' && code === 'legacy' ? 'vtdss' : format;
  const profile = costs.table[own][code];
  if (!perPageCallbacks) return profile;
  const { map, unmap } = profile;
  return {
    rootPerLeaf: true,
    map: { ...map, leaf: map.leaf + costs.mapCallback },
    unmap: { ...unmap, leaf: unmap.leaf + costs.unmapCallback },
  };
}

/**
 * Format of a unit's DMA tables. DART and TCE tables and the mappings of virtio-iommu, which nobody has measured, count as Arm tables: their
 * code too is the driver's own and writes neighbouring entries in one loop.
 */
export function tableFormat(unit: UnitSpec): TableFormat {
  switch (unit.architecture) {
    case 'vtd':
      return usesFirstStage(unit) ? 'x86_64' : 'vtdss';
    case 'amdvi':
      return unit.stage === 'second' ? 'amdv1' : 'x86_64';
    case 'smmuv3':
    case 'dart':
    case 'tce':
    case 'virtio':
      return 'armv8';
    case 'riscv':
      return 'riscv64';
    default:
      return 'vtdss';
  }
}

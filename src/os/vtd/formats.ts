/** Page-table formats as the VT-d driver uses them. */
import { compileFormat, type Format } from '../../pagetable/format.js';
import { vtdSecondStage } from '../../pagetable/formats/vtdss.js';
import { x86FirstStage } from '../../pagetable/formats/x86_64.js';
import type { UnitSpec } from '../spec.js';
import { log2 } from '../log2.js';

/** DMA mappings are in first-stage tables, alone or over a second stage. */
export function usesFirstStage(spec: UnitSpec): boolean {
  return spec.mode === 'scalable' && spec.stage !== 'second';
}

export function firstStageFormat(spec: UnitSpec): Format {
  const { hostAddressWidth } = spec;
  const largestPageLg2 = log2(spec.largestPage);
  return compileFormat(x86FirstStage({ hostAddressWidth, largestPageLg2, executeDisable: false }));
}

export function secondStageFormat(spec: UnitSpec, levels: number): Format {
  return compileFormat(
    vtdSecondStage({
      hostAddressWidth: spec.hostAddressWidth,
      guestAddressWidth: 12 + 9 * levels,
      largestPageLg2: log2(spec.largestPage),
      scalable: spec.mode === 'scalable',
      snoopControl: true,
      accessedDirty: false,
    }),
  );
}

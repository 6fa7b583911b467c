/** Page-table formats of a VT-d unit: second stage and first stage (VT-d specification 9.7, 9.8). */
import { compileFormat, type Format } from '../../../pagetable/format.js';
import { vtdSecondStage } from '../../../pagetable/formats/vtdss.js';
import { x86FirstStage } from '../../../pagetable/formats/x86_64.js';
import type { IommuSpec } from '../../spec.js';

/** Index into the unit's formats. */
export const enum FormatIndex {
  Second = 0,
  First = 1,
}

/** By FormatIndex. */
export function formatsOf(spec: IommuSpec): readonly [Format, Format] {
  const largestPageLg2 = spec.largestPage >= 2 ** 30 ? 30 : spec.largestPage >= 2 ** 21 ? 21 : 12;
  const { hostAddressWidth } = spec;
  const second = vtdSecondStage({
    hostAddressWidth,
    guestAddressWidth: 12 + 9 * Math.max(spec.stage === 'second' ? spec.levels : 0, spec.secondLevels),
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

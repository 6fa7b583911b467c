/** VT-d unit of Sapphire Rapids as a virtual machine uses it: a guest's first-stage tables over its host's second-stage tables. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { structure } from './vtd.js';
import { ECAP, vtdSpr } from './vtd-spr.js';

const HPT =
  'size not published; the VT-d performance monitoring events hpt_nonleaf and hpt_leaf (Linux drivers/iommu/intel/perfmon.c) show that it exists';

export const vtdSprNested: Sheet = defineSheet({
  name: 'vtd-spr-nested',
  title: 'VT-d unit of Sapphire Rapids, nested translation',
  kind: 'iommu',
  description:
    'Scalable mode; first-stage tables of a guest over second-stage tables, with a TLB for the latter. Sizes and timing are not published.',
  parameters: {
    ...vtdSpr.parameters,
    stage: spec('nested', '', `${ECAP}: NEST`),
    secondLevels: assumed(4, 'levels', `${ECAP}: 4 and 5 levels supported; 4 used`),
    secondStageTlb: structure(assumed(64, 'entries', HPT), 64, 0, HPT),
  },
});

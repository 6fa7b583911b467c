/** VT-d unit of Sandy Bridge-EP (2012). The non-monotone bandwidth of this part is not modelled. */
import { spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { inheritedWalkers } from './vtd.js';
import { e5Unit } from './vtd-e5.js';
import { vtdIvbEp } from './vtd-ivb-ep.js';

export const vtdSnbEp: Sheet = defineSheet({
  name: 'vtd-snb-ep',
  title: 'VT-d unit of Sandy Bridge-EP',
  kind: 'iommu',
  description:
    'Legacy mode, second-stage tables, walker not coherent with the CPU caches. Walkers inherited from Ivy Bridge-EP.',
  parameters: {
    ...e5Unit,
    coherent: spec(false, '', 'ECAP f020de: C = 0'),
    walkers: inheritedWalkers(vtdIvbEp),
  },
});

/** VT-d unit of Ivy Bridge-EP (2013). */
import { spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { e5Unit } from './vtd-e5.js';

export const vtdIvbEp: Sheet = defineSheet({
  name: 'vtd-ivb-ep',
  title: 'VT-d unit of Ivy Bridge-EP',
  kind: 'iommu',
  description: 'Legacy mode, second-stage tables, walker not coherent with the CPU caches.',
  parameters: {
    ...e5Unit,
    coherent: spec(false, '', 'ECAP f020de: C = 0'),
  },
});

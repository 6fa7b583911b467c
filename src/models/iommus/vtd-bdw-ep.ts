/** VT-d unit of Broadwell-EP (2016). */
import { spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { e5Unit } from './vtd-e5.js';

export const vtdBdwEp: Sheet = defineSheet({
  name: 'vtd-bdw-ep',
  title: 'VT-d unit of Broadwell-EP',
  kind: 'iommu',
  description: 'Legacy mode, second-stage tables, coherent walker.',
  parameters: {
    ...e5Unit,
    coherent: spec(true, '', 'ECAP f020df: C = 1'),
  },
});

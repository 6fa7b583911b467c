/** VT-d unit of Haswell-EP (2014). */
import { spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { e5Unit } from './vtd-e5.js';

export const vtdHswEp: Sheet = defineSheet({
  name: 'vtd-hsw-ep',
  title: 'VT-d unit of Haswell-EP',
  kind: 'iommu',
  description: 'Legacy mode, second-stage tables. Firmware decides whether the walker is coherent: it is here.',
  parameters: {
    ...e5Unit,
    coherent: spec(true, '', 'ECAP of the pcie-bench E5-2620 v3 host: C = 1'),
  },
});

/** VT-d unit of Skylake-SP, one per PCIe stack. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { iotlb, legacyUnit, walkers } from './vtd.js';

export const vtdSkx: Sheet = defineSheet({
  name: 'vtd-skx',
  title: 'VT-d unit of Skylake-SP',
  kind: 'iommu',
  description:
    'Legacy mode, second-stage tables, coherent walker. Timing is not published and follows Broadwell-EP, with more walkers.',
  parameters: {
    ...legacyUnit,
    coherent: spec(true, '', 'ECAP f020df: C = 1'),
    iotlb: iotlb(assumed(128, 'entries', 'not published; as Broadwell-EP')),
    walkers: walkers(8, 100, 50, 'not published; Broadwell-EP with twice the walks'),
  },
});

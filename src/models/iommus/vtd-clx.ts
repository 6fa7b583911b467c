/** VT-d unit of Cascade Lake-SP, one per PCIe stack: the capabilities of Skylake-SP. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { FAST_AND_SAFE } from '../sources.js';
import { iotlb, legacyUnit, pagingStructureCache, structure, walkers } from './vtd.js';

const LEVEL2 = `not published; ${FAST_AND_SAFE} assumes 64 or 128 entries of 2 MiB reach for Xeon Gold 6234`;
const WALKS = `not published, as Skylake-SP; ${FAST_AND_SAFE} fits 197 ns for each memory read of a walk`;

export const vtdClx: Sheet = defineSheet({
  name: 'vtd-clx',
  title: 'VT-d unit of Cascade Lake-SP',
  kind: 'iommu',
  description:
    'Legacy mode, second-stage tables, coherent walker. Sizes and timing are not published and follow Skylake-SP.',
  parameters: {
    ...legacyUnit,
    coherent: spec(true, '', 'ECAP f020df of Broadwell-EP to Ice Lake: C = 1'),
    iotlb: iotlb(assumed(128, 'entries', 'not published; as Broadwell-EP')),
    pagingStructureCache: {
      ...pagingStructureCache,
      level2: structure(assumed(128, 'entries', LEVEL2), 128, 0, LEVEL2),
    },
    walkers: walkers(8, 100, 50, WALKS),
  },
});

/** VT-d unit of Ice Lake-SP, one per PCIe stack: still legacy mode, with more walks in flight. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { FAST_AND_SAFE } from '../sources.js';
import { iotlb, legacyUnit, pagingStructureCache, structure, walkers } from './vtd.js';

const LEVEL2 = `not published; ${FAST_AND_SAFE} assumes 64 or 128 entries of 2 MiB reach for its Xeons`;
const WALKS =
  'not published; events PWT_OCCUPANCY and CYC_PWT_FULL (Linux tools/perf, icelakex uncore-io) show a bounded walk tracker';

export const vtdIcx: Sheet = defineSheet({
  name: 'vtd-icx',
  title: 'VT-d unit of Ice Lake-SP',
  kind: 'iommu',
  description: 'Legacy mode, second-stage tables, coherent walker. Sizes and timing are not published.',
  parameters: {
    ...legacyUnit,
    coherent: spec(true, '', 'ECAP f020df of Broadwell-EP to Ice Lake: C = 1'),
    iotlb: iotlb(assumed(256, 'entries', 'not published; at least the 128 of earlier parts')),
    pagingStructureCache: {
      ...pagingStructureCache,
      level2: structure(assumed(128, 'entries', LEVEL2), 128, 0, LEVEL2),
    },
    walkers: walkers(16, 100, 50, WALKS),
  },
});

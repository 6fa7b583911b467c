/** VT-d unit of Sapphire Rapids: scalable mode, first-stage tables for DMA mappings. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { invalidation, iotlb, legacyUnit, PAGE_REQUESTS, walkers } from './vtd.js';
import { NO_STALLS } from './stalls.js';

export const ECAP = 'CAP 19ed008c40780c66, ECAP 3ee9e86f050df from a kernel boot log';

export const vtdSpr: Sheet = defineSheet({
  name: 'vtd-spr',
  title: 'VT-d unit of Sapphire Rapids',
  kind: 'iommu',
  description:
    'Scalable mode; Linux uses first-stage tables for DMA mappings; nesting is possible. Sizes and timing are not published.',
  parameters: {
    ...legacyUnit,
    mode: spec('scalable', '', ECAP),
    stage: spec('first', '', 'Linux drivers/iommu/intel/iommu.c prefers first stage where the hardware has it'),
    secondLevels: spec(0, 'levels', `none under first-stage tables alone; ${ECAP}: NEST, 4 and 5 levels`),
    levels: assumed(4, 'levels', `${ECAP}: 4 and 5 levels supported; 4 used`),
    hostAddressWidth: spec(52, 'bits', 'kernel boot log'),
    coherent: spec(true, '', `${ECAP}: C = 1, SMPWCS = 1`),
    iotlb: iotlb(assumed(256, 'entries', 'not published')),
    walkers: walkers(32, 80, 40, 'not published; occupancy counters of later parts allow hundreds of walks'),
    invalidation: { ...invalidation, maxAddressMask: spec(45, 'log2 pages', `${ECAP}: MAMV`) },
    faults: { records: spec(1, 'records', `${ECAP}: NFR + 1`), stalls: NO_STALLS, pageRequests: PAGE_REQUESTS },
  },
});

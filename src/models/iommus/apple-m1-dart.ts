/** DART of Apple's M1 (t8103): registers of T8020, 16 streams, 16 KiB pages. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { legacyUnit, structure } from './vtd.js';
import { NO_PAGE_REQUESTS, NO_STALLS } from './stalls.js';
import { noDeviceTlb } from './device-tlb.js';

const DRIVER = 'Linux drivers/iommu/apple-dart.c';
const TABLES = 'Linux drivers/iommu/io-pgtable-dart.c';
const UNKNOWN = 'not published';
const absent: Parameters = {
  ...structure(assumed(16, 'entries', UNKNOWN), 16, 0, UNKNOWN),
  enabled: assumed(false, '', UNKNOWN),
};

export const appleM1Dart: Sheet = defineSheet({
  name: 'apple-m1-dart',
  title: 'DART of Apple M1 (t8103)',
  kind: 'iommu',
  description:
    'Tables of two levels behind registers, one page size of 16 KiB; every map and unmap flushes all streams of the domain. No lazy mode.',
  parameters: {
    ...legacyUnit,
    architecture: spec('dart', '', DRIVER),
    mode: spec('native', '', DRIVER),
    levels: spec(2, 'levels', `${TABLES}: two table levels below a TTBR for 32 bits`),
    granule: spec(16, 'KiB', `${DRIVER}: PARAMS1 of M1`),
    largestPage: spec(16, 'KiB', `${TABLES}: no block entries`),
    deviceLevels: spec(0, 'levels', `${DRIVER}: TCR and TTBR are registers`),
    processLevels: spec(0, 'levels', `${DRIVER}: no PASIDs`),
    hostAddressWidth: spec(36, 'bits', `${DRIVER}: oas of t8103`),
    coherent: spec(true, '', `${TABLES}: coherent_walk`),
    contextCache: structure(spec(16, 'streams', `${DRIVER}: the registers of 16 streams`), 16, 0, DRIVER),
    pasidCache: absent,
    iotlb: structure(assumed(64, 'entries', `size ${UNKNOWN}`), 64, 2, UNKNOWN),
    pagingStructureCache: { level2: absent, level3: absent, level4: absent, level5: absent },
    invalidation: {
      sizeLg2: spec(0, 'log2 commands', `${DRIVER}: a register, no queue in memory`),
      queues: spec(1, 'queues', 'the architecture has one'),
      start: assumed(100, 'ns', `${UNKNOWN}; the driver looks every microsecond`),
      context: assumed(0, 'ns', 'no such command'),
      pasid: assumed(0, 'ns', 'no such command'),
      iotlbGlobal: assumed(600, 'ns', `${UNKNOWN}; the driver looks every microsecond`),
      iotlbDomain: assumed(400, 'ns', `${UNKNOWN}; the driver looks every microsecond`),
      iotlbPage: assumed(0, 'ns', 'no such command'),
      wait: assumed(0, 'ns', 'no such command'),
      ...noDeviceTlb,
      drain: assumed(true, '', 'the busy bit clears when old translations are no longer in use'),
      hintHonoured: spec(false, '', 'no such hint'),
      nonLeafScope: spec('domain', '', `${DRIVER}: whole streams only`),
      maxAddressMask: spec(0, 'log2 pages', `${DRIVER}: no invalidation by address`),
    },
    faults: {
      records: spec(1, 'records', `${DRIVER}: one error register`),
      stalls: NO_STALLS,
      pageRequests: NO_PAGE_REQUESTS,
    },
  },
});

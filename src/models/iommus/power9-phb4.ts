/** PCI host bridge 4 of POWER9 under PowerNV: TCE tables, endpoint-wide kills. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { legacyUnit, structure } from './vtd.js';
import { NO_PAGE_REQUESTS, NO_STALLS } from './stalls.js';
import { noDeviceTlb } from './device-tlb.js';

const QEMU = 'QEMU hw/pci-host/pnv_phb4.c';
const SKIBOOT = 'skiboot hw/phb4.c';
const UNKNOWN = 'not published';
const SYNC = 'not published; a kill and its DMA sync are estimated at 2 to 5 us, most of it in sync';
const absent: Parameters = {
  ...structure(assumed(16, 'entries', UNKNOWN), 16, 0, UNKNOWN),
  enabled: spec(false, '', QEMU),
};

export const power9Phb4: Sheet = defineSheet({
  name: 'power9-phb4',
  title: 'PCI host bridge 4 of POWER9 (PowerNV)',
  kind: 'iommu',
  description:
    'TCE tables of two levels and 64 KiB pages; every map and unmap kills all TCEs of the endpoint (erratum HW560152) and waits. No lazy mode.',
  parameters: {
    ...legacyUnit,
    architecture: spec('tce', '', QEMU),
    mode: spec('native', '', QEMU),
    levels: spec(2, 'levels', 'Linux arch/powerpc/platforms/powernv: POWERNV_IOMMU_DEFAULT_LEVELS'),
    granule: spec(64, 'KiB', `${SKIBOOT}: ibm,supported-tce-sizes 12, 16, 21, 30; Linux uses its own page size`),
    largestPage: spec(64, 'KiB', 'one page size for a window'),
    deviceLevels: spec(1, 'levels', `${QEMU}: one RTT entry of two bytes`),
    processLevels: spec(0, 'levels', 'no PASIDs in this path'),
    hostAddressWidth: spec(52, 'bits', `${QEMU}: TCEs hold more than the 52 bits modelled here`),
    coherent: spec(true, '', 'the bridge reads tables through the coherent fabric'),
    contextCache: structure(assumed(64, 'entries', `RTE cache; size ${UNKNOWN}`), 64, 1, UNKNOWN),
    pasidCache: absent,
    iotlb: structure(assumed(1024, 'TCEs', `TCE cache; size ${UNKNOWN}`), 1024, 2, UNKNOWN),
    pagingStructureCache: {
      level2: structure(assumed(64, 'entries', `upper-level TCEs; ${UNKNOWN}`), 64, 0, UNKNOWN),
      level3: structure(assumed(32, 'entries', `upper-level TCEs; ${UNKNOWN}`), 32, 0, UNKNOWN),
      level4: structure(assumed(16, 'entries', `upper-level TCEs; ${UNKNOWN}`), 16, 0, UNKNOWN),
      level5: structure(assumed(4, 'entries', `upper-level TCEs; ${UNKNOWN}`), 4, 0, UNKNOWN),
    },
    invalidation: {
      sizeLg2: spec(0, 'log2 commands', `${SKIBOOT}: a register, no queue in memory`),
      queues: spec(1, 'queues', 'the architecture has one'),
      start: assumed(100, 'ns', SYNC),
      context: assumed(0, 'ns', 'RTC_INVALIDATE is not on a measured path'),
      pasid: assumed(0, 'ns', 'no PASIDs'),
      iotlbGlobal: assumed(1000, 'ns', SYNC),
      iotlbDomain: assumed(500, 'ns', SYNC),
      iotlbPage: assumed(200, 'ns', SYNC),
      wait: assumed(1500, 'ns', SYNC),
      ...noDeviceTlb,
      drain: spec(true, '', `${SKIBOOT}: DMA read sync after each kill`),
      hintHonoured: spec(false, '', 'no such hint'),
      nonLeafScope: assumed('range', '', UNKNOWN),
      maxAddressMask: spec(18, 'log2 pages', `${SKIBOOT}: a kill names one page of up to 1 GiB`),
    },
    faults: {
      records: spec(1, 'records for each endpoint', `${QEMU}: PEST`),
      stalls: NO_STALLS,
      pageRequests: NO_PAGE_REQUESTS,
    },
  },
});

/**
 * What AMD-Vi units have in common, as starting values. AMD publishes how the unit is built (a small first-level TLB for each group of
 * ports, a second level with caches for page entries, directories and device table entries, a table walker and a command
 * processor: register headers and boot tables), but no sizes and no times. The two TLB levels are modelled as one: that of the
 * second level, with a latency between those of a hit in the first and in the second. Not modelled: the walker's prefetch of
 * the neighbouring entries, which Genoa's boot table switches on.
 */
import { assumed, spec } from '../quantity.js';
import type { Parameters } from '../sheet.js';
import { AMDVI, LINUX_AMD, NBIO } from '../sources.js';
import { structure } from './vtd.js';
import { NO_STALLS } from './stalls.js';
import { deviceTlbCommands } from './device-tlb.js';

const SIZES = `${NBIO}: ways and entries are read-only fields without published values`;
const TIMES = 'no latency of an AMD IOMMU is published';
const LEVELS = `${SIZES}; one page-directory cache, divided among the levels`;

/** Entries and times that are assumed, generation by generation. */
export interface AmdviFacts {
  /** Entries of the page-entry cache (PTC), of the page-directory cache (PDC) and of the device-table cache (DTC). */
  readonly pages: number;
  readonly directories: number;
  readonly devices: number;
  readonly walks: number;
}

function cache(entries: number, ways: number, latencyNs: number, source: string): Parameters {
  return structure(assumed(entries, 'entries', source), ways, latencyNs, source);
}

export function amdviUnit({ pages, directories, devices, walks }: AmdviFacts): Parameters {
  return {
    architecture: spec('amdvi', '', AMDVI),
    mode: spec('native', '', 'there is only one'),
    stage: spec('second', '', `${LINUX_AMD}: the DMA API uses host (v1) tables by default`),
    levels: spec(3, 'levels', `${LINUX_AMD}/iommu.c: domains start with three levels; 1 to 6 by EFR.HATS`),
    secondLevels: spec(0, 'levels', 'no nested translation unless a workload asks for it'),
    granule: spec(4, 'KiB', `${AMDVI} 2.2.3`),
    deviceLevels: spec(1, 'levels', `${AMDVI} 2.2.2: one device table`),
    processLevels: spec(2, 'levels', `${LINUX_AMD}/iommu.c: two GCR3 levels for 16-bit PASIDs (EFR.GLXSup = 1)`),
    hostAddressWidth: spec(48, 'bits', 'CPUID 8000_0008'),
    largestPage: spec(1, 'GiB', `${NBIO}: L2 page sizes 4 KiB, 2 MiB, 1 GiB`),
    coherent: spec(true, '', `${LINUX_AMD}: table writes are never flushed from CPU caches`),
    queue: {
      postedDepth: assumed(64, 'transactions', 'not published'),
      nonPostedDepth: assumed(64, 'transactions', 'not published'),
      order: assumed('class', '', 'PCI Express ordering rules keep posted requests in order'),
      interval: assumed(2, 'ns', 'one lookup every 2 ns exceeds every link of these parts'),
    },
    contextCache: cache(devices, 4, 1, SIZES),
    pasidCache: cache(64, 4, 1, SIZES),
    iotlb: cache(pages, 16, 10, `${SIZES}; estimates: first-level hit 0 to 3 ns, second-level hit 30 to 60 ns`),
    pagingStructureCache: {
      level2: cache(directories / 2, 16, 0, LEVELS),
      level3: cache(directories / 4, 16, 0, LEVELS),
      level4: cache(directories / 8, 16, 0, LEVELS),
      level5: cache(directories / 8, 16, 0, LEVELS),
    },
    secondStageTlb: cache(64, 16, 0, `${SIZES}; nested translations are cached with the page entries`),
    walkers: {
      count: assumed(walks, 'walks', 'not published'),
      overhead: assumed(20, 'ns', TIMES),
      replay: assumed(20, 'ns', TIMES),
      readHold: assumed(0, 'ns', TIMES),
      merge: spec(true, '', `${NBIO}: filters for duplicate requests (L1) and fills (L2)`),
      outstanding: assumed(40, 'pages', `${NBIO}: 10 credits from each first-level TLB (reset value), four of them`),
    },
    invalidation: {
      sizeLg2: spec(9, 'log2 commands', `${LINUX_AMD}: CMD_BUFFER_SIZE 8192`),
      queues: spec(1, 'queues', 'the architecture has one'),
      start: assumed(100, 'ns', TIMES),
      context: assumed(100, 'ns', TIMES),
      pasid: assumed(100, 'ns', TIMES),
      iotlbGlobal: assumed(200, 'ns', TIMES),
      iotlbDomain: assumed(150, 'ns', TIMES),
      iotlbPage: assumed(100, 'ns', TIMES),
      wait: assumed(100, 'ns', TIMES),
      ...deviceTlbCommands(assumed(1, 's', 'Linux drivers/iommu/amd/init.c programs CTRL_INV_TO_1S')),
      drain: assumed(
        true,
        '',
        `${NBIO}: CP_CONTROL resets to flushing on invalidation (CPFlushOnInv); later setting unknown`,
      ),
      hintHonoured: spec(true, '', `${AMDVI} 2.4.3: without PDE directory entries stay`),
      nonLeafScope: assumed('range', '', 'the specification asks for no more'),
      maxAddressMask: spec(
        40,
        'log2 pages',
        `${LINUX_AMD}/iommu.c: build_inv_address names everything beyond 2^52 bytes`,
      ),
    },
    faults: {
      records: spec(512, 'entries', `${LINUX_AMD}: EVT_BUFFER_SIZE_DEF 8192`),
      stalls: NO_STALLS,
      pageRequests: spec(512, 'records', `${LINUX_AMD}: PPR_LOG_SIZE 8192`),
    },
  };
}

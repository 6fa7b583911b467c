/** A RISC-V IOMMU as a server part may have it; nothing is published of one. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { absent, common, faults, invalidation, RISCV_IOMMU, structure } from './riscv.js';

const UNKNOWN = 'nothing published of commercial parts';
const LATENCY = 'two cycles at 1 GHz; nothing published of commercial parts';

function cache(entries: number, ways: number, latencyNs: number): Parameters {
  return structure(assumed(entries, 'entries', UNKNOWN), ways, latencyNs, 'lru', UNKNOWN);
}

export const riscvServer: Sheet = defineSheet({
  name: 'riscv-server',
  title: 'Server-class RISC-V IOMMU (assumed)',
  kind: 'iommu',
  description:
    'Sv48 and 20-bit process directories with NL and S; every size and time is an estimate in the range of server IOMMUs of other architectures.',
  parameters: {
    ...common,
    levels: assumed(4, 'levels', 'Sv48, as server platforms run'),
    deviceLevels: spec(3, 'levels', `${RISCV_IOMMU}: 24-bit device ids`),
    processLevels: assumed(3, 'levels', 'PD20: every PCI Express PASID'),
    hostAddressWidth: assumed(52, 'bits', 'the specification allows 56; the simulator has 52'),
    largestPage: spec(1, 'GiB', 'Sv48 also has 512 GiB pages, which DMA mappings do not use'),
    queue: {
      postedDepth: assumed(32, 'transactions', UNKNOWN),
      nonPostedDepth: assumed(32, 'transactions', UNKNOWN),
      order: assumed('class', '', 'PCI Express ordering rules keep posted requests in order'),
      interval: assumed(2, 'ns', LATENCY),
    },
    contextCache: cache(16, 16, 1),
    pasidCache: cache(16, 16, 1),
    iotlb: cache(512, 4, 2),
    pagingStructureCache: {
      level2: cache(16, 16, 0),
      level3: cache(16, 16, 0),
      level4: cache(16, 16, 0),
      level5: absent('Sv48 has four levels'),
    },
    secondStageTlb: { ...cache(64, 64, 0), enabled: assumed(true, '', 'of use under nested tables only') },
    walkers: {
      count: assumed(8, 'walks', UNKNOWN),
      overhead: assumed(20, 'ns', UNKNOWN),
      replay: assumed(10, 'ns', UNKNOWN),
      readHold: assumed(0, 'ns', UNKNOWN),
      merge: assumed(true, '', 'not published; misses of one page share a walk'),
      outstanding: assumed(32, 'pages', UNKNOWN),
    },
    invalidation: {
      ...invalidation(50, 30, 60, UNKNOWN),
      maxAddressMask: assumed(52, 'log2 pages', `${RISCV_IOMMU}, S extension: any naturally aligned range`),
    },
    faults,
  },
});

/** A device TLB as parts of this class may have one; nobody publishes the sizes of a product's. Off: ATS has to be asked for. */
import { assumed, spec } from '../quantity.js';
import type { Parameters } from '../sheet.js';
import { HYPERTRIO, PCIE_BASE } from '../sources.js';

const UNKNOWN = 'not published for any part';

export const ats: Parameters = {
  enabled: assumed(false, '', 'compared with on where a workload asks for it'),
  entries: assumed(64, 'entries', `${HYPERTRIO}: device TLB of the base design`),
  ways: assumed(8, 'ways', `${HYPERTRIO}: device TLB of the base design`),
  replacement: assumed('lru', '', UNKNOWN),
  latency: assumed(
    0,
    'ns',
    `${UNKNOWN}; the lookup overlaps with the making of the request, which the engine pays for`,
  ),
  interval: assumed(1, 'ns', `${UNKNOWN}; faster than requests leave`),
  stu: spec(4, 'KiB', 'Linux drivers/iommu/intel/iommu.c, drivers/iommu/amd/iommu.c: pci_enable_ats with PAGE_SHIFT'),
  largestPage: assumed(2, 'MiB', UNKNOWN),
  outstanding: assumed(32, 'requests', UNKNOWN),
  queue: assumed(128, 'requests', UNKNOWN),
  ahead: assumed(0, 'units', `${PCIE_BASE}: a device may ask for more than it needs; most do not say`),
  prefetch: {
    distance: assumed(
      0,
      'units',
      `${PCIE_BASE} 10.1.2: devices may ask before they need; compared where a workload asks for it`,
    ),
    streams: assumed(8, 'streams', UNKNOWN),
    pageRequests: assumed(true, '', UNKNOWN),
  },
  queueDepth: assumed(32, 'invalidations', `${PCIE_BASE} 10.5.1.2: 1 to 32`),
  pri: {
    enabled: assumed(false, '', 'compared with on where a workload asks for it'),
    outstanding: assumed(32, 'requests', `${UNKNOWN}; Outstanding Page Request Capacity of the capability`),
    group: assumed(1, 'pages', `${UNKNOWN}; ${PCIE_BASE} 10.4.1 allows any number`),
    gather: assumed(0, 'ns', UNKNOWN),
  },
  invalidation: assumed(100, 'ns', UNKNOWN),
  answers: assumed(true, '', 'a device that works'),
};

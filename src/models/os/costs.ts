/** Software costs that both operating-system sheets start from: steps whose time is not published separately. */
import { assumed, spec } from '../quantity.js';
import type { Parameters } from '../sheet.js';
import { FAST_AND_SAFE, RIOMMU } from '../sources.js';

const ESTIMATE = 'order-of-magnitude estimate at about 3 GHz';
const SUBMIT = `share of the submit-to-completion time of ${RIOMMU}`;

export const commonCosts: Parameters = {
  mapCall: assumed(15, 'ns', ESTIMATE),
  unmapCall: assumed(25, 'ns', `${ESTIMATE}; includes the iova-to-physical walk of dma_unmap_page`),
  segment: assumed(5, 'ns', `${ESTIMATE}: the loops of dma_map_sg over its list`),
  iovaCache: assumed(30, 'ns', 'about 100 cycles for a cached IOVA (rIOMMU, ASPLOS 2015)'),
  iovaDepot: assumed(100, 'ns', ESTIMATE),
  iovaTree: assumed(250, 'ns', '1700 to 4000 cycles in the tree, split over nodes (rIOMMU, ASPLOS 2015)'),
  iovaTreeNode: assumed(25, 'ns', '1700 to 4000 cycles in the tree, split over nodes (rIOMMU, ASPLOS 2015)'),
  tablePage: assumed(150, 'ns', `${ESTIMATE}: allocate and clear, or free, one page`),
  cacheLineFlush: assumed(60, 'ns', '100 to 300 cycles a line'),
  lock: assumed(8, 'ns', ESTIMATE),
  lockHandOver: assumed(50, 'ns', `${ESTIMATE}: one cache line moves between cores`),
  lockHandOverRemote: assumed(120, 'ns', `${ESTIMATE}: one cache line moves between sockets`),
  atomic: assumed(5, 'ns', `${ESTIMATE}: 10 to 20 cycles`),
  lineTransfer: assumed(50, 'ns', `${ESTIMATE}: one cache line moves between cores`),
  lineTransferRemote: assumed(120, 'ns', `${ESTIMATE}: one cache line moves between sockets`),
  descriptor: assumed(10, 'ns', SUBMIT),
  mmioWrite: assumed(100, 'ns', SUBMIT),
  mmioFlight: assumed(150, 'ns', SUBMIT),
  socketHop: assumed(30, 'ns', 'half of the 60 ns by which a load from the other socket is slower on two-socket Xeons'),
  poll: assumed(560, 'ns', `${SUBMIT}; each turn reads the fault status register uncached`),
  pollWord: assumed(40, 'ns', `${ESTIMATE}: the line comes from the last-level cache`),
  mmioRead: assumed(500, 'ns', 'uncached read of an IOMMU register; poll without the rest of its loop'),
  queueIova: assumed(30, 'ns', ESTIMATE),
  slot: assumed(1, 'ns', `${ESTIMATE}: a load and a store in an array of slots`),
  copyLine: assumed(8, 'ns', 'about 8 GB/s of memcpy on one core'),
  copyLineRemote: assumed(12, 'ns', 'about 5 GB/s of memcpy over the link between sockets'),
  timer: assumed(1, 'us', ESTIMATE),
  dirtyLine: assumed(6, 'ns', 'about 10 GB/s of stores from one core'),
  poolLookup: assumed(10, 'ns', `${ESTIMATE}: one load from the descriptor of a page`),
  probe: assumed(150, 'ns', `${ESTIMATE}: a kprobe with a BPF program`),
  mapCallback: assumed(50, 'ns', ESTIMATE),
  unmapCallback: assumed(100, 'ns', ESTIMATE),
  completion: assumed(100, 'ns', ESTIMATE),
};

const BEFORE = 'Linux before 2020: iommu_map and iommu_unmap call the driver for each page';

/** `os.dma.strategy` of kernels: the kernel's own way; the parameters of the others wait until one is chosen. */
export const strategy: Parameters = {
  kind: spec('linux', '', 'Linux drivers/iommu/dma-iommu.c'),
  before: {
    walkPerLeaf: spec(true, '', BEFORE),
    flushPerPage: assumed(true, '', `${BEFORE}; drivers without iotlb_sync invalidated in each call`),
    noHint: spec(true, '', 'Linux before late 2025 did not pass the hint'),
    legacyCode: spec(true, '', 'Linux before 6.19 has no generic_pt'),
  },
  batch: assumed(64, 'buffers', 'NAPI_POLL_WEIGHT, Linux include/linux/netdevice.h'),
  chunk: assumed(64, 'pages', `pages of a receive descriptor in ${FAST_AND_SAFE}`),
  slots: assumed(512, 'slots', 'twice the 256 descriptors that drivers use by default'),
};

export function iova(magazine: number, orders: number, source: string): Parameters {
  return {
    magazine: spec(magazine, 'PFNs', source),
    cachedOrders: spec(orders, 'size classes', source),
    trim: spec(100, 'ms', 'Linux drivers/iommu/iova.c: IOVA_DEPOT_DELAY'),
    addressBits: assumed(48, 'bits', 'DMA mask of the device, limited by the aperture'),
    aged: assumed(0, 'ranges', 'a machine that has just booted'),
  };
}

/** `areas`: 0 = one for each CPU. */
export function swiotlb(areas: number, source: string): Parameters {
  return {
    size: spec(64, 'MiB', 'Linux include/linux/swiotlb.h: IO_TLB_DEFAULT_SIZE'),
    areas: spec(areas, 'areas', source),
  };
}

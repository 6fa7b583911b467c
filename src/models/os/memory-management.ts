/**
 * Costs of process memory management, of threads that sleep, and of recoverable page faults on an Arm server (Kunpeng 920, 64 cores at 2.6 GHz).
 * What is published is the time of the fault handler, 2.0 us for an SVA fault, and of a whole fault, 10.1 to 10.6 us; the parts are estimates.
 */
import { assumed, type Quantity, spec } from '../quantity.js';
import type { Parameters } from '../sheet.js';

const HANDLER =
  'share of the 2.0 us that the SVA fault handler takes on Kunpeng 920 (S. Lu, linux-accelerators and iommu lists, 2021-03-09)';
const PATH = 'order-of-magnitude estimate; parts of the 10.1 to 10.6 us of a whole fault (S. Lu, 2021-03-09)';
const ESTIMATE = 'order-of-magnitude estimate';
const MUNMAP = `${ESTIMATE}: a munmap of one page takes about 1 us besides the flush`;

/** Keys of `MmCosts`. */
export const memoryManagementCosts: Readonly<Record<string, Quantity>> = {
  exception: assumed(300, 'ns', `${ESTIMATE}: exception entry and exit with mitigations`),
  lock: assumed(60, 'ns', HANDLER),
  vmaLookup: assumed(120, 'ns', HANDLER),
  fault: assumed(820, 'ns', `${HANDLER}: walk, cgroup charge, reverse map, LRU`),
  allocatePage: assumed(400, 'ns', HANDLER),
  clearPage: assumed(600, 'ns', `${HANDLER}: 4 KiB at 7 GB/s`),
  updatePage: assumed(60, 'ns', ESTIMATE),
  submitIo: assumed(2, 'us', `${ESTIMATE}: block layer and NVMe driver, submission and completion`),
  call: assumed(700, 'ns', MUNMAP),
  callPage: assumed(40, 'ns', MUNMAP),
  callTable: assumed(150, 'ns', MUNMAP),
  freePage: assumed(60, 'ns', MUNMAP),
  shootdown: assumed(200, 'ns', `${ESTIMATE}: broadcast TLBI and DSB on Arm; x86 sends interrupts, 2 to 5 us`),
  scanPage: assumed(100, 'ns', `${ESTIMATE}: reverse map of one page`),
  evictPage: assumed(600, 'ns', `${ESTIMATE}: try_to_unmap and swap entry`),
};

/** Keys of `MmSpec` besides its costs and limit. */
const reclaimParameters: Readonly<Record<string, Quantity>> = {
  cluster: spec(32, 'pages', 'Linux include/linux/swap.h: SWAP_CLUSTER_MAX'),
  storageLatency: assumed(80, 'us', 'NVMe flash, 4 KiB random read'),
  storageInterval: assumed(2, 'us', 'NVMe flash, 500,000 transfers of 4 KiB per second'),
};

/** Keys of `InterruptCosts`, `WorkqueueCosts` and `FaultCosts`. */
export const faultPathCosts: Readonly<Record<string, Quantity>> = {
  workers: assumed(4, 'threads', 'an unbound workqueue makes workers as it needs them'),
  hardInterrupt: assumed(1.2, 'us', PATH),
  unmask: assumed(200, 'ns', PATH),
  queueWork: assumed(150, 'ns', PATH),
  takeWork: assumed(100, 'ns', PATH),
  report: assumed(300, 'ns', PATH),
};

/** Keys of `TurnCosts`. */
export const turnCosts: Readonly<Record<string, Quantity>> = {
  wakeLatency: assumed(2, 'us', `${PATH}: wake-up interrupt and leaving the idle loop`),
  contextSwitch: assumed(1, 'us', PATH),
};

/** Keys of `EnqcmdSpec`. */
const enqcmdCosts: Readonly<Record<string, Quantity>> = {
  fixup: assumed(1, 'us', `${ESTIMATE}: a general-protection fault, its handler and a register write`),
  translate: assumed(20, 'ns', `${ESTIMATE}: two dependent loads that hit the caches of the core`),
  exit: assumed(4, 'us', `${ESTIMATE}: an exit, a look-up in the kernel of the host, an entry`),
};

/** `os.processes`. */
export const processes: Parameters = {
  enqcmd: enqcmdCosts,
  memory: { ...memoryManagementCosts, ...reclaimParameters },
  faults: faultPathCosts,
  ...turnCosts,
  bind: assumed(2, 'us', ESTIMATE),
  unbind: assumed(2, 'us', ESTIMATE),
};

/**
 * Linux as it ran on the machines of published invalidation costs: strict mode, page-table code of its time, and software costs that belong to
 * the machine as much as to the kernel. `iommusim fit --stage 6` decides those that the published rows show.
 */
import { assumed, type Quantity, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { commonCosts, iova, strategy, swiotlb } from './costs.js';
import { guestX86 } from './guest.js';
import { tableCode, tableCosts } from './table-code.js';
import { processes } from './memory-management.js';
import { userMap } from './user-map.js';

const START = 'where the fit starts';
const OLD = spec('legacy', '', 'Linux before 6.19 has no generic_pt');

function os(
  sheet: Pick<Sheet, 'name' | 'title' | 'description'>,
  cachedOrders: number,
  perPageCallbacks: Quantity,
  costs: Parameters,
): Sheet {
  return defineSheet({
    ...sheet,
    kind: 'os',
    parameters: {
      dma: {
        mode: spec('strict', '', 'mode of the published measurements'),
        flushQueue: {
          kind: spec('per-cpu', '', 'not used in strict mode'),
          entries: spec(256, 'entries', 'Linux drivers/iommu/dma-iommu.c: IOVA_FQ_SIZE'),
          timeout: spec(10, 'ms', 'Linux drivers/iommu/dma-iommu.c: IOVA_FQ_TIMEOUT'),
        },
        iova: iova(127, cachedOrders, 'Linux drivers/iommu/iova.c: IOVA_MAG_SIZE, IOVA_RANGE_CACHE_MAX_SIZE'),
        strategy,
        bounce: spec('never', '', 'Linux copies for devices that firmware reports as untrusted only'),
        swiotlb: swiotlb(1, 'Linux kernel/dma/swiotlb.c before 6.0: one lock'),
      },
      superpages: spec(true, '', 'default'),
      invalidationHint: spec(false, '', 'Linux before late 2025 did not pass the hint'),
      completion: spec(
        'msi',
        '',
        'Linux drivers/iommu/arm/arm-smmu-v3: ARM_SMMU_OPT_MSIPOLL where the unit is coherent',
      ),
      queueMemory: assumed('near', '', 'the device sits on the node whose memory the kernel takes'),
      tick: assumed(4, 'ms', 'CONFIG_HZ=250'),
      jitter: assumed(10, '%', 'not published; keeps threads from running in lockstep'),
      traced: assumed(false, '', 'no tracing'),
      perPageCallbacks,
      tableCode: tableCode(OLD, OLD, OLD, OLD, assumed('legacy', '', 'no driver for RISC-V IOMMUs')),
      guest: guestX86,
      userMap,
      processes,
      costs: { ...commonCosts, table: tableCosts, ...costs },
    },
  });
}

const NOT_SMMU = spec(false, '', 'VT-d driver: whole ranges');

export const linuxKunpeng920: Sheet = os(
  {
    name: 'linux-5.14-kunpeng-920',
    title: 'Linux 5.14 on Kunpeng 920',
    description: 'Strict mode on Arm SMMUv3; perPageCallbacks makes it Linux 5.13 and older.',
  },
  6,
  spec(false, '', 'Linux 5.14: map_pages and unmap_pages'),
  {
    mmioFlight: assumed(40, 'ns', START),
    mmioWrite: assumed(20, 'ns', START),
    mmioRead: assumed(50, 'ns', 'CMD_SYNC seen by event 190 ns, by MSI 270 ns (B. Song, linux-iommu 2020-08-03)'),
    pollWord: assumed(
      100,
      'ns',
      'store and look take 80 ns more than the read of a register after an event (same mail)',
    ),
    unmapCall: assumed(200, 'ns', START),
    lineTransfer: assumed(140, 'ns', START),
    lineTransferRemote: assumed(200, 'ns', START),
    iovaTree: assumed(150, 'ns', START),
    mapCallback: assumed(50, 'ns', START),
    unmapCallback: assumed(130, 'ns', START),
  },
);

export const linuxSnbE31220: Sheet = os(
  {
    name: 'linux-3.4-e3-1220',
    title: 'Linux 3.4 on a Xeon E3-1220',
    description: 'Strict mode on VT-d as rIOMMU (ASPLOS 2015) measured it.',
  },
  0,
  NOT_SMMU,
  {},
);

export const linuxIcx4314: Sheet = os(
  {
    name: 'linux-6-xeon-4314',
    title: 'Linux 6 on a Xeon Silver 4314',
    description: 'Strict mode on VT-d, the machine of a published mean of queued invalidations.',
  },
  6,
  NOT_SMMU,
  { poll: assumed(470, 'ns', `${START}: an uncached register read`) },
);

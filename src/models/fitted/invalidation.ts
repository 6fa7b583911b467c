/**
 * Costs of invalidations decided by published measurements on bare metal (workloads/validation/published/invalidation.csv): sheet name,
 * dotted path, value. Written by `iommusim fit --stage 6 --seed 1`; do not edit.
 */
import type { FittedTable } from './value.js';

export const INVALIDATION_FIT: Readonly<Record<string, FittedTable>> = {
  'linux-5.14-kunpeng-920': {
    'costs.probe': { value: 172, unit: 'ns', rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*' },
    'costs.mapCall': { value: 16, unit: 'ns', rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*' },
    'costs.unmapCall': { value: 132, unit: 'ns', rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*' },
    'costs.table.armv8.legacy.map.leaf': { value: 2.4, unit: 'ns', rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*' },
    'costs.iovaTree': { value: 164, unit: 'ns', rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*' },
    'costs.mapCallback': { value: 52, unit: 'ns', rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*' },
    'costs.unmapCallback': { value: 124, unit: 'ns', rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*' },
    'costs.lineTransfer': { value: 148, unit: 'ns', rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*' },
    'costs.mmioFlight': {
      value: 0,
      unit: 'ns',
      rows: 'SMMU-POLL (PARAM), an idle CMD_SYNC, less its other parts',
      confidence: 'assumed',
    },
    'costs.lineTransferRemote': {
      value: 248,
      unit: 'ns',
      rows: 'SMMU-SYNC-NUMA (PARAM): an idle CMD_SYNC with the queue on another node, three lines cross',
      confidence: 'assumed',
    },
  },
  'kunpeng-920': {
    'invalidation.iotlbPage': { value: 72, unit: 'ns', rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*' },
    'invalidation.wait': { value: 236, unit: 'ns', rows: 'fit to SMMU-WAYS-* and SMMU-DMB-t1-*' },
  },
  'linux-3.4-e3-1220': {
    'costs.poll': { value: 551, unit: 'ns', rows: 'fit to RIO-INV' },
  },
  'linux-6-xeon-4314': {
    'costs.poll': { value: 467, unit: 'ns', rows: 'fit to VTD-QI-2548' },
  },
};

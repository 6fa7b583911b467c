/**
 * What virtual machines with an emulated IOMMU cost, decided by published latencies in guests: sheet name, dotted path,
 * value. Written by `iommusim fit --stage 8 --seed 1`; do not edit.
 */
import type { FittedTable } from './value.js';

export const GUEST_FIT: Readonly<Record<string, FittedTable>> = {
  'guest-x86': {
    exit: { value: 5.11, unit: 'us', rows: 'fit to NEST-qi-1 (xlab-uiuc/Fast-and-Safe-IO-Memory-Protection)' },
  },
  'guest-arm64': {
    exit: { value: 11.45, unit: 'us', rows: 'fit to SMMU-CMDQV-t1 (N. Chen)' },
    emulation: { value: 2.1, unit: 'us', rows: 'fit to SMMU-CMDQV-t1 (N. Chen)' },
  },
  'grace-nested': {
    'invalidation.iotlbPage': { value: 189, unit: 'ns', rows: 'fit to SMMU-CMDQV-t1 (N. Chen)' },
    'invalidation.wait': { value: 4280, unit: 'ns', rows: 'fit to SMMU-CMDQV-t1 (N. Chen)' },
  },
};

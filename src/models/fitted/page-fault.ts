/**
 * What a recoverable page fault of a device costs, decided by a published time of the whole: sheet name, dotted path, value. Written by `iommusim fit --stage 10 --seed 1`; do not edit.
 */
import type { FittedTable } from './value.js';

export const PAGE_FAULT_FIT: Readonly<Record<string, FittedTable>> = {
  'linux-5.14-kunpeng-920': {
    'processes.wakeLatency': { value: 2.2, unit: 'us', rows: 'fit to IOPF-SVA-PERFAULT (S. Lu)' },
  },
};

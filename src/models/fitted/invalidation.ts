/**
 * Costs of invalidations decided by published measurements on bare metal (workloads/validation/published/invalidation.csv): sheet name,
 * dotted path, value. Written by `iommusim fit --stage 6 --seed 1`; do not edit.
 */
import type { FittedTable } from './value.js';

export const INVALIDATION_FIT: Readonly<Record<string, FittedTable>> = {};

/**
 * What mapping memory of a process for a device costs, decided by a published benchmark: sheet name, dotted path, value. Written by `iommusim fit --stage 9 --seed 1`; do not edit.
 */
import type { FittedTable } from './value.js';

export const USER_MAP_FIT: Readonly<Record<string, FittedTable>> = {
  'user-map': {
    call: {
      value: 21.84,
      unit: 'us',
      rows: 'fit to TTUMD-MAP (tenstorrent/tt-umd tests/microbenchmark/benchmarks/iommu/README.md @ 3ed9cb6d0)',
    },
    pinPage: {
      value: 3.091,
      unit: 'us',
      rows: 'fit to TTUMD-MAP (tenstorrent/tt-umd tests/microbenchmark/benchmarks/iommu/README.md @ 3ed9cb6d0)',
    },
  },
};

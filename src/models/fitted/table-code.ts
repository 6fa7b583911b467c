/**
 * Costs of page-table code decided by the published micro-benchmarks of the generic_pt series (J. Gunthorpe, linux-iommu 2025,
 * Core i7-12700): sheet name, dotted path, value. Written by `iommusim fit --stage 5 --seed 1`; do not edit.
 */
import type { FittedTable } from './value.js';

export const TABLE_CODE_FIT: Readonly<Record<string, FittedTable>> = {
  'page-table-code': {
    'amdv1.generic.map.call': {
      value: 63.5,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-MAP (generic_pt series, generic code)',
    },
    'amdv1.generic.map.leaf': {
      value: 1.2,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-MAP (generic_pt series, generic code)',
    },
    'amdv1.generic.map.slot': {
      value: 1.62,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-MAP (generic_pt series, generic code)',
    },
    'amdv1.legacy.map.call': { value: 55.2, unit: 'ns', rows: 'fit to IPT-AMDV1-MAP (generic_pt series, legacy code)' },
    'amdv1.legacy.map.leaf': { value: 4.08, unit: 'ns', rows: 'fit to IPT-AMDV1-MAP (generic_pt series, legacy code)' },
    'amdv1.legacy.map.slot': { value: 1.82, unit: 'ns', rows: 'fit to IPT-AMDV1-MAP (generic_pt series, legacy code)' },
    'amdv1.legacy.map.level': {
      value: 0.97,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-MAP (generic_pt series, legacy code)',
    },
    'amdv1.generic.unmap.call': {
      value: 76.4,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-UNMAP (generic_pt series, generic code)',
    },
    'amdv1.generic.unmap.leaf': {
      value: 1.22,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-UNMAP (generic_pt series, generic code)',
    },
    'amdv1.generic.unmap.slot': {
      value: 0.09,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-UNMAP (generic_pt series, generic code)',
    },
    'amdv1.legacy.unmap.call': {
      value: 64.1,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-UNMAP (generic_pt series, legacy code)',
    },
    'amdv1.legacy.unmap.leaf': {
      value: 19.95,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-UNMAP (generic_pt series, legacy code)',
    },
    'amdv1.legacy.unmap.slot': {
      value: 0.02,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-UNMAP (generic_pt series, legacy code)',
    },
    'amdv1.legacy.unmap.level': {
      value: 1.8,
      unit: 'ns',
      rows: 'fit to IPT-AMDV1-UNMAP (generic_pt series, legacy code)',
    },
    'vtdss.generic.map.call': {
      value: 53.8,
      unit: 'ns',
      rows: 'fit to IPT-VTDSS-MAP (generic_pt series, generic code)',
    },
    'vtdss.generic.map.leaf': {
      value: 1.28,
      unit: 'ns',
      rows: 'fit to IPT-VTDSS-MAP (generic_pt series, generic code)',
    },
    'vtdss.legacy.map.call': { value: 64.4, unit: 'ns', rows: 'fit to IPT-VTDSS-MAP (generic_pt series, legacy code)' },
    'vtdss.legacy.map.leaf': { value: 1.99, unit: 'ns', rows: 'fit to IPT-VTDSS-MAP (generic_pt series, legacy code)' },
    'vtdss.generic.unmap.call': {
      value: 62.4,
      unit: 'ns',
      rows: 'fit to IPT-VTDSS-UNMAP (generic_pt series, generic code)',
    },
    'vtdss.generic.unmap.leaf': {
      value: 0.67,
      unit: 'ns',
      rows: 'fit to IPT-VTDSS-UNMAP (generic_pt series, generic code)',
    },
    'vtdss.legacy.unmap.call': {
      value: 81.4,
      unit: 'ns',
      rows: 'fit to IPT-VTDSS-UNMAP (generic_pt series, legacy code)',
    },
    'vtdss.legacy.unmap.leaf': {
      value: 1.02,
      unit: 'ns',
      rows: 'fit to IPT-VTDSS-UNMAP (generic_pt series, legacy code)',
    },
    'armv8.generic.map.call': {
      value: 55.8,
      unit: 'ns',
      rows: 'fit to IPT-ARM64-MAP (generic_pt series, generic code)',
    },
    'armv8.generic.map.leaf': {
      value: 1.22,
      unit: 'ns',
      rows: 'fit to IPT-ARM64-MAP (generic_pt series, generic code)',
    },
    'armv8.legacy.map.call': { value: 63.6, unit: 'ns', rows: 'fit to IPT-ARM64-MAP (generic_pt series, legacy code)' },
    'armv8.legacy.map.leaf': { value: 1.33, unit: 'ns', rows: 'fit to IPT-ARM64-MAP (generic_pt series, legacy code)' },
    'armv8.generic.unmap.call': {
      value: 70.4,
      unit: 'ns',
      rows: 'fit to IPT-ARM64-UNMAP (generic_pt series, generic code)',
    },
    'armv8.generic.unmap.leaf': {
      value: 1.69,
      unit: 'ns',
      rows: 'fit to IPT-ARM64-UNMAP (generic_pt series, generic code)',
    },
    'armv8.legacy.unmap.call': {
      value: 75.9,
      unit: 'ns',
      rows: 'fit to IPT-ARM64-UNMAP (generic_pt series, legacy code)',
    },
    'armv8.legacy.unmap.leaf': {
      value: 1.1,
      unit: 'ns',
      rows: 'fit to IPT-ARM64-UNMAP (generic_pt series, legacy code)',
    },
  },
};

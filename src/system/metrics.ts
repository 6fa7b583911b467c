/** Every metric a run can report, in the order of the catalogue (metrics.csv, `iommusim explain`). */
import { ACCELERATOR_METRICS, DEVICE_METRICS } from '../devices/metrics.js';
import { IOMMU_METRICS } from '../iommu/metrics.js';
import { MEMORY_METRICS } from '../memory/metrics.js';
import { OS_METRICS } from '../os/metrics.js';
import { ATS_METRICS } from '../pcie/ats-metrics.js';
import { PAGE_REQUEST_METRICS } from '../iommu/page-request-metrics.js';
import { PRI_METRICS } from '../pcie/pri-metrics.js';
import { LINK_METRICS } from '../pcie/link.js';
import type { MetricDef } from '../stats/registry.js';
import { AUDIT_METRICS } from './audit.js';

export const RUN_METRICS: readonly MetricDef[] = [
  {
    name: 'run.operations_per_second',
    unit: '1/s',
    sentence: 'Operations of all jobs together per simulated second.',
    formula: 'operations / window',
  },
  {
    name: 'run.operations',
    unit: 'count',
    sentence: 'Operations of all jobs together in the window.',
    formula: 'count',
  },
  {
    name: 'run.window',
    unit: 'ns',
    sentence: 'Simulated time of the window.',
    formula: 'end - start',
  },
];

export function allMetrics(): readonly MetricDef[] {
  return [
    ...RUN_METRICS,
    ...DEVICE_METRICS,
    ...ACCELERATOR_METRICS,
    ...LINK_METRICS,
    ...ATS_METRICS,
    ...PRI_METRICS,
    ...PAGE_REQUEST_METRICS,
    ...IOMMU_METRICS,
    ...MEMORY_METRICS,
    ...OS_METRICS,
    ...AUDIT_METRICS,
  ];
}

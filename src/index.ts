/** What programs that embed the simulator may use: workload text in, points out, one point at a time or on a pool of threads. */
export { publishedPcieBench } from './check/published.js';
export { type LineChart, lineChart } from './report/figure.js';
export { RunFiles } from './report/files.js';
export { executeRun, type RunOptions, type RunSummary } from './run/execute.js';
export { runPoint } from './run/point.js';
export { computePoints } from './run/pool.js';
export type { HistogramResult, PointOptions, PointResult } from './run/result.js';
export { allMetrics } from './system/metrics.js';
export { InputError, type Problem } from './workload/errors.js';
export type { PlannedPoint, RunPlan } from './workload/plan.js';
export { resolveWorkload } from './workload/resolve.js';
export type { JobSpec, MachineSpec, PointSpec } from './workload/spec.js';

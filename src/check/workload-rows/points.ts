/** The points of shipped workload files that repeat published measurements: all seeds of the design that a row names. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inputError } from '../../workload/errors.js';
import type { RunPlan } from '../../workload/plan.js';
import { resolveWorkload } from '../../workload/resolve.js';
import type { PointSpec } from '../../workload/spec.js';
import { VALIDATION_FOLDER } from '../pcie-bench.js';
import type { WorkloadPoint } from './published.js';

export class WorkloadFiles {
  private readonly plans = new Map<string, RunPlan>();

  constructor(private readonly folder: string = VALIDATION_FOLDER) {}

  /** @throws InputError when the file is not a workload, or has no such point. */
  specs(workload: string, { point }: Pick<WorkloadPoint, 'point'>): PointSpec[] {
    const wanted = Object.entries(point);
    const specs = this.plan(workload)
      .points.filter(({ swept }) => wanted.every(([path, value]) => String(swept[path]) === value))
      .map(({ spec }) => spec);
    if (specs.length === 0) {
      const text = wanted.map(([path, value]) => `${path}=${value}`).join(' ');
      throw inputError('E303', `no point ${text}`, join(this.folder, workload));
    }
    return specs;
  }

  private plan(workload: string): RunPlan {
    let plan = this.plans.get(workload);
    if (plan === undefined) {
      const file = join(this.folder, workload);
      plan = resolveWorkload(readFileSync(file, 'utf8'), file);
      this.plans.set(workload, plan);
    }
    return plan;
  }
}

/** `iommusim check`: validates a workload, prints its points and what running them will take. Runs nothing. */
import { Command } from 'commander';
import { estimateRun } from '../workload/estimate.js';
import type { RunPlan } from '../workload/plan.js';
import { collect, loadWorkload, type WorkloadOptions } from './load.js';
import type { Context, Output } from './context.js';
import { formatTable } from './table.js';

export function checkCommand({ output }: Context): Command {
  return new Command('check')
    .argument('<file>', 'workload file')
    .description('validate a workload and print its points and an estimate; run nothing')
    .option('--set <path=value>', 'set a parameter; may be given more than once', collect, [])
    .option('--seeds <n>', 'number of seeds, or a list such as "[3, 5]"')
    .action((file: string, options: WorkloadOptions) => print(loadWorkload(file, options).plan, output));
}

function print(plan: RunPlan, output: Output): void {
  const paths = [...new Set(plan.points.flatMap((point) => Object.keys(point.swept)))];
  const rows = plan.points.map((point) => [
    point.id,
    point.design,
    String(point.seed),
    ...paths.map((path) => point.swept[path] ?? ''),
  ]);
  output.out(`${plan.name}: ${plan.question}\n\n`);
  output.out(formatTable(['point', 'design', 'seed', ...paths], rows));
  const { operations, events, seconds } = estimateRun(plan);
  const time = seconds < 1 ? 'less than a second' : `about ${Math.ceil(seconds)} s`;
  output.out(
    `\n${plan.points.length} points, ${millions(operations)} operations, ${millions(events)} events, ${time} of one core\n`,
  );
}

function millions(count: number): string {
  return count < 1e6 ? String(Math.round(count)) : `${(count / 1e6).toPrecision(3)} million`;
}

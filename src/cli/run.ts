/** `iommusim run`: expands a workload, runs its points on all cores, writes the results folder, prints the main figures. */
import { Command } from 'commander';
import type { RunFiles } from '../report/files.js';
import { executeRun, type RunSummary } from '../run/execute.js';
import { defaultFolder } from '../run/identity.js';
import { catchInterrupt } from '../run/interrupt.js';
import type { RunPlan } from '../workload/plan.js';
import { ExitCode } from './errors.js';
import { collect, loadWorkload, type WorkloadOptions } from './load.js';
import type { Context } from './context.js';
import { readThreads } from './threads.js';

interface Options extends WorkloadOptions {
  readonly out?: string;
  readonly threads?: string;
  readonly quiet: boolean;
  readonly audit: boolean;
  readonly everyEvent: boolean;
}

export function runCommand(context: Context): Command {
  return new Command('run')
    .argument('<file>', 'workload file')
    .description('run a workload and write its results folder; run again to resume')
    .option('--out <dir>', 'results folder (default: a folder under results/runs)')
    .option('--set <path=value>', 'set a parameter; may be given more than once', collect, [])
    .option('--seeds <n>', 'number of seeds, or a list such as "[3, 5]"')
    .option('--threads <n>', 'worker threads (default: one a core)')
    .option('--quiet', 'no progress bar and no table', false)
    .option('--audit', 'watch the invariants of the simulated system during the run', false)
    .option('--every-event', 'schedule every stage as an event of its own (slower, same results)', false)
    .action((file: string, options: Options) => run(file, options, context));
}

async function run(file: string, options: Options, context: Context): Promise<void> {
  const threads = readThreads(options.threads);
  const { plan, sha256 } = loadWorkload(file, options);
  let report: RunFiles | null = null;
  const interrupt = catchInterrupt();
  try {
    const summary = await executeRun(plan, {
      out: options.out ?? defaultFolder(plan),
      threads,
      quiet: options.quiet,
      audit: options.audit,
      everyEvent: options.everyEvent,
      report: async () => {
        report = await loadReport(plan);
        return report;
      },
      signal: interrupt.signal,
      command: ['iommusim', ...context.argv],
      workloadSha256: sha256,
    });
    await finish(summary, report, options, context);
  } finally {
    interrupt.dispose();
  }
}

/** Loaded when the points are there: nothing in it is needed for the first one. */
async function loadReport(plan: RunPlan): Promise<RunFiles> {
  const [files, metrics] = await Promise.all([import('../report/files.js'), import('../system/metrics.js')]);
  return new files.RunFiles(plan, metrics.allMetrics());
}

/** `report`: null when the run was interrupted. */
async function finish(summary: RunSummary, report: RunFiles | null, options: Options, context: Context): Promise<void> {
  const { output } = context;
  const { total, computed, reused, out, wallSeconds, violations } = summary;
  if (summary.status === 'interrupted' || report === null) {
    output.err(`interrupted: ${computed + reused} of ${total} points are kept in ${out}; the same command resumes\n`);
    context.exitCode = ExitCode.Interrupted;
    return;
  }
  if (!options.quiet) {
    const { formatTable } = await import('../report/table.js');
    output.out(`${formatTable(report.summary(), report.sweptPaths).join('\n')}\n`);
    const kept = reused > 0 ? ` (${reused} from an earlier run)` : '';
    output.out(`${total} points${kept} in ${wallSeconds} s; results in ${out}\n`);
  }
  if (violations > 0) {
    const lines = report.violations().slice(0, 20);
    output.err(`the audit saw ${violations} violations:\n${lines.map((line) => `  ${line}\n`).join('')}`);
    context.exitCode = ExitCode.Internal;
  }
}

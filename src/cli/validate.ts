/** `iommusim validate`: repeats published measurements, prints published against simulated, says whether the model is accepted. */
import { Command } from 'commander';
import { Evaluator, Interrupted } from '../check/evaluator.js';
import { formatSummary, formatValidation } from '../check/listing.js';
import { InvalidationBench } from '../check/invalidation/experiment.js';
import { formatInvalidation, formatInvalidationSummary } from '../check/invalidation/listing.js';
import { type InvalidationPoint, publishedInvalidation } from '../check/invalidation/published.js';
import {
  type InvalidationValidation,
  invalidationShare,
  validateInvalidation,
} from '../check/invalidation/validation.js';
import { PcieBench } from '../check/pcie-bench.js';
import { publishedPcieBench } from '../check/published.js';
import { invalidationRecords, tableCodeRecords, validationRecords, workloadRecords } from '../check/records.js';
import { formatTableCode, formatTableCodeSummary } from '../check/table-code/listing.js';
import { publishedTableCode } from '../check/table-code/published.js';
import { codeShare, type ScoredCode, shippedTableCosts, validateTableCode } from '../check/table-code/validation.js';
import {
  planValidation,
  STAGES,
  type Stage,
  summarise,
  type Validation,
  type ValidationPlan,
  validate,
  validationPoints,
} from '../check/validation.js';
import { formatWorkloads, formatWorkloadSummary } from '../check/workload-rows/listing.js';
import { WorkloadFiles } from '../check/workload-rows/points.js';
import { publishedWorkloads, type WorkloadSeries } from '../check/workload-rows/published.js';
import {
  type ScoredWorkload,
  validateWorkloads,
  workloadPoints,
  workloadShare,
} from '../check/workload-rows/validation.js';
import { csvText } from '../report/csv.js';
import { formatNumber } from '../report/number.js';
import { catchInterrupt } from '../run/interrupt.js';
import { Progress } from '../run/progress.js';
import { inputError } from '../workload/errors.js';
import { ExitCode } from './errors.js';
import type { Context } from './context.js';
import { readThreads } from './threads.js';
import { writeFigures } from './validate-figure.js';
import { writeAtomically } from './write.js';

interface Options {
  readonly stage?: string;
  readonly threads?: string;
  readonly csv?: string;
  readonly figures?: string;
  readonly row?: string;
  readonly quiet: boolean;
}

export function validateCommand(context: Context): Command {
  return new Command('validate')
    .description('repeat published measurements and compare; exit status 0: accepted, 1: not')
    .option(
      '--stage <n>',
      '1: IOMMU off, 2: IOMMU on (pcie-bench); 5: page-table code; 6: invalidation; 8: guests; 9: user memory; 10: page faults (default: all)',
    )
    .option('--row <pattern>', 'only rows whose name contains the text; * stands for anything')
    .option('--csv <file>', 'write the comparison as tidy CSV')
    .option('--figures <dir>', 'write a figure of the bandwidth curves of each host into an existing folder')
    .option('--threads <n>', 'worker threads (default: one a core)')
    .option('--quiet', 'no progress, and of the result only the summary', false)
    .action((options: Options) => run(options, context));
}

async function run(options: Options, context: Context): Promise<void> {
  const threads = readThreads(options.threads);
  const stages = readStages(options.stage);
  const matches = rowFilter(options.row);
  const plan = planValidation(publishedPcieBench(), stages, matches);
  const code = stages.includes(5) ? publishedTableCode().filter(({ row }) => matches(row)) : [];
  const points = plan.measured.length + plan.predicted.length + plan.derived.length;
  const rows = publishedWorkloads().filter(({ stage, row }) => stages.includes(stage as Stage) && matches(row));
  const costs = stages.includes(6) ? publishedInvalidation().filter(({ row }) => matches(row)) : [];
  if (points + code.length + costs.length + rows.length === 0) {
    throw inputError('E503', `no published row of stage ${stages.join(', ')} matches "${options.row}"`);
  }
  try {
    const bench = points === 0 ? null : await runBench(plan, threads, options);
    const workloads = rows.length === 0 ? [] : await runWorkloads(rows, threads, options);
    const invalidation = runInvalidation(costs, options);
    const scored = validateTableCode(code, shippedTableCosts());
    report({ bench, code: scored, invalidation, workloads }, stages, options, context);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    context.output.err('interrupted\n');
    context.exitCode = ExitCode.Interrupted;
  }
}

/** Simulates the points of the pcie-bench stages. */
function runBench(plan: ValidationPlan, threads: number, options: Options): Promise<Validation> {
  const bench = new PcieBench();
  const total = new Set(validationPoints(plan, bench)).size;
  return simulate(total, threads, options, (evaluator) => validate(plan, bench, evaluator));
}

/** Simulates the points of the stages of shipped workloads. */
function runWorkloads(rows: readonly WorkloadSeries[], threads: number, options: Options): Promise<ScoredWorkload[]> {
  const files = new WorkloadFiles();
  const total = workloadPoints(rows, files).length;
  return simulate(total, threads, options, (evaluator) => validateWorkloads(rows, files, evaluator));
}

async function simulate<T>(
  total: number,
  threads: number,
  { quiet }: Options,
  work: (evaluator: Evaluator) => Promise<T>,
): Promise<T> {
  const progress = new Progress(quiet ? null : process.stderr, total, 0);
  const interrupt = catchInterrupt();
  const evaluator = new Evaluator({ threads, signal: interrupt.signal, onPoint: () => progress.advance() });
  try {
    return await work(evaluator).finally(() => progress.finish());
  } finally {
    await evaluator.close();
    interrupt.dispose();
  }
}

/** Simulates the points of stage 6, which are few and short, in this thread. */
function runInvalidation(published: readonly InvalidationPoint[], { quiet }: Options): InvalidationValidation {
  if (published.length === 0) return { points: [], slopes: [] };
  const bench = new InvalidationBench();
  const total = new Set(published.map((point) => bench.spec(point))).size;
  const progress = new Progress(quiet ? null : process.stderr, total, 0);
  try {
    return validateInvalidation(published, bench, () => progress.advance());
  } finally {
    progress.finish();
  }
}

interface Results {
  readonly bench: Validation | null;
  readonly code: readonly ScoredCode[];
  readonly invalidation: InvalidationValidation;
  readonly workloads: readonly ScoredWorkload[];
}

function report(
  { bench, code, invalidation, workloads }: Results,
  stages: readonly Stage[],
  { csv, figures, quiet }: Options,
  context: Context,
): void {
  const { output } = context;
  if (csv !== undefined) {
    const records = validationRecords(bench ?? { series: [], predicted: [], derived: [] }, formatNumber);
    writeAtomically(
      csv,
      csvText([
        ...records,
        ...tableCodeRecords(code, formatNumber),
        ...invalidationRecords(invalidation, formatNumber),
        ...workloadRecords(workloads, formatNumber),
      ]),
    );
  }
  let accepted = true;
  if (bench !== null) {
    if (figures !== undefined) writeFigures(bench, figures);
    const summary = summarise(bench);
    if (!quiet) output.out(`${formatValidation(bench)}\n`);
    output.out(formatSummary(bench, summary, stages));
    accepted = summary.accepted;
  }
  if (code.length > 0) {
    if (!quiet) output.out(`${formatTableCode(code)}\n`);
    output.out(formatTableCodeSummary(code));
    const { ok, total } = codeShare(code);
    accepted &&= ok === total;
  }
  if (invalidation.points.length > 0) {
    if (!quiet) output.out(`${formatInvalidation(invalidation)}\n`);
    output.out(formatInvalidationSummary(invalidation));
    const { ok, total } = invalidationShare(invalidation);
    accepted &&= ok === total;
  }
  if (workloads.length > 0) {
    if (!quiet) output.out(`${formatWorkloads(workloads)}\n`);
    output.out(formatWorkloadSummary(workloads));
    const { ok, total } = workloadShare(workloads);
    accepted &&= ok === total;
  }
  context.exitCode = accepted ? ExitCode.Ok : ExitCode.Internal;
}

function readStages(text: string | undefined): readonly Stage[] {
  const all = Object.keys(STAGES).map((stage) => Number(stage) as Stage);
  if (text === undefined) return all;
  const stage = all.find((each) => String(each) === text);
  if (stage === undefined) {
    const names = all.map((each) => `${each} (${STAGES[each]})`);
    throw inputError('E503', `there is no stage "${text}"; stages are ${names.join(', ')}`);
  }
  return [stage];
}

function rowFilter(pattern: string | undefined): (row: string) => boolean {
  if (pattern === undefined) return () => true;
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const expression = new RegExp(parts.join('.*'), 'i');
  return (row) => expression.test(row);
}

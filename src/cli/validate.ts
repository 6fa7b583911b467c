/** `iommusim validate`: repeats published measurements, prints published against simulated, says whether the model is accepted. */
import { Command } from 'commander';
import { Evaluator, Interrupted } from '../check/evaluator.js';
import { formatSummary, formatValidation } from '../check/listing.js';
import { PcieBench } from '../check/pcie-bench.js';
import { publishedPcieBench } from '../check/published.js';
import { validationRecords } from '../check/records.js';
import { planValidation, STAGES, type Stage, summarise, validate, validationPoints } from '../check/validation.js';
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
    .description('repeat the published pcie-bench measurements and compare; exit status 0: accepted, 1: not')
    .option('--stage <n>', '1: IOMMU off, 2: IOMMU on (default: both)')
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
  const plan = planValidation(publishedPcieBench(), stages, rowFilter(options.row));
  if (plan.measured.length + plan.predicted.length + plan.derived.length === 0) {
    throw inputError('E503', `no published row of stage ${stages.join(' and ')} matches "${options.row}"`);
  }
  const bench = new PcieBench();
  const total = new Set(validationPoints(plan, bench)).size;
  const progress = new Progress(options.quiet ? null : process.stderr, total, 0);
  const interrupt = catchInterrupt();
  const evaluator = new Evaluator({ threads, signal: interrupt.signal, onPoint: () => progress.advance() });
  try {
    const validation = await validate(plan, bench, evaluator).finally(() => progress.finish());
    const summary = summarise(validation);
    if (options.csv !== undefined) {
      writeAtomically(options.csv, csvText(validationRecords(validation, formatNumber)));
    }
    if (options.figures !== undefined) writeFigures(validation, options.figures);
    if (!options.quiet) context.output.out(`${formatValidation(validation)}\n`);
    context.output.out(formatSummary(validation, summary, stages));
    context.exitCode = summary.accepted ? ExitCode.Ok : ExitCode.Internal;
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    context.output.err('interrupted\n');
    context.exitCode = ExitCode.Interrupted;
  } finally {
    await evaluator.close();
    interrupt.dispose();
  }
}

function readStages(text: string | undefined): readonly Stage[] {
  if (text === undefined) return STAGES;
  const stage = STAGES.find((each) => String(each) === text);
  if (stage === undefined) {
    throw inputError('E503', `there is no stage "${text}"; stages are ${STAGES.join(' (IOMMU off) and ')} (IOMMU on)`);
  }
  return [stage];
}

function rowFilter(pattern: string | undefined): (row: string) => boolean {
  if (pattern === undefined) return () => true;
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  const expression = new RegExp(parts.join('.*'), 'i');
  return (row) => expression.test(row);
}

/**
 * `iommusim fit`: finds the parameters of the pcie-bench hosts and their device, of page-table code, of invalidations, of guests, of user memory
 * or of page faults, from the sheets' starting values, with a seed.
 */
import { resolve } from 'node:path';
import { Command } from 'commander';
import { Evaluator, Interrupted } from '../check/evaluator.js';
import { fitPcieBench } from '../check/fit/fit.js';
import { fitInvalidation } from '../check/fit/invalidation.js';
import { type Host, HOSTS, shippedValues, startValues } from '../check/fit/parameters.js';
import {
  type FitTarget,
  fittedSource,
  INVALIDATION_TARGET,
  PCIE_BENCH_TARGET,
  TABLE_CODE_TARGET,
  WORKLOAD_TARGETS,
} from '../check/fit/source.js';
import { fitTableCode } from '../check/fit/table-code.js';
import { fitWorkloads, WORKLOAD_FITS } from '../check/fit/workload.js';
import { InvalidationBench } from '../check/invalidation/experiment.js';
import { publishedInvalidation } from '../check/invalidation/published.js';
import { PcieBench } from '../check/pcie-bench.js';
import { publishedPcieBench } from '../check/published.js';
import { publishedTableCode } from '../check/table-code/published.js';
import { WorkloadFiles } from '../check/workload-rows/points.js';
import { publishedWorkloads } from '../check/workload-rows/published.js';
import { catchInterrupt } from '../run/interrupt.js';
import { inputError } from '../workload/errors.js';
import { nearest } from '../workload/nearest.js';
import { ExitCode } from './errors.js';
import type { Context } from './context.js';
import { readThreads } from './threads.js';
import { writeAtomically } from './write.js';

interface Options {
  readonly stage?: string;
  readonly host?: string;
  readonly seed: string;
  readonly out?: string;
  readonly threads?: string;
}

export function fitCommand(context: Context): Command {
  return new Command('fit')
    .description('fit the pcie-bench hosts, or page-table code, to the published rows tagged CAL')
    .option(
      '--stage <n>',
      '5: page-table code; 8: guests; 9: user memory; 10: page faults; in a minute; 6: invalidation, in minutes (default: the pcie-bench hosts of stages 1 and 2, in minutes)',
    )
    .option('--host <name>', 'fit this machine only; the device and the other hosts keep their shipped values')
    .option('--seed <n>', 'order of the search and random numbers of the points', '1')
    .option('--out <file>', 'write the values as the source text of the file in src/models/fitted')
    .option('--threads <n>', 'worker threads (default: one a core)')
    .action((options: Options) => run(options, context));
}

async function run(options: Options, context: Context): Promise<void> {
  const { output } = context;
  const threads = readThreads(options.threads);
  const seed = readSeed(options.seed);
  if (options.stage !== undefined) {
    if (options.host !== undefined) throw inputError('E503', '--host goes with the pcie-bench hosts, not with --stage');
    if (options.stage === '5') await runTableCode(options, seed, context);
    else if (options.stage === '6') await runInvalidation(options, seed, context);
    else await runWorkloads(options, seed, threads, context);
    return;
  }
  const host = readHost(options.host);
  const begin = performance.now();
  const interrupt = catchInterrupt();
  const evaluator = new Evaluator({ threads, signal: interrupt.signal });
  try {
    const values = await fitPcieBench({
      published: publishedPcieBench(),
      bench: new PcieBench(),
      evaluator,
      seed,
      effort: 1,
      host,
      values: host === null ? startValues() : shippedValues(),
      log: (line) => output.err(`${line}\n`),
    });
    const command = `iommusim fit${host === null ? '' : ` --host ${host.machine}`} --seed ${seed}`;
    finish(fittedSource(values, command, PCIE_BENCH_TARGET), PCIE_BENCH_TARGET, options.out, context);
    const seconds = Math.round((performance.now() - begin) / 1000);
    output.err(`${evaluator.computed} points in ${seconds} s\n`);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    output.err('interrupted\n');
    context.exitCode = ExitCode.Interrupted;
  } finally {
    await evaluator.close();
    interrupt.dispose();
  }
}

async function runWorkloads({ stage, out }: Options, seed: number, threads: number, context: Context): Promise<void> {
  const target = WORKLOAD_FITS.includes(Number(stage)) ? WORKLOAD_TARGETS[Number(stage)] : undefined;
  if (target === undefined) {
    throw inputError(
      'E503',
      `--stage expects 5 (page-table code), 6 (invalidation), 8 (guests), 9 (user memory) or 10 (page faults), got "${stage}"`,
    );
  }
  const interrupt = catchInterrupt();
  const evaluator = new Evaluator({ threads, signal: interrupt.signal });
  try {
    const values = await fitWorkloads({
      published: publishedWorkloads(),
      stage: Number(stage),
      files: new WorkloadFiles(),
      evaluator,
      seed,
      log: (line) => context.output.err(`${line}\n`),
    });
    finish(fittedSource(values, `iommusim fit --stage ${stage} --seed ${seed}`, target), target, out, context);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
    context.output.err('interrupted\n');
    context.exitCode = ExitCode.Interrupted;
  } finally {
    await evaluator.close();
    interrupt.dispose();
  }
}

async function runTableCode({ out }: Options, seed: number, context: Context): Promise<void> {
  const values = await fitTableCode(publishedTableCode(), seed, (line) => context.output.err(`${line}\n`));
  const command = `iommusim fit --stage 5 --seed ${seed}`;
  finish(fittedSource(values, command, TABLE_CODE_TARGET), TABLE_CODE_TARGET, out, context);
}

async function runInvalidation({ out }: Options, seed: number, context: Context): Promise<void> {
  const log = (line: string): void => context.output.err(`${line}\n`);
  const values = await fitInvalidation(publishedInvalidation(), new InvalidationBench(), seed, log);
  finish(
    fittedSource(values, `iommusim fit --stage 6 --seed ${seed}`, INVALIDATION_TARGET),
    INVALIDATION_TARGET,
    out,
    context,
  );
}

function finish(source: string, target: FitTarget, out: string | undefined, { output }: Context): void {
  if (out === undefined) {
    output.out(source);
    output.err(`to use these values: --out ${target.file}, then build\n`);
    return;
  }
  writeAtomically(resolve(out), source);
  output.err(`written to ${out}\n`);
}

function readSeed(text: string): number {
  const seed = Number(text);
  if (!Number.isSafeInteger(seed) || seed < 0 || text.trim() === '') {
    throw inputError('E503', `--seed expects a whole number from 0 on, got "${text}"`);
  }
  return seed;
}

function readHost(name: string | undefined): Host | null {
  if (name === undefined) return null;
  const host = HOSTS.find(({ machine }) => machine === name);
  if (host === undefined) {
    const names = HOSTS.map(({ machine }) => machine);
    throw inputError('E503', `--host expects one of ${names.join(', ')}, got "${name}"`, '', nearest(name, names));
  }
  return host;
}

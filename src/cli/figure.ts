/** `iommusim figure`: draws one metric of a results folder and writes the picture, its numbers and a Vega-Lite specification. */
import { basename, dirname, join, resolve } from 'node:path';
import { Command } from 'commander';
import { figureFiles } from '../report/figure/files.js';
import { type Look, resultsChart } from '../report/figure/from-results.js';
import { readResults } from '../report/figure/results.js';
import { select } from '../report/figure/selection.js';
import { OutputError } from '../run/errors.js';
import { inputError } from '../workload/errors.js';
import { collect } from './load.js';
import type { Context } from './context.js';
import { writeAtomically } from './write.js';

interface Options {
  readonly metric: string;
  readonly x?: string;
  readonly by?: string;
  readonly where: readonly string[];
  readonly log?: string;
  readonly zero: boolean;
  readonly title?: string;
  readonly out?: string;
}

export function figureCommand({ output }: Context): Command {
  return new Command('figure')
    .argument('<folder>', 'results folder of a finished run')
    .description('draw a metric of a run against what it swept; write FILE.svg, FILE.csv and FILE.vl.json')
    .requiredOption('--metric <name>', 'metric, such as dma.read.bandwidth or nic.dma.read.latency.p99')
    .option('--x <path>', 'swept path along the x axis (default: the one with most values)')
    .option('--by <paths>', 'swept paths that make the series, with commas between (default: all others)')
    .option('--where <path=values>', 'only designs with these values; may be given more than once', collect, [])
    .option('--log <axes>', 'logarithmic axes: x, y, "x,y" or none (default: x when its values span a factor of 32)')
    .option('--no-zero', 'let the y axis start where the values do, not at zero')
    .option('--title <text>', 'title (default: name of the workload and the metric)')
    .option('--out <file.svg>', 'file to write (default: figure-METRIC.svg in the folder)')
    .action((folder: string, options: Options) => figure(folder, options, output.out));
}

function figure(folder: string, options: Options, print: (text: string) => void): void {
  const log = readLog(options.log);
  const { metric, x, by, where, title, zero } = options;
  const results = readResults(folder);
  const paths = by?.split(',').map((path) => path.trim());
  const selection = select(results, { metric, where, ...(x && { x }), ...(paths && { by: paths }) });
  const look: Look = { zero, ...(log && { log }), ...(title && { title }) };
  const chart = resultsChart(results, selection, look);
  const out = outputFile(options.out ?? join(folder, `figure-${selection.label}.svg`), folder);
  for (const { name, chunks } of figureFiles(chart, basename(out, '.svg'))) {
    write(join(dirname(out), name), chunks.join(''));
  }
  print(`${out} (numbers and Vega-Lite beside it in .csv and .vl.json)\n`);
}

type Log = NonNullable<Look['log']>;

const LOGS: Readonly<Record<string, Log>> = { none: [], x: ['x'], y: ['y'], 'x,y': ['x', 'y'], 'y,x': ['x', 'y'] };

function readLog(text: string | undefined): Log | undefined {
  if (text === undefined) return undefined;
  const axes = Object.hasOwn(LOGS, text) ? LOGS[text] : undefined;
  if (axes === undefined) throw inputError('E503', `--log expects x, y, "x,y" or none, got "${text}"`);
  return axes;
}

/** Tables of a run whose name a figure must not take. */
const TABLES: ReadonlySet<string> = new Set(['points', 'warmup', 'summary', 'latency', 'metrics']);

function outputFile(out: string, folder: string): string {
  const stem = basename(out, '.svg');
  if (!out.endsWith('.svg') || stem === '')
    throw inputError('E503', `--out expects a name that ends in .svg, got "${out}"`);
  if (TABLES.has(stem) && resolve(dirname(out)) === resolve(folder)) {
    throw inputError('E503', `--out ${out} would replace ${stem}.csv of the run`);
  }
  return out;
}

function write(path: string, text: string): void {
  try {
    writeAtomically(path, text);
  } catch (error) {
    if (error instanceof OutputError) throw inputError('E606', error.message);
    throw error;
  }
}

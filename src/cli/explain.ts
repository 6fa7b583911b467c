/** `iommusim explain`: what a metric means, its unit and its formula. */
import { Command } from 'commander';
import { MetricCatalogue } from '../report/metrics.js';
import { allMetrics } from '../system/metrics.js';
import { inputError } from '../workload/errors.js';
import { nearest } from '../workload/nearest.js';
import type { Context, Output } from './context.js';
import { formatTable } from './table.js';

export function explainCommand({ output }: Context): Command {
  return new Command('explain')
    .argument('[metric]', 'name of a metric, or a column such as receive.latency.p99; lists all metrics when absent')
    .description('say what a metric means, its unit and its formula')
    .action((metric: string | undefined) => (metric === undefined ? list(output) : explain(metric, output)));
}

/** Name, unit, sentence and formula of every metric; `distributions` with their means and percentiles. */
function definitions(distributions: readonly string[] = []): string[][] {
  return new MetricCatalogue(allMetrics()).rows(new Set(distributions));
}

function list(output: Output): void {
  output.out(
    formatTable(
      ['metric', 'unit', 'meaning'],
      definitions().map(([name, unit, meaning]) => [name!, unit!, meaning!]),
    ),
  );
}

function explain(metric: string, output: Output): void {
  const found = find(metric);
  if (found === undefined) {
    const names = definitions().map(([name]) => name!);
    const message = `there is no metric "${metric}"; iommusim explain lists them`;
    throw inputError('E504', message, '', nearest(metric, names));
  }
  const [name, unit, sentence, formula] = found;
  output.out(`${name} (${unit}): ${sentence}\n  = ${formula}\n`);
}

/** The metric itself, or that of a column: `component.metric`, with or without a percentile at its end. */
function find(metric: string): string[] | undefined {
  const keys = metric.split('.');
  for (let skip = 0; skip < keys.length; skip++) {
    const name = keys.slice(skip).join('.');
    const bases = keys.slice(skip).map((_, index, rest) => rest.slice(0, index + 1).join('.'));
    const row = definitions(bases).find(([each]) => each === name);
    if (row !== undefined) {
      return row;
    }
  }
  return undefined;
}

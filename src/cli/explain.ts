/** `iommusim explain`: what a metric means, its unit and its formula; what a strategy does and protects. */
import { Command } from 'commander';
import { protectionOf, STRATEGIES } from '../os/dma/strategies/catalogue.js';
import { STRATEGY_KINDS, type StrategyKind } from '../os/spec.js';
import { MetricCatalogue } from '../report/metrics.js';
import { allMetrics } from '../system/metrics.js';
import { inputError } from '../workload/errors.js';
import { nearest } from '../workload/nearest.js';
import type { Context, Output } from './context.js';
import { formatTable } from './table.js';

export function explainCommand({ output }: Context): Command {
  return new Command('explain')
    .argument(
      '[name]',
      'a metric, a column such as receive.latency.p99, a strategy, or "strategies"; lists all metrics when absent',
    )
    .description('say what a metric means, its unit and its formula, or what a strategy does and protects')
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
  const strategies = STRATEGY_KINDS.filter((kind) => kind === metric || metric === 'strategies');
  if (strategies.length > 0) {
    output.out(formatTable(['os.dma.strategy.kind', 'protection', 'what it does'], strategies.map(strategyRow)));
    return;
  }
  const found = find(metric);
  if (found === undefined) {
    const names = [...definitions().map(([name]) => name!), ...STRATEGY_KINDS, 'strategies'];
    const message = `there is no metric "${metric}"; iommusim explain lists them`;
    throw inputError('E504', message, '', nearest(metric, names));
  }
  const [name, unit, sentence, formula] = found;
  output.out(`${name} (${unit}): ${sentence}\n  = ${formula}\n`);
}

function strategyRow(kind: StrategyKind): string[] {
  return [kind, protectionOf(kind), STRATEGIES[kind].sentence];
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

/**
 * The metrics of a report: those a simulation registers, those every run has (`run.*`), those of the audit (`audit.*`), and
 * what is derived from a latency distribution (`NAME.mean`, `NAME.p50` ... `NAME.max`). A column is `component.metric`.
 */
import { SCHEMA_VERSION } from '../run/encoding.js';
import type { HistogramResult, PointResult } from '../run/result.js';
import type { MetricDef, MetricValue } from '../stats/registry.js';

export interface Column {
  /** `component.metric`, as in the header of points.csv. */
  readonly name: string;
  readonly component: string;
  readonly metric: string;
  readonly unit: string;
}

/** Metrics of the pseudo-component `run`, which every point has. */
const RUN_METRICS: readonly MetricDef[] = [
  {
    name: 'warmup_time',
    unit: 'ns',
    sentence: 'Simulated time of the warm-up window, whose metrics are in warmup.csv.',
    formula: 'end of warm-up - 0',
  },
  {
    name: 'measured_time',
    unit: 'ns',
    sentence: 'Simulated time of the measured window, to which all other metrics belong.',
    formula: 'end of run - end of warm-up',
  },
  {
    name: 'warmup_operations',
    unit: '1',
    sentence: 'Operations completed in the warm-up window, all jobs together.',
    formula: 'count',
  },
  {
    name: 'measured_operations',
    unit: '1',
    sentence: 'Operations completed in the measured window, all jobs together.',
    formula: 'count',
  },
  {
    name: 'events',
    unit: '1',
    sentence: 'Simulation events dispatched over both windows.',
    formula: 'count',
  },
  {
    name: 'violations',
    unit: '1',
    sentence: 'Invariants the audit saw broken; empty when the audit was off.',
    formula: 'count',
  },
];

/** First row of metrics.csv: the version of the layout of all files. */
const SCHEMA_ROW: MetricDef = {
  name: 'csv_schema',
  unit: 'version',
  sentence: 'Version of the layout of these files.',
  formula: String(SCHEMA_VERSION),
};

interface Derived {
  readonly suffix: string;
  readonly sentence: string;
  readonly formula: string;
  readonly value: (histogram: HistogramResult) => number;
}

const DERIVED: readonly Derived[] = [
  {
    suffix: 'mean',
    sentence: 'Mean',
    formula: 'sum / count',
    value: (h) => (h.count === 0 ? Number.NaN : h.sum / h.count),
  },
  { suffix: 'p50', sentence: 'Median', formula: '50 % of the values are not above it', value: (h) => h.p50 },
  { suffix: 'p90', sentence: '90th percentile', formula: '90 % of the values are not above it', value: (h) => h.p90 },
  { suffix: 'p99', sentence: '99th percentile', formula: '99 % of the values are not above it', value: (h) => h.p99 },
  {
    suffix: 'p99.9',
    sentence: '99.9th percentile',
    formula: '99.9 % of the values are not above it',
    value: (h) => h.p999,
  },
  { suffix: 'max', sentence: 'Maximum', formula: 'largest value', value: (h) => h.max },
];

/** The definitions of a report by name. */
export class MetricCatalogue {
  private readonly byName = new Map<string, MetricDef>();

  constructor(private readonly definitions: readonly MetricDef[]) {
    for (const definition of [...RUN_METRICS, ...definitions]) this.byName.set(definition.name, definition);
  }

  /** @throws Error when no definition of that name exists: a metric without a meaning is not reported. */
  unitOf(metric: string): string {
    const definition = this.byName.get(metric);
    if (definition === undefined) throw new Error(`metric "${metric}" has no definition`);
    return definition.unit;
  }

  column(component: string, metric: string): Column {
    return { name: `${component}.${metric}`, component, metric, unit: this.unitOf(metric) };
  }

  /** Values of the measured window in column order. NaN = no value. */
  measured(result: PointResult): readonly (readonly [Column, number])[] {
    return [...this.run(result), ...this.values(result.metrics), ...this.quantiles(result), ...this.audit(result)];
  }

  values(values: readonly MetricValue[]): (readonly [Column, number])[] {
    return values.map(({ component, metric, value }) => [this.column(component, metric), value] as const);
  }

  /** Rows of metrics.csv without header; `distributions` names the metrics that were latency distributions in this run. */
  rows(distributions: ReadonlySet<string>): string[][] {
    const rows = [SCHEMA_ROW, ...RUN_METRICS, ...this.definitions].flatMap((definition) => {
      if (!distributions.has(definition.name)) return [definition];
      const derived = DERIVED.map(({ suffix, sentence, formula }) => ({
        name: `${definition.name}.${suffix}`,
        unit: definition.unit,
        sentence: `${sentence} of ${definition.name} in one run.`,
        formula,
      }));
      return [definition, ...derived];
    });
    return rows.map(({ name, unit, sentence, formula }) => [name, unit, sentence, formula]);
  }

  private run({ windows, events, audit }: PointResult): (readonly [Column, number])[] {
    const values: [string, number][] = [
      ['warmup_time', windows.warmupPs / 1000],
      ['measured_time', windows.measuredPs / 1000],
      ['warmup_operations', windows.warmupOperations],
      ['measured_operations', windows.measuredOperations],
      ['events', events],
    ];
    if (audit !== null) values.push(['violations', audit.violations.length]);
    return values.map(([metric, value]) => [this.column('run', metric), value] as const);
  }

  private quantiles(result: PointResult): (readonly [Column, number])[] {
    return result.histograms.flatMap((histogram) => {
      const { component, metric } = histogram;
      const unit = this.unitOf(metric);
      if (unit !== 'ns')
        throw new Error(`distribution "${metric}" is defined in ${unit}, but distributions are latencies in ns`);
      return DERIVED.map(({ suffix, value }) => {
        const name = `${metric}.${suffix}`;
        const ps = histogram.count === 0 ? Number.NaN : value(histogram);
        return [{ name: `${component}.${name}`, component, metric: name, unit }, ps / 1000] as const;
      });
    });
  }

  private audit(result: PointResult): (readonly [Column, number])[] {
    return Object.entries(result.audit?.counts ?? {}).map(([metric, value]) => [this.column('audit', metric), value]);
  }
}

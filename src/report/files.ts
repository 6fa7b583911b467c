/**
 * The files of a finished run, from its points in plan order: points.csv, warmup.csv, summary.csv, latency.csv, metrics.csv,
 * spec.resolved.yaml and, when a job printed something, output.txt. Pure: the same points give the same bytes.
 */
import type { RunReport } from '../run/execute.js';
import type { PointResult } from '../run/result.js';
import type { ReportFile } from '../run/store.js';
import { confidence95 } from '../stats/intervals.js';
import type { MetricDef } from '../stats/registry.js';
import type { PlannedPoint, RunPlan } from '../workload/plan.js';
import { csvText } from './csv.js';
import { Distributions } from './distribution.js';
import { type Column, MetricCatalogue } from './metrics.js';
import { formatNumber, formatPsAsNs } from './number.js';
import { WideTable } from './wide.js';

/** Mean and 95 % interval over the seeds of a design. `n` counts the seeds that have a value; NaN where there is none. */
export interface SummaryValue {
  readonly column: Column;
  readonly mean: number;
  readonly low: number;
  readonly high: number;
  readonly n: number;
}

export interface DesignSummary {
  readonly design: string;
  readonly swept: Readonly<Record<string, string>>;
  readonly values: readonly SummaryValue[];
  /** Text of the jobs at the first seed. */
  readonly text: readonly string[];
}

interface Design {
  readonly first: PlannedPoint;
  readonly rows: number[];
  readonly text: readonly string[];
  distributions: Distributions | null;
  readonly latency: string[][];
}

export class RunFiles implements RunReport {
  /** Paths that any point sweeps, in order of first appearance. */
  readonly sweptPaths: readonly string[];
  private readonly catalogue: MetricCatalogue;
  private readonly measured = new WideTable();
  private readonly warmup = new WideTable();
  private readonly points: { readonly point: PlannedPoint; readonly stoppedBy: string }[] = [];
  private readonly designs = new Map<string, Design>();
  private readonly seedsLeft = new Map<string, number>();
  private readonly distributions = new Set<string>();
  private readonly output: string[] = [];
  private readonly violationLines: string[] = [];
  private summaries: readonly DesignSummary[] | null = null;

  constructor(
    private readonly plan: RunPlan,
    definitions: readonly MetricDef[],
  ) {
    this.catalogue = new MetricCatalogue(definitions);
    this.sweptPaths = [...new Set(plan.points.flatMap((point) => Object.keys(point.swept)))];
    for (const point of plan.points) {
      const key = designKey(point);
      this.seedsLeft.set(key, (this.seedsLeft.get(key) ?? 0) + 1);
    }
  }

  add(point: PlannedPoint, result: PointResult): void {
    const row = this.measured.add(this.catalogue.measured(result));
    this.warmup.add(this.catalogue.values(result.warmup));
    this.points.push({ point, stoppedBy: result.windows.stoppedBy });
    const key = designKey(point);
    const design = this.designs.get(key) ?? newDesign(point, result);
    this.designs.set(key, design);
    design.rows.push(row);
    this.addDistributions(key, design, result);
    if (result.text.length > 0) this.output.push(`# ${label(point)}`, ...result.text);
    for (const line of result.audit?.violations ?? []) this.violationLines.push(`${label(point)}: ${line}`);
  }

  files(): readonly ReportFile[] {
    const files = [
      { name: 'spec.resolved.yaml', chunks: [this.plan.resolved] },
      { name: 'points.csv', chunks: this.pointsCsv() },
      { name: 'warmup.csv', chunks: this.warmupCsv() },
      { name: 'summary.csv', chunks: this.summaryCsv() },
      { name: 'latency.csv', chunks: this.latencyCsv() },
      {
        name: 'metrics.csv',
        chunks: [csvText([['name', 'unit', 'sentence', 'formula'], ...this.catalogue.rows(this.distributions)])],
      },
    ];
    if (this.output.length > 0) files.push({ name: 'output.txt', chunks: [`${this.output.join('\n')}\n`] });
    return files;
  }

  /** One entry for each design, in plan order. */
  summary(): readonly DesignSummary[] {
    this.summaries ??= [...this.designs.values()].map((design) => this.summarise(design));
    return this.summaries;
  }

  /** Audit violations of all points, each with the point it happened in. */
  violations(): readonly string[] {
    return this.violationLines;
  }

  private addDistributions(key: string, design: Design, result: PointResult): void {
    for (const { metric } of result.histograms) this.distributions.add(metric);
    design.distributions ??= new Distributions();
    design.distributions.add(result.histograms);
    const left = (this.seedsLeft.get(key) ?? 0) - 1;
    this.seedsLeft.set(key, left);
    if (left > 0) return;
    design.distributions.forEachBucket((component, metric, low, high, count) => {
      design.latency.push([
        design.first.design,
        component,
        metric,
        formatPsAsNs(low),
        formatPsAsNs(high),
        String(count),
      ]);
    });
    design.distributions = null;
  }

  private summarise(design: Design): DesignSummary {
    const values = this.measured.columns.flatMap((column, index) => {
      const present = design.rows.map((row) => this.measured.value(row, index)).filter((value) => value !== undefined);
      if (present.length === 0) return [];
      const finite = present.filter(Number.isFinite);
      const none = { mean: Number.NaN, low: Number.NaN, high: Number.NaN, n: 0 };
      return [{ column, ...(finite.length === 0 ? none : confidence95(finite)) }];
    });
    return { design: design.first.design, swept: design.first.swept, values, text: design.text };
  }

  private sweptCells(swept: Readonly<Record<string, string>>): string[] {
    return this.sweptPaths.map((path) => swept[path] ?? '');
  }

  private pointsCsv(): string[] {
    const columns = this.measured.columns.map((column) => column.name);
    const header = ['point', 'design', 'seed', ...this.sweptPaths, 'run.stopped_by', ...columns];
    const rows = this.points.map(({ point, stoppedBy }, row) => [
      ...[point.id, point.design, String(point.seed)],
      ...this.sweptCells(point.swept),
      stoppedBy,
      ...this.measured.cells(row).map(formatNumber),
    ]);
    return [csvText([header]), ...rows.map((row) => csvText([row]))];
  }

  private warmupCsv(): string[] {
    const header = ['point', 'design', 'seed', ...this.warmup.columns.map((column) => column.name)];
    const rows = this.points.map(({ point }, row) => [
      ...[point.id, point.design, String(point.seed)],
      ...this.warmup.cells(row).map(formatNumber),
    ]);
    return [csvText([header]), ...rows.map((row) => csvText([row]))];
  }

  private summaryCsv(): string[] {
    const header = ['point', 'metric', 'unit', 'mean', 'low', 'high', 'n', ...this.sweptPaths];
    const designs = this.summary().map(({ design, swept, values }) =>
      csvText(
        values.map(({ column, mean, low, high, n }) => [
          ...[design, column.name, column.unit],
          ...[mean, low, high].map(formatNumber),
          ...[String(n), ...this.sweptCells(swept)],
        ]),
      ),
    );
    return [csvText([header]), ...designs];
  }

  private latencyCsv(): string[] {
    const header = ['design', 'component', 'metric', 'low_ns', 'high_ns', 'count'];
    return [csvText([header]), ...[...this.designs.values()].map((design) => csvText(design.latency))];
  }
}

/** Points that differ in their seed only; two sweep values may resolve to the same design and stay apart. */
function designKey(point: PlannedPoint): string {
  return JSON.stringify([point.design, Object.entries(point.swept)]);
}

function newDesign(first: PlannedPoint, result: PointResult): Design {
  return { first, rows: [], text: result.text, distributions: null, latency: [] };
}

function label(point: PlannedPoint): string {
  const swept = Object.entries(point.swept).map(([path, value]) => `${path}=${value}`);
  return [`point ${point.id}`, ...swept, `seed ${point.seed}`].join(' ');
}

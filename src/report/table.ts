/**
 * What `run` prints when it is done: one row per design with its swept values and the headline metrics (mean ± half of the
 * 95 % interval), the text of its jobs, and what to read next. Fits 120 columns.
 */
import type { DesignSummary, SummaryValue } from './files.js';
import { formatHuman } from './number.js';

/** A metric worth a column in the terminal, by name of its definition, whichever components have it. */
export interface Headline {
  readonly metric: string;
  readonly label: string;
}

export const HEADLINES: readonly Headline[] = [
  { metric: 'audit.violations', label: 'violations' },
  { metric: 'run.operations_per_second', label: 'ops/s' },
  { metric: 'invalidate.latency.mean', label: 'invalidation' },
  { metric: 'submission.latency.mean', label: 'submission' },
  { metric: 'submission.retries', label: 'retries' },
  { metric: 'dma.read.bandwidth', label: 'read Gb/s' },
  { metric: 'dma.write.bandwidth', label: 'write Gb/s' },
  { metric: 'dma.read.latency.mean', label: 'read' },
  { metric: 'dma.write.latency.mean', label: 'write' },
  { metric: 'map.latency.mean', label: 'map' },
  { metric: 'unmap.latency.mean', label: 'unmap' },
  { metric: 'unmap.latency.p99', label: 'unmap p99' },
  { metric: 'iommu.iotlb.hit_rate', label: 'IOTLB hits' },
  { metric: 'flush_queue.lifetime.p99', label: 'exposure p99' },
  { metric: 'audit.stale_accesses', label: 'stale' },
];

export interface TableOptions {
  readonly headlines?: readonly Headline[];
  /** Columns of the terminal. */
  readonly width?: number;
  /** Rows and jobs' text at most; the rest is in the files. */
  readonly rows?: number;
}

interface TableColumn {
  readonly head: readonly string[];
  readonly cells: readonly string[];
  readonly left: boolean;
}

const GAP = '  ';
/** Jobs of more designs than this print to the file only. */
const MOST_TEXTS = 12;

/** The table as lines of text. */
export function formatTable(
  designs: readonly DesignSummary[],
  paths: readonly string[],
  options: TableOptions = {},
): string[] {
  const width = options.width ?? 120;
  const limit = options.rows ?? 40;
  const headlines = options.headlines ?? HEADLINES;
  const shown = designs.slice(0, limit);
  const swept = paths.map((path) => sweptColumn(shown, paths, path));
  const metrics = headlines.flatMap((headline) => metricColumns(shown, headline));
  const columns = [...swept];
  for (const column of metrics) if (widthOf([...columns, column]) <= width) columns.push(column);
  const lines = [...render(columns), ''];
  if (designs.length > shown.length) lines.push(`${designs.length - shown.length} more designs are in summary.csv`);
  const hidden = swept.length + metrics.length - columns.length;
  if (hidden > 0) lines.push(`${hidden} more headline metrics are in summary.csv`);
  const speaking = shown.filter((candidate) => candidate.text.length > 0);
  if (speaking.length > MOST_TEXTS) {
    lines.push(`what the jobs print is in output.txt, for ${speaking.length} designs`);
    speaking.length = 0;
  }
  for (const design of speaking) {
    const values = Object.entries(design.swept).map(([path, value]) => `${path}=${value}`);
    lines.push(`${values.join(' ') || design.design}:`, ...design.text.map((line) => `  ${line}`));
  }
  return lines.map((line) => line.trimEnd());
}

function sweptColumn(designs: readonly DesignSummary[], paths: readonly string[], path: string): TableColumn {
  return { head: ['', shortPath(path, paths)], cells: designs.map((design) => design.swept[path] ?? '-'), left: true };
}

/** Last parts of a path, as many as it takes to tell it from the others. */
export function shortPath(path: string, paths: readonly string[]): string {
  const parts = path.split('.');
  for (let count = 1; count < parts.length; count++) {
    const tail = parts.slice(-count).join('.');
    if (paths.every((other) => other === path || (other !== tail && !other.endsWith(`.${tail}`)))) return tail;
  }
  return path;
}

/** One column for each component that has the metric, other than zero, in any design. */
function metricColumns(designs: readonly DesignSummary[], headline: Headline): TableColumn[] {
  const byDesign = designs.map(
    (design) =>
      new Map(design.values.filter((v) => v.column.metric === headline.metric).map((v) => [v.column.component, v])),
  );
  const components = [...new Set(byDesign.flatMap((values) => [...values.keys()]))];
  return components
    .map((component) => {
      const values = byDesign.map((entry) => entry.get(component));
      const observed = values.some((value) => value !== undefined && Number.isFinite(value.mean) && value.mean !== 0);
      return { head: [component, headline.label], cells: values.map(cell), left: false, observed };
    })
    .filter((column) => column.observed);
}

function cell(value: SummaryValue | undefined): string {
  if (value === undefined) return '-';
  return formatHuman(value.mean, (value.high - value.low) / 2, value.column.unit);
}

function columnWidth(column: TableColumn): number {
  return Math.max(...column.head.map((text) => text.length), ...column.cells.map((text) => text.length));
}

function widthOf(columns: readonly TableColumn[]): number {
  return columns.reduce((sum, column) => sum + columnWidth(column), GAP.length * (columns.length - 1));
}

function render(columns: readonly TableColumn[]): string[] {
  const line = (texts: readonly string[]): string =>
    columns
      .map((column, i) =>
        column.left ? texts[i]!.padEnd(columnWidth(column)) : texts[i]!.padStart(columnWidth(column)),
      )
      .join(GAP);
  const count = columns[0]?.cells.length ?? 0;
  return [
    line(columns.map((column) => column.head[0]!)),
    line(columns.map((column) => column.head[1]!)),
    line(columns.map((column) => '-'.repeat(columnWidth(column)))),
    ...Array.from({ length: count }, (_, row) => line(columns.map((column) => column.cells[row]!))),
  ];
}

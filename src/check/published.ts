/**
 * Published measurements as the project ships them: tidy CSV, one point a line. Columns: row (identifier of the published series),
 * use (CAL: calibrate and score; PARAM: may be an input; CTX: context, never fitted or scored), host (machine preset), test,
 * host_cache, iommu (off, 4KiB, 2MiB leaves), window, unit, value, file (in the source's repository).
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';

export const PCIE_BENCH_SOURCE =
  'pcie-bench/data, github.com/pcie-bench/data @ b2abf2f (raw data of Neugebauer et al., SIGCOMM 2018), Apache-2.0';

export type Use = 'CAL' | 'PARAM' | 'CTX';
export type IommuMode = 'off' | '4KiB' | '2MiB';

export interface PublishedPoint {
  readonly window: string;
  readonly value: number;
}

export interface PublishedSeries {
  readonly row: string;
  readonly use: Use;
  readonly host: string;
  readonly test: string;
  readonly hostCache: string;
  readonly iommu: IommuMode;
  readonly unit: string;
  readonly points: readonly PublishedPoint[];
}

/** Path of a shipped file of published rows. */
export function shippedRows(name: string): string {
  return fileURLToPath(new URL(`../../workloads/validation/published/${name}`, import.meta.url));
}

/** All series of the shipped pcie-bench file, in file order. */
export function publishedPcieBench(file: string = shippedRows('pcie-bench.csv')): PublishedSeries[] {
  const records = parse(readFileSync(file, 'utf8'), { columns: true }) as Record<string, string>[];
  const series = new Map<string, PublishedSeries & { points: PublishedPoint[] }>();
  for (const r of records) {
    const key = `${r['row']}|${r['host']}`;
    let s = series.get(key);
    if (s === undefined) {
      s = {
        row: r['row']!,
        use: r['use'] as Use,
        host: r['host']!,
        test: r['test']!,
        hostCache: r['host_cache']!,
        iommu: r['iommu'] as IommuMode,
        unit: r['unit']!,
        points: [],
      };
      series.set(key, s);
    }
    s.points.push({ window: r['window']!, value: Number(r['value']) });
  }
  return [...series.values()];
}

/** KiB of a window as the file writes it (`256KiB`). */
export function windowKiB(window: string): number {
  return Number(window.slice(0, -3));
}

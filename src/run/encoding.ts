/**
 * Point files: one JSON document per finished point, with a header that says what the result belongs to and a SHA-256 of the
 * result text, so that a file of another version, another point or a damaged disk is recognised and recomputed.
 */
import { createHash } from 'node:crypto';
import type { MetricValue } from '../stats/registry.js';
import type { HistogramResult, PointOptions, PointResult } from './result.js';

/** Version of the layout of point files and of every CSV file. */
export const SCHEMA_VERSION = 1;

/** What a stored result must match to be used again. */
export interface PointKey extends PointOptions {
  readonly id: string;
  /** Fingerprint of the simulation code. */
  readonly code: string;
}

interface StoredResult extends Omit<PointResult, 'histograms' | 'metrics' | 'warmup'> {
  readonly metrics: readonly StoredValue[];
  readonly warmup: readonly StoredValue[];
  readonly histograms: readonly (Omit<HistogramResult, 'buckets'> & { readonly buckets: readonly number[] })[];
}

type StoredValue = Omit<MetricValue, 'value'> & { readonly value: number | null };

const RESULT_MARK = ',"result":';

/** JSON text of a result. Numbers keep every bit; values that are not finite become null and read back as NaN. */
export function encodeResult(result: PointResult): string {
  return JSON.stringify({
    ...result,
    histograms: result.histograms.map((histogram) => ({ ...histogram, buckets: Array.from(histogram.buckets) })),
  });
}

function decodeValues(values: readonly StoredValue[]): MetricValue[] {
  return values.map((stored) => ({ ...stored, value: stored.value ?? Number.NaN }));
}

/** Inverse of `encodeResult`. */
export function decodeResult(text: string): PointResult {
  const stored = JSON.parse(text) as StoredResult;
  return {
    ...stored,
    metrics: decodeValues(stored.metrics),
    warmup: decodeValues(stored.warmup),
    histograms: stored.histograms.map((h) => ({ ...h, buckets: Float64Array.from(h.buckets) })),
  };
}

/** Text of a point file around an encoded result. */
export function encodePointFile(key: PointKey, resultText: string): string {
  const header = JSON.stringify({
    schema: SCHEMA_VERSION,
    code: key.code,
    id: key.id,
    everyEvent: key.everyEvent,
    audit: key.audit,
    sha256: sha256(resultText),
  });
  return `${header.slice(0, -1)}${RESULT_MARK}${resultText}}\n`;
}

/** Text of the result in a point file, or null when the file is damaged or belongs to something else. */
export function decodePointFile(key: PointKey, text: string): string | null {
  const mark = text.indexOf(RESULT_MARK);
  if (mark < 0 || !text.endsWith('}\n')) return null;
  const resultText = text.slice(mark + RESULT_MARK.length, -2);
  return encodePointFile(key, resultText) === text ? resultText : null;
}

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

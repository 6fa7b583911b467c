import { describe, expect, it } from 'vitest';
import type { DesignSummary } from './files.js';
import { formatTable, shortPath } from './table.js';

const PATHS = ['os.dma.mode', 'devices.nic.size'];

function design(mode: string, rate: number, extra: Partial<DesignSummary> = {}): DesignSummary {
  const value = (component: string, metric: string, unit: string, mean: number, half: number) => ({
    column: { name: `${component}.${metric}`, component, metric, unit },
    ...{ mean, low: mean - half, high: mean + half, n: 5 },
  });
  return {
    design: mode,
    swept: { 'os.dma.mode': mode, 'devices.nic.size': '64B' },
    values: [
      value('nic', 'operations_per_second', 'op/s', rate, rate / 100),
      value('nic', 'latency.p99', 'ns', 1234, 12),
      value('vtd', 'hit_rate', 'ratio', 0.5, 0),
    ],
    text: [],
    ...extra,
  };
}

const headlines = [
  { metric: 'operations_per_second', label: 'ops/s' },
  { metric: 'latency.p99', label: 'p99 latency' },
  { metric: 'hit_rate', label: 'IOTLB hits' },
  { metric: 'absent', label: 'absent' },
];

describe('the table', () => {
  it('has a row for each design with aligned columns', () => {
    const lines = formatTable([design('strict', 1.5e6), design('lazy', 12e6)], PATHS, { headlines });
    expect(lines).toEqual([
      '                         nic              nic         vtd',
      'mode    size           ops/s      p99 latency  IOTLB hits',
      '------  ----  --------------  ---------------  ----------',
      'strict  64B   1.500 ±0.015 M  1.234 ±0.012 us     50.00 %',
      'lazy    64B    12.00 ±0.12 M  1.234 ±0.012 us     50.00 %',
      '',
    ]);
  });

  it('drops metrics that do not fit and says so', () => {
    const lines = formatTable([design('strict', 1.5e6)], PATHS, { headlines, width: 50 });
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(50);
    expect(lines.at(-1)).toBe('1 more headline metrics are in summary.csv');
    expect(lines.join()).not.toContain('IOTLB hits');
  });

  it('shows so many designs and counts the rest', () => {
    const lines = formatTable([design('a', 1), design('b', 2), design('c', 3)], PATHS, { headlines, rows: 2 });
    expect(lines.join('\n')).toContain('1 more designs are in summary.csv');
    expect(lines).toHaveLength(3 + 2 + 1 + 1);
  });

  it('prints the text of the jobs under the values of their design', () => {
    const lines = formatTable([design('strict', 1, { text: ['average map latency(us):1.1'] })], PATHS, { headlines });
    expect(lines.slice(-2)).toEqual(['os.dma.mode=strict devices.nic.size=64B:', '  average map latency(us):1.1']);
  });

  it('names the file instead of the texts of many designs', () => {
    const many = (count: number): string[] =>
      formatTable(
        Array.from({ length: count }, (_, i) => design(`d${i}`, 1, { text: ['said'] })),
        PATHS,
        { headlines },
      );
    expect(many(12).filter((line) => line.includes('said'))).toHaveLength(12);
    expect(many(13).filter((line) => line.includes('said'))).toHaveLength(0);
    expect(many(13).at(-1)).toBe('what the jobs print is in output.txt, for 13 designs');
  });

  it('shows a dash where a design lacks a metric or a value', () => {
    const lines = formatTable([design('strict', 1), { ...design('lazy', 1), values: [] }], PATHS, { headlines });
    expect(lines[4]).toMatch(/^lazy +64B +- +- +-$/);
  });
});

it('shortPath keeps as many parts as it takes', () => {
  expect(shortPath('os.dma.mode', PATHS)).toBe('mode');
  const twins = ['devices.a.size', 'devices.b.size', 'size'];
  expect(shortPath('devices.a.size', twins)).toBe('a.size');
  expect(shortPath('size', twins)).toBe('size');
});

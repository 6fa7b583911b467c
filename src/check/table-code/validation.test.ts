import { describe, expect, test } from 'vitest';
import type { TableTerms } from '../../os/table-costs.js';
import { countedWork } from './experiment.js';
import { formatTableCodeSummary } from './listing.js';
import { type CodeSeries, pagesLabel, publishedTableCode } from './published.js';
import { codeShare, shippedTableCosts, validateTableCode } from './validation.js';

const published = publishedTableCode();
const costs = shippedTableCosts();
const series = (row: string, code: string): CodeSeries => published.find((s) => s.row === row && s.code === code)!;

describe('published page-table code', () => {
  test('has both generations of three scored formats, with sources', () => {
    const scored = published.filter(({ use }) => use === 'CAL');
    expect(scored.map(({ row, code }) => `${row} ${code}`)).toHaveLength(12);
    expect(new Set(scored.map(({ format }) => format))).toEqual(new Set(['amdv1', 'vtdss', 'armv8']));
    for (const { source, unit, points } of published) {
      expect(source).toMatch(/J\. Gunthorpe/);
      expect(unit).toBe('ns');
      for (const { value, pageLg2 } of points) {
        expect(value).toBeGreaterThan(0);
        expect(Number.isInteger(pageLg2)).toBe(true);
      }
    }
  });
});

describe('the counted call', () => {
  test.each([
    ['4KiB', { leaves: 1, contiguous: 0, levels: 3, levelsPerLeaf: 3 }],
    ['8KiB', { leaves: 1, contiguous: 2, levels: 3, levelsPerLeaf: 3 }],
    ['1MiB', { leaves: 1, contiguous: 256, levels: 3, levelsPerLeaf: 3 }],
    ['2MiB', { leaves: 1, contiguous: 0, levels: 2, levelsPerLeaf: 2 }],
    ['256x4KiB', { leaves: 256, contiguous: 0, levels: 3, levelsPerLeaf: 768 }],
    ['256x2MiB', { leaves: 256, contiguous: 0, levels: 2, levelsPerLeaf: 512 }],
    ['256x1GiB', { leaves: 256, contiguous: 0, levels: 1, levelsPerLeaf: 256 }],
  ])('of %s on AMD-Vi is what the table reports, and touches no table page', (label, counts) => {
    for (const row of ['IPT-AMDV1-MAP', 'IPT-AMDV1-UNMAP']) {
      const s = series(row, 'legacy');
      const point = s.points.find((p) => pagesLabel(p) === label)!;
      expect(countedWork(s, point)).toMatchObject({ ...counts, tablesAllocated: 0, tablesFreed: 0 });
    }
  });
});

describe('validation of page-table code', () => {
  test('meets every scored point within 10 %', () => {
    const results = validateTableCode(published, costs);
    expect(codeShare(results)).toEqual({ ok: 88, total: 88 });
    expect(formatTableCodeSummary(results)).toBe(
      'page-table code, points within 10 %: 88 of 88\naccepted: all points are needed\n',
    );
  });

  /** Errors of one series with terms changed. */
  function errors(row: string, code: 'generic' | 'legacy', terms: Partial<TableTerms>): number[] {
    const s = series(row, code);
    const profile = costs.amdv1[code];
    const change = { ...profile, [s.operation]: { ...profile[s.operation], ...terms } };
    const [result] = validateTableCode([s], { ...costs, amdv1: { ...costs.amdv1, [code]: change } });
    return result!.points.map(({ error }) => Math.abs(error));
  }

  test('without a term per entry, pages of several entries are missed by up to 85 %', () => {
    expect(Math.max(...errors('IPT-AMDV1-MAP', 'generic', { slot: 0 }))).toBeGreaterThan(0.85);
    expect(Math.max(...errors('IPT-AMDV1-MAP', 'legacy', { slot: 0 }))).toBeGreaterThan(0.85);
  });

  test('without a term per level, the old code is missed at some level whatever a leaf costs', () => {
    for (let leaf = 4000; leaf <= 9000; leaf += 100) {
      expect(Math.max(...errors('IPT-AMDV1-MAP', 'legacy', { level: 0, leaf }).slice(-3))).toBeGreaterThan(0.1);
    }
  });

  test('prints rows that values were derived from without scoring them', () => {
    const results = validateTableCode(published, costs).filter(({ series: { use } }) => use === 'PARAM');
    expect(results.map(({ series: { format } }) => format)).toEqual(['x86_64', 'x86_64', 'x86_64', 'x86_64']);
    expect(codeShare(results)).toEqual({ ok: 0, total: 0 });
  });

  test('a miss is named and refuses acceptance', () => {
    const slow = { ...costs.vtdss.legacy, map: { ...costs.vtdss.legacy.map, leaf: 4000 } };
    const results = validateTableCode([series('IPT-VTDSS-MAP', 'legacy')], {
      ...costs,
      vtdss: { ...costs.vtdss, legacy: slow },
    });
    expect(formatTableCodeSummary(results)).toContain('miss: IPT-VTDSS-MAP legacy 256x4KiB:');
    expect(formatTableCodeSummary(results)).toContain('not accepted');
  });
});

/** VT-d units with nested translation in whole machines, audited: streams and map benchmarks in every mode of the DMA API. */
import { describe, expect, it } from 'vitest';
import { pointOf, run, total, TWO_UNITS, value } from './testing/point.js';

const UNITS = ['iommu0', 'iommu1'];
const set = (key: string, setting: string | number): string[] =>
  UNITS.map((name) => `machine.iommus.${name}.${key}=${setting}`);

const CONFIGURATIONS: readonly (readonly [name: string, settings: readonly string[]])[] = [
  ['vtd-spr-nested', set('preset', 'vtd-spr-nested')],
  ['vtd-spr, set to nested', [...set('preset', 'vtd-spr'), ...set('stage', 'nested'), ...set('secondLevels', 4)]],
  ['five over five levels', [...set('preset', 'vtd-spr-nested'), ...set('levels', 5), ...set('secondLevels', 5)]],
];

describe.each(CONFIGURATIONS)('%s', (_name, settings) => {
  it.each(['strict', 'lazy', 'passthrough'])('%s mode: the audit finds nothing', (mode) => {
    const result = run(pointOf(TWO_UNITS, [...settings, `os.dma.mode=${mode}`]), true);
    expect(result.audit!.violations).toEqual([]);
    expect(result.windows.stoppedBy).toBe('operations');
    expect([total(result, 'dma.aborted'), total(result, 'iommu.faults')]).toEqual([0, 0]);
    if (mode !== 'passthrough') expect(total(result, 'iommu.walks')).toBeGreaterThan(50);
  });

  it('strict: late accesses end in faults, never in memory', () => {
    // Some fall between unmap and the next map at the same address; the others find the buffer mapped, and touch it with right.
    const late = ['workload.rx.lateAccess=100%', 'workload.rx.lateAfter=2us', 'workload.rx.depth=1'];
    const result = run(pointOf(TWO_UNITS, [...settings, ...late, 'warmup.operations=0']), true);
    expect(result.audit!.violations).toEqual([]);
    expect(value(result, 'nic', 'dma.aborted')).toBeGreaterThan(10);
    expect(value(result, 'audit', 'audit.stale_accesses')).toBe(0);
  });
});

it('a second-stage TLB saves reads of the tables that hold the tables', () => {
  const reads = (preset: string): number => {
    const settings = [...set('preset', preset), ...set('stage', 'nested'), ...set('secondLevels', 4)];
    const result = run(pointOf(TWO_UNITS, settings), true);
    return value(result, 'iommu0', 'iommu.reads_per_walk');
  };
  expect(reads('vtd-spr-nested')).toBeLessThan(reads('vtd-spr'));
});

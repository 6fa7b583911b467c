/** Whole machines with SMMUv3 units: DMA API and devices together, watched by the audit. */
import { describe, expect, it } from 'vitest';
import type { PointResult } from './result.js';
import { pointOf, run, TWO_UNITS, total } from './testing/point.js';

const PRESETS = ['mmu-600', 'mmu-700', 'kunpeng-920', 'grace', 'gem5-smmuv3'];
const MODES = ['strict', 'lazy'];

function units(preset: string, settings: Readonly<Record<string, string | number>> = {}): string[] {
  const all = { preset, ...settings };
  return ['iommu0', 'iommu1'].flatMap((name) =>
    Object.entries(all).map(([key, value]) => `machine.iommus.${name}.${key}=${value}`),
  );
}

function audited(mode: string, sets: readonly string[]): PointResult {
  const result = run(pointOf(TWO_UNITS, [...sets, `os.dma.mode=${mode}`]), true);
  expect(result.audit).not.toBeNull();
  expect(result.audit!.violations).toEqual([]);
  expect(total(result, 'iommu.faults')).toBe(0);
  expect(total(result, 'iommu.walks')).toBeGreaterThan(0);
  return result;
}

const CONFIGURATIONS: readonly (readonly [string, readonly string[]])[] = [
  ['stage 2', units('mmu-600', { stage: 'second', levels: 3, deviceLevels: 1 })],
  ['stage 2 with ranges', units('mmu-700', { stage: 'second', levels: 4 })],
  ['nested', units('mmu-600', { stage: 'nested', secondLevels: 3 })],
  ['nested, 64 KiB', units('grace', { stage: 'nested', secondLevels: 3, processLevels: 1 })],
  ['16 KiB', units('mmu-700', { granule: '16KiB', levels: 4, largestPage: '32MiB', processLevels: 1 })],
];

describe('machines with SMMUv3 units', () => {
  it.each(PRESETS.flatMap((preset) => MODES.map((mode) => [preset, mode] as const)))('%s, %s', (preset, mode) => {
    audited(mode, units(preset));
  });

  it.each(CONFIGURATIONS.flatMap(([name, sets]) => MODES.map((mode) => [name, mode, sets] as const)))(
    '%s, %s',
    (_, mode, sets) => {
      audited(mode, sets);
    },
  );
});

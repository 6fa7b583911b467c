/** Whole machines with AMD-Vi units: DMA API and devices together, watched by the audit. */
import { describe, expect, it } from 'vitest';
import { runPoint } from './point.js';
import type { PointResult } from './result.js';
import { ONE_DEVICE, pointOf, run, TWO_UNITS, total, value } from './testing/point.js';

const PRESETS = ['amdvi-naples', 'amdvi-rome', 'amdvi-milan', 'amdvi-genoa'];
const MODES = ['strict', 'lazy'];

function units(preset: string, settings: Readonly<Record<string, string | number>> = {}): string[] {
  const all = { preset, ...settings };
  return ['iommu0', 'iommu1'].flatMap((name) =>
    Object.entries(all).map(([key, setting]) => `machine.iommus.${name}.${key}=${setting}`),
  );
}

function audited(mode: string, sets: readonly string[]): PointResult {
  const result = run(pointOf(TWO_UNITS, [...sets, `os.dma.mode=${mode}`]), true);
  expect(result.audit!.violations).toEqual([]);
  expect(value(result, 'audit', 'audit.translations')).toBeGreaterThan(1000);
  expect([total(result, 'iommu.faults'), total(result, 'dma.faults')]).toEqual([0, 0]);
  expect(total(result, 'iommu.walks')).toBeGreaterThan(0);
  return result;
}

const CONFIGURATIONS: readonly (readonly [string, readonly string[]])[] = [
  ['host tables of six levels', units('amdvi-genoa', { levels: 6 })],
  ['guest tables', units('amdvi-naples', { stage: 'first', levels: 4, processLevels: 1 })],
  ['guest tables of five levels', units('amdvi-genoa', { stage: 'first', levels: 5, processLevels: 3 })],
  ['nested', units('amdvi-genoa', { stage: 'nested', levels: 4, secondLevels: 4 })],
  ['nested over six levels', units('amdvi-milan', { stage: 'nested', levels: 4, secondLevels: 6 })],
];

describe('machines with AMD-Vi units', () => {
  it.each(PRESETS.flatMap((preset) => MODES.map((mode) => [preset, mode] as const)))('%s, %s', (preset, mode) => {
    audited(mode, units(preset));
  });

  it.each(CONFIGURATIONS.flatMap(([name, sets]) => MODES.map((mode) => [name, mode, sets] as const)))(
    '%s, %s',
    (_, mode, sets) => {
      audited(mode, sets);
    },
  );

  it.each(CONFIGURATIONS)('%s, passed through', (_, sets) => {
    const result = run(pointOf(TWO_UNITS, [...sets, 'os.dma.mode=passthrough']), true);
    expect(result.audit!.violations).toEqual([]);
    expect(total(result, 'dma.faults')).toBe(0);
  });

  it('strict: two commands and two register writes an unmap, completed at a microsecond', () => {
    const result = audited('strict', units('amdvi-rome'));
    const flushes = total(result, 'invalidation.flushes');
    expect(total(result, 'invalidation.descriptors') / flushes).toBeCloseTo(2, 2);
    // 0.7 us of hardware: the first look after udelay(1) finds it done.
    expect(value(result, 'loop', 'unmap.time.completion')).toBe(1000);
  });

  it('a device with PASID', () => {
    const sets = units('amdvi-rome', { stage: 'first', levels: 4 }).filter((set) => set.includes('iommu0'));
    const result = run(pointOf(ONE_DEVICE, [...sets, 'workload.dma.pasid=4660']), true);
    expect(result.audit!.violations).toEqual([]);
    expect(value(result, 'audit', 'audit.translations')).toBeGreaterThan(100);
    expect(total(result, 'iommu.faults')).toBe(0);
  });

  it('event elision changes nothing', () => {
    const spec = pointOf(TWO_UNITS, [...units('amdvi-genoa'), 'os.dma.mode=strict']);
    const [plain, elided] = [true, false].map((everyEvent) => runPoint(spec, { everyEvent, audit: false }));
    expect(plain!.metrics).toEqual(elided!.metrics);
  });
});

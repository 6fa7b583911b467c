/** Virtual machines on whole machines, audited: every way there is to give a guest an IOMMU. */
import { describe, expect, it } from 'vitest';
import { runPoint } from './point.js';
import { pointOf, run, shipped, total, TWO_UNITS, value } from './testing/point.js';

const UNITS = ['iommu0', 'iommu1'];
const set = (key: string, setting: string | number): string[] =>
  UNITS.map((name) => `machine.iommus.${name}.${key}=${setting}`);

const SHORT = ['stop.operations=600'];

const AMD_NESTED = [
  ...set('preset', 'amdvi-genoa'),
  ...set('stage', 'nested'),
  ...set('levels', 4),
  ...set('secondLevels', 4),
];

const GUESTS: readonly (readonly [name: string, settings: readonly string[]])[] = [
  ['VT-d, caching mode', ['os.guest.mode=caching']],
  ['VT-d, caching mode with large leaves', ['os.guest.mode=caching', 'workload.loop.granule=1024']],
  ['VT-d, nested and trapped', [...set('preset', 'vtd-spr-nested'), 'os.guest.mode=nested-trapped']],
  ['AMD-Vi, NpCache', [...set('preset', 'amdvi-genoa'), 'os.guest.mode=caching']],
  ['AMD-Vi, nested and trapped', [...AMD_NESTED, 'os.guest.mode=nested-trapped', 'os.guest.stage2Change=50us']],
  ['AMD-Vi, hardware queue', [...AMD_NESTED, 'os.guest.mode=nested-queue']],
  [
    'SMMUv3, nested and trapped',
    [...set('preset', 'grace-nested'), 'os.guest.mode=nested-trapped', 'os.guest.batch=64'],
  ],
  ['SMMUv3, hardware queue', [...set('preset', 'grace-nested'), 'os.guest.mode=nested-queue']],
];

describe.each(GUESTS)('%s', (_name, settings) => {
  it.each(['strict', 'lazy', 'passthrough'])('%s mode: the audit finds nothing', (mode) => {
    const result = run(pointOf(TWO_UNITS, [...settings, ...SHORT, `os.dma.mode=${mode}`]), true);
    expect(result.audit!.violations).toEqual([]);
    expect(result.windows.stoppedBy).toBe('operations');
    expect([total(result, 'dma.aborted'), total(result, 'iommu.faults')]).toEqual([0, 0]);
  });

  it('strict: late accesses reach nothing that was unmapped', () => {
    const late = ['workload.rx.lateAccess=100%', 'workload.rx.lateAfter=20us'];
    const result = run(pointOf(TWO_UNITS, [...settings, ...SHORT, ...late, 'warmup.operations=0']), true);
    expect(result.audit!.violations).toEqual([]);
    expect(value(result, 'rx', 'dma.late')).toBeGreaterThan(15);
    expect(value(result, 'audit', 'audit.stale_accesses')).toBe(0);
  });

  it('gives the same results with every event scheduled', () => {
    const spec = pointOf(TWO_UNITS, [...settings, ...SHORT]);
    const { metrics, histograms } = run(spec);
    const every = runPoint(spec, { everyEvent: true, audit: false });
    const comparable = (all: typeof metrics): typeof metrics => all.filter(({ metric }) => metric !== 'run.events');
    expect(comparable(every.metrics)).toEqual(comparable(metrics));
    expect(every.histograms).toEqual(histograms);
  });
});

describe('changes of the second stage', () => {
  it('cost the guest its translations, and hold nobody up in the guest', () => {
    const at = (interval: string): ReturnType<typeof run> =>
      run(
        pointOf(TWO_UNITS, [
          ...set('preset', 'vtd-spr-nested'),
          'os.guest.mode=nested-trapped',
          `os.guest.stage2Change=${interval}`,
        ]),
        true,
      );
    const [never, often] = [at('0ns'), at('20us')];
    expect(often.audit!.violations).toEqual([]);
    expect(total(often, 'iommu.walks')).toBeGreaterThan(1.02 * total(never, 'iommu.walks'));
    const flushes = often.histograms.find(({ metric }) => metric === 'guest.stage2.flush')!;
    expect(flushes.count).toBeGreaterThan(10);
    expect(flushes.count).toBeLessThanOrEqual(Math.ceil(often.windows.measuredPs / 20e6));
  });
});

describe('the shipped comparison of guests', () => {
  const points = shipped('guest.yaml', ['stop.operations=400', 'warmup.operations=100']);
  const rate = (preset: string, mode: string, threads: number): number => {
    const spec = points.find(
      (point) =>
        point.os.guest.mode === mode &&
        point.workload['receive']?.kind === 'stream' &&
        point.workload['receive'].threads === threads &&
        isPreset(point.machine.iommus['iommu0']!, preset),
    )!;
    return value(run(spec), 'receive', 'operation.rate');
  };
  const isPreset = (unit: { architecture: string; stage: string }, preset: string): boolean =>
    preset === unit.architecture || preset === `${unit.architecture} ${unit.stage}`;

  it('is ordered: bare metal, hardware queue, trapped queue, shadow tables', () => {
    for (const threads of [1, 8]) {
      const rates = [
        rate('vtd first', 'none', threads),
        rate('smmuv3 nested', 'nested-queue', threads),
        rate('vtd nested', 'nested-trapped', threads),
        rate('vtd second', 'caching', threads),
      ];
      expect(rates).toEqual(rates.toSorted((a, b) => b - a));
      expect(rates[0]! / rates[3]!).toBeGreaterThan(10);
      expect(rate('smmuv3 nested', 'nested-queue', threads)).toBeGreaterThan(
        4 * rate('smmuv3 nested', 'nested-trapped', threads),
      );
    }
  });
});

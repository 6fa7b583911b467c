import { describe, expect, it } from 'vitest';
import { ForgetfulVtdDriver } from '../os/testing/broken-driver.js';
import { Machine, type MachineOptions } from '../system/machine.js';
import { pointOf, run, shipped, total, TWO_UNITS, value } from './testing/point.js';

describe('audit of whole machines', () => {
  const SHORT = ['stop.operations=400', 'warmup.operations=50'];

  it.each(['quickstart.yaml', 'two-units.yaml', 'iotlb-reach.yaml', 'walkers.yaml', 'map-benchmark.yaml'])(
    'finds nothing in %s',
    (file) => {
      for (const spec of shipped(file, SHORT)) {
        const result = run(spec, true);
        expect(result.audit!.violations).toEqual([]);
        expect(result.windows.stoppedBy).toBe('operations');
        expect(total(result, 'dma.aborted')).toBe(0);
      }
    },
  );

  it.each([
    ['legacy', 'second'],
    ['scalable', 'second'],
    ['scalable', 'first'],
  ])('catches a driver that forgets to invalidate (%s mode, %s stage)', (mode, stage) => {
    const unit = 'machine.iommus.iommu0';
    const sets = [
      `${unit}.mode=${mode}`,
      `${unit}.stage=${stage}`,
      'workload.rx.lateAccess=100%',
      'workload.rx.lateAfter=1us',
    ];
    const options = { everyEvent: false, audit: true };
    const violations = (machine: Machine): number => {
      machine.start();
      machine.meter.start(3000);
      while (machine.meter.open) machine.dispatcher.batch(1000);
      return machine.audit!.violationCount;
    };
    const spec = pointOf(TWO_UNITS, sets);
    const makeDriver: MachineOptions['makeDriver'] = (_, e) => new ForgetfulVtdDriver(e);
    expect(violations(new Machine(spec, { ...options, makeDriver }))).toBeGreaterThan(0);
    expect(violations(new Machine(spec, options))).toBe(0);
  });

  it('strict: late accesses end in faults, never in memory', () => {
    const sets = [
      'workload.rx.lateAccess=100%',
      'workload.rx.lateAfter=1300ns',
      'workload.rx.depth=1',
      'warmup.operations=0',
    ];
    const result = run(pointOf(TWO_UNITS, sets), true);
    expect(result.audit!.violations).toEqual([]);
    expect(value(result, 'nic', 'dma.aborted')).toBeGreaterThan(50);
    expect(value(result, 'iommu0', 'iommu.faults')).toBeGreaterThanOrEqual(value(result, 'nic', 'dma.aborted'));
    expect(value(result, 'audit', 'audit.stale_accesses')).toBe(0);
    expect(value(result, 'drive', 'dma.aborted')).toBe(0);
  });

  it('lazy: late accesses reach memory until the flush, and are counted', () => {
    const sets = [
      'os.dma.mode=lazy',
      'workload.rx.lateAccess=100%',
      'workload.rx.lateAfter=3us',
      'warmup.operations=0',
    ];
    const result = run(pointOf(TWO_UNITS, [...sets, 'os.dma.flushQueue.entries=64']), true);
    expect(result.audit!.violations).toEqual([]);
    const stale = value(result, 'audit', 'audit.stale_accesses');
    expect(stale).toBeGreaterThan(1000);
    expect(value(result, 'audit', 'audit.stale_bytes')).toBe(stale * 256);
    const exposure = result.histograms.find((h) => h.metric === 'audit.exposure')!;
    expect(exposure.count).toBeGreaterThan(100);
    expect(exposure.max).toBeGreaterThan(1_000_000);
  });
});

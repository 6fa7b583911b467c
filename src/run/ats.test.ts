/** ATS in the whole machine: hits, misses, the order of costs, and that nothing depends on how events are elided. */
import { describe, expect, it } from 'vitest';
import { AtsForgetfulVtdDriver } from '../os/testing/broken-driver.js';
import { femtosecondsPerByte } from '../pcie/link.js';
import { CAUSES } from '../protocol/tlp.js';
import { Machine, type MachineOptions } from '../system/machine.js';
import type { DmaJobSpec, PointSpec } from '../workload/spec.js';
import type { PointResult } from './result.js';
import { ONE_DEVICE, pointOf, run, shipped, total, TWO_UNITS, value } from './testing/point.js';

const ON = ['devices.dev.ats.enabled=true'];
const UNIT = 'machine.iommus.iommu0';

function histogram(result: PointResult, metric: string): PointResult['histograms'][number] {
  return result.histograms.find((h) => h.component === 'dev' && h.metric === metric)!;
}

const mean = ({ sum, count }: PointResult['histograms'][number]): number => sum / count / 1000;

const serialise = ({ link }: PointSpec['devices'][string], bytes: number): number =>
  Math.round((bytes * femtosecondsPerByte(link)) / 1000);

describe('a device with ATS', () => {
  it('pays the directory check of a translated request for a hit, and nothing else', () => {
    const spec = pointOf(ONE_DEVICE, [...ON, 'devices.dev.ats.latency=3ns', `${UNIT}.iotlb.latency=40ns`]);
    const result = run(spec);
    const device = spec.devices['dev']!;
    const unit = spec.machine.iommus['iommu0']!;
    const { link, engine, ats } = device;
    const up = serialise(device, link.requestOverhead) + link.latency;
    const down = serialise(device, link.completionOverhead + 64) + link.latency;
    const { llc } = spec.machine.sockets['s0']!;
    const hit = engine.readOverhead + ats.latency + up + unit.contextCache.latency + llc.latency + down;
    const { min, max } = histogram(result, 'dma.read.latency');
    expect([min, max]).toEqual([hit, hit]);
    expect(value(result, 'dev', 'device_tlb.hit_rate')).toBe(1);
    expect(value(result, 'dev', 'dma.time.device_tlb')).toBe(3);
    expect(value(result, 'dev', 'dma.time.lookup')).toBe(unit.contextCache.latency / 1000);
    expect(value(result, 'iommu0', 'iommu.iotlb.lookups')).toBe(0);
  });

  it('pays one request for translation for a miss', () => {
    const misses = [`${UNIT}.iotlb.latency=7ns`, 'devices.dev.ats.entries=1', 'devices.dev.ats.ways=1'];
    const spec = pointOf(ONE_DEVICE, [
      ...ON,
      ...misses,
      'workload.dma.window=8KiB',
      'workload.dma.pattern=sequential',
      'workload.dma.size=4KiB',
      'devices.dev.link.maxReadRequest=4KiB',
      'devices.dev.engine.readOverhead=0ns',
    ]);
    const result = run(spec);
    const device = spec.devices['dev']!;
    const { link } = device;
    const asks = serialise(device, link.requestOverhead) + link.latency;
    const answer = serialise(device, link.completionOverhead + 8) + link.latency;
    const wait = (asks + 7000 + answer) / 1000;
    expect(value(result, 'dev', 'device_tlb.hits')).toBe(0);
    expect(value(result, 'dev', 'dma.time.translation_request')).toBeCloseTo(wait, 9);
    expect(mean(histogram(result, 'ats.request.latency'))).toBeCloseTo(wait, 9);
    expect(value(result, 'dev', 'ats.request.time.link_up')).toBeCloseTo(asks / 1000, 9);
    expect(value(result, 'dev', 'ats.request.time.lookup')).toBe(7);
    expect(value(result, 'dev', 'ats.request.time.link_down')).toBeCloseTo(answer / 1000, 9);
    const parts = CAUSES.reduce((sum, cause) => sum + value(result, 'dev', `dma.time.${cause}`), 0);
    expect(parts).toBeCloseTo(mean(histogram(result, 'dma.read.latency')), 6);
  });

  it('goes on without where it is refused', () => {
    const result = run(pointOf(ONE_DEVICE, [...ON, 'os.dma.mode=passthrough']), true);
    expect(value(result, 'dev', 'dma.aborted')).toBe(0);
    expect(value(result, 'dev', 'device_tlb.lookups')).toBe(0);
    expect(value(result, 'dev', 'ats.untranslated')).toBe(200);
    expect(value(result, 'iommu0', 'iommu.requests')).toBe(200);
  });

  it('asks once for a page that several DMAs miss, and ahead of time if told to', () => {
    const job = ['workload.dma.window=1MiB', 'workload.dma.pattern=sequential', 'workload.dma.outstanding=24'];
    const four = run(pointOf(ONE_DEVICE, [...ON, ...job]), true);
    expect(value(four, 'dev', 'ats.requests')).toBeLessThanOrEqual(4);
    expect(value(four, 'dev', 'ats.merged')).toBeGreaterThan(0);
    const ahead = run(pointOf(ONE_DEVICE, [...ON, ...job, 'devices.dev.ats.ahead=4', 'workload.dma.size=512B']), true);
    const alone = run(pointOf(ONE_DEVICE, [...ON, ...job, 'workload.dma.size=512B']), true);
    expect(value(ahead, 'dev', 'ats.prefetches')).toBeGreaterThan(value(ahead, 'dev', 'ats.requests') / 2);
    expect(value(ahead, 'dev', 'device_tlb.hit_rate')).toBeGreaterThan(value(alone, 'dev', 'device_tlb.hit_rate'));
    expect(four.audit!.violations).toEqual([]);
  });

  const LOADS: [string, string[]][] = [
    ['reads', ['workload.dma.reads=100%']],
    ['writes', ['workload.dma.reads=0%', 'workload.dma.size=1KiB']],
    ['both, few requests', ['workload.dma.reads=50%', 'devices.dev.ats.outstanding=2', 'devices.dev.ats.queue=4']],
    ['parts of superpages', ['devices.dev.ats.largestPage=64KiB', 'os.superpages=true', 'workload.dma.window=8MiB']],
    ['little credit', ['machine.ports.port0.nonPostedHeaders=2', 'machine.ports.port0.postedHeaders=1']],
    ['PASIDs', ['machine.iommus.iommu0.preset=vtd-spr', 'workload.dma.pasid=5']],
  ];
  it.each(LOADS)('moves data in every way: %s', (_name, sets) => {
    const job = ['workload.dma.window=2MiB', 'workload.dma.outstanding=24', 'stop.operations=2000'];
    const spec = pointOf(ONE_DEVICE, [...ON, ...job, ...sets]);
    const elided = run(spec, true);
    expect(elided.audit!.violations).toEqual([]);
    expect(value(elided, 'dev', 'dma.aborted')).toBe(0);
    expect(value(elided, 'dev', 'device_tlb.hits')).toBeGreaterThan(0);
    expect(value(elided, 'dev', 'device_tlb.misses')).toBeGreaterThan(0);
    const every = run(spec, true, true);
    expect(every.metrics).toEqual(elided.metrics);
    expect(every.events).toBeGreaterThan(elided.events);
  });
});

const BOTH = ['devices.nic.ats.enabled=true', 'devices.drive.ats.enabled=true'];

/** No entry gives way to another. */
const MANY = ['nic', 'drive'].map((device) => `devices.${device}.ats.entries=4096`);

describe('invalidation of device TLBs', () => {
  const MODES: [string, string[]][] = [
    ['strict', ['os.dma.mode=strict']],
    ['lazy', ['os.dma.mode=lazy', 'os.dma.flushQueue.entries=16', ...MANY]],
    ['strict, scalable mode', ['os.dma.mode=strict', 'machine.iommus.iommu0.preset=vtd-spr']],
    ['few places', ['os.dma.mode=strict', 'devices.nic.ats.queueDepth=1', 'devices.nic.ats.invalidation=3us']],
  ];
  it.each(MODES)('follows the unmap, and no DMA comes after: %s', (_name, sets) => {
    const spec = pointOf(TWO_UNITS, [...BOTH, ...sets]);
    const result = run(spec, true);
    expect(result.audit!.violations).toEqual([]);
    expect(total(result, 'dma.aborted')).toBe(0);
    for (const [device, unit] of [
      ['nic', 'iommu0'],
      ['drive', 'iommu1'],
    ] as const) {
      expect(value(result, device, 'device_tlb.misses')).toBeGreaterThan(0);
      expect(value(result, device, 'ats.removed')).toBeGreaterThan(0);
      expect(value(result, unit, 'iommu.ats.invalidations')).toBeGreaterThan(0);
    }
    expect(value(result, 'drive', 'device_tlb.hits')).toBeGreaterThan(0);
    expect(run(spec, true, true).metrics).toEqual(result.metrics);
  });

  const LATE = [
    'workload.rx.lateAccess=100%',
    'workload.rx.lateAfter=4us',
    'workload.rx.depth=1',
    'os.dma.mode=strict',
  ];
  const options: MachineOptions = { everyEvent: false, audit: true };
  const violations = (machine: Machine): readonly string[] => {
    machine.start();
    machine.meter.start(3000);
    while (machine.meter.open) machine.dispatcher.batch(1000);
    return machine.audit!.violations;
  };

  it('is missed when a driver forgets it: the audit finds the DMA that comes after', () => {
    const spec = pointOf(TWO_UNITS, ['devices.nic.ats.enabled=true', ...MANY, ...LATE]);
    expect(violations(new Machine(spec, options))).toEqual([]);
    const makeDriver: MachineOptions['makeDriver'] = (_, environment) => new AtsForgetfulVtdDriver(environment);
    expect(violations(new Machine(spec, { ...options, makeDriver }))[0]).toMatch(/translated after its unmap/);
  });

  it('takes time that an unmap shows as a step of its own', () => {
    const slow = (ps: string): PointResult =>
      run(pointOf(TWO_UNITS, [...BOTH, 'os.dma.mode=strict', `devices.nic.ats.invalidation=${ps}`]));
    const [fast, late] = [slow('0ns'), slow('2us')];
    const step = (result: PointResult): number => value(result, 'rx', 'unmap.time.device_tlb');
    expect(step(late) - step(fast)).toBeGreaterThan(1900);
    expect(step(fast)).toBeGreaterThan(0);
    const off = run(pointOf(TWO_UNITS, ['os.dma.mode=strict']));
    expect(value(off, 'rx', 'unmap.time.device_tlb')).toBe(0);
  });
});

describe('shipped workloads', () => {
  it('order of costs: a hit in the device, a hit in the IOTLB, a miss, a miss in the device as well', () => {
    const points = shipped('ats.yaml', ['warmup.operations=6000', 'stop.operations=3000']);
    const latency = new Map<string, number>();
    for (const spec of points) {
      const job = spec.workload['reads'] as DmaJobSpec;
      if (job.outstanding > 1) continue;
      const { enabled, entries } = spec.devices['nic']!.ats;
      const result = run(spec, true);
      expect(result.audit!.violations).toEqual([]);
      const found = result.histograms.find(
        ({ component, metric }) => component === 'nic' && metric === 'dma.read.latency',
      );
      latency.set(`${enabled ? entries : 0} ${job.window / 1024}`, mean(found!));
    }
    const of = (key: string): number => latency.get(key)!;
    expect(of('64 128')).toBeLessThan(of('0 128'));
    expect(of('0 128')).toBeLessThan(of('0 65536'));
    expect(of('0 65536')).toBeLessThan(of('64 65536'));
    // A TLB as large as the window hides the walks that the IOTLB does not.
    expect(of('1024 4096')).toBeLessThan(of('0 4096'));
    expect(of('1024 4096')).toBeCloseTo(of('64 128'), 0);
    // One that is too small makes hits of the IOTLB dearer by a round trip.
    expect(of('64 512')).toBeGreaterThan(of('0 512') + 50);
  }, 120_000);

  it('a device that does not answer holds up the others behind its unit', () => {
    const [none, one, both, dead] = shipped('ats-invalidation.yaml', [
      'stop.operations=600',
      'warmup.operations=200',
    ]).map((spec) => run(spec, true));
    const unmap = (result: PointResult): number =>
      mean(result.histograms.find(({ component, metric }) => component === 'receive' && metric === 'unmap.latency')!);
    for (const result of [none!, one!, both!, dead!]) expect(result.audit!.violations).toEqual([]);
    expect(unmap(one!)).toBeGreaterThan(unmap(none!) + 100);
    expect(unmap(dead!)).toBeGreaterThan(10 * unmap(both!));
    expect(value(dead!, 'iommu0', 'iommu.ats.timeouts')).toBeGreaterThan(0);
    expect(value(both!, 'iommu0', 'iommu.ats.timeouts')).toBe(0);
    const unmapOfDead = dead!.histograms.find(
      ({ component, metric }) => component === 'loop' && metric === 'unmap.latency',
    )!;
    expect(unmapOfDead.min).toBeGreaterThan(1e9);
  }, 120_000);
});

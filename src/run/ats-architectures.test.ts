/** ATS behind units of every architecture that has it: unmaps, devices that misbehave, dead devices, random device TLBs, processes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Machine } from '../system/machine.js';
import type { PointSpec } from '../workload/spec.js';
import type { PointResult } from './result.js';
import { pointOf, run, shipped, total, value } from './testing/point.js';

/** One socket with a unit of each architecture that has ATS; PASIDs for the windows. */
const STREAM = `name: one-device
question: Does every architecture keep devices in step?
machine: { preset: MACHINE, hostCache: host-warm }
os: { preset: linux-7.2, superpages: false, dma: { mode: strict } }
devices:
  nic: { preset: nic-100g, port: port0, requester: "5:00.0", ats: { enabled: true, entries: 4096 } }
workload:
  rx: { kind: stream, device: nic, threads: 2, depth: 8, size: 4KiB, direction: from-device, socket: s0 }
  tx: { kind: stream, device: nic, threads: 2, depth: 8, size: 1500B, direction: to-device, socket: s0 }
  window: { kind: dma, device: nic, size: 512B, window: 64KiB, reads: 50%, outstanding: 2, memory: s0 }
seeds: 1
warmup: { operations: 500 }
stop: { operations: 3000 }
`;
/** The last: code of the fault of a translated request that may not be made. */
const ARCHITECTURES: [name: string, machine: string, sets: string[], blocked: number][] = [
  ['VT-d, legacy mode', 'bdw-e5-2630v4', [], 0x0d],
  ['VT-d, scalable mode', 'spr-8480', [], 0x44],
  ['SMMUv3', 'grace-72', [], 0x07],
  ['AMD-Vi, host tables', 'spr-8480', ['machine.iommus.iommu0.preset=amdvi-milan'], 8],
  [
    'AMD-Vi, guest tables',
    'spr-8480',
    ['machine.iommus.iommu0.preset=amdvi-genoa', 'machine.iommus.iommu0.stage=first', 'machine.iommus.iommu0.levels=4'],
    8,
  ],
  ['RISC-V', 'spr-8480', ['machine.iommus.iommu0.preset=riscv-server'], 260],
  [
    'RISC-V, second stage',
    'spr-8480',
    ['machine.iommus.iommu0.preset=riscv-server', 'machine.iommus.iommu0.stage=second'],
    260,
  ],
  [
    'SMMUv3, second stage',
    'grace-72',
    ['machine.iommus.iommu0.stage=second', 'machine.iommus.iommu0.processLevels=0'],
    0x07,
  ],
];

describe.each(ARCHITECTURES)('%s', (_name, machine, sets, blocked) => {
  const of = (...more: string[]): PointSpec => pointOf(STREAM.replace('MACHINE', machine), [...sets, ...more]);
  const nic = (result: PointResult, metric: string): number => value(result, 'nic', metric);

  it.each(['strict', 'lazy'])('nothing comes after an unmap: %s', (mode) => {
    const spec = of(`os.dma.mode=${mode}`, 'os.dma.flushQueue.entries=16');
    const result = run(spec, true);
    expect(result.audit!.violations).toEqual([]);
    expect(nic(result, 'dma.aborted')).toBe(0);
    expect(nic(result, 'ats.refused')).toBe(0);
    expect(nic(result, 'device_tlb.hits')).toBeGreaterThan(0);
    expect(nic(result, 'ats.removed')).toBeGreaterThan(0);
    expect(value(result, 'rx', 'operations')).toBeGreaterThan(100);
    expect(total(result, 'iommu.ats.blocked')).toBe(0);
    expect(run(spec, true, true).metrics).toEqual(result.metrics);
  });

  it('late accesses of a device that misbehaves find nothing, and are not data', () => {
    let refused = 0;
    for (const after of ['1us', '2500ns', '4us', '8us', '16us']) {
      const late = [`workload.rx.lateAfter=${after}`, 'workload.rx.lateAccess=100%', 'workload.rx.depth=1'];
      const result = run(of(...late, 'stop.operations=1500'), true);
      expect(result.audit!.violations).toEqual([]);
      refused += nic(result, 'ats.denied') + nic(result, 'dma.aborted');
    }
    expect(refused).toBeGreaterThan(0);
  });

  it('a device that may no longer use its translations is stopped, with a fault of its own', () => {
    const built = new Machine(of(), { everyEvent: false, audit: true });
    const { unit, hardware } = built.units[0]!;
    built.start();
    built.meter.start(500);
    while (built.meter.open) built.dispatcher.batch(100);
    expect([built.engines[0]!.faults, hardware.faults.total]).toEqual([0, 0]);
    // As if software had cleared the bit in the entry and invalidated it.
    const { contexts } = unit.architecture;
    for (const space of [...contexts.deviceSpace, ...contexts.processSpace]) space.ats = 0;
    built.meter.start(500);
    while (built.meter.open) built.dispatcher.batch(100);
    expect(unit.agent!.counters.blocked).toBeGreaterThan(0);
    expect(built.engines[0]!.faults).toBeGreaterThan(0);
    expect(hardware.faults.byCode[blocked]).toBeGreaterThan(0);
    // Asked for a translation, the unit refuses; the device goes on without.
    expect(built.atcs[0]!.counters.untranslated).toBeGreaterThan(0);
    expect(built.audit!.violations).toEqual([]);
  });

  it('a dead device is given up', () => {
    const unit = 'machine.iommus.iommu0.invalidation.deviceTimeout';
    const result = run(
      of(
        'devices.nic.ats.answers=false',
        `${unit}=100us`,
        'warmup.operations=0',
        'stop.operations=null',
        'stop.time=2ms',
      ),
    );
    expect(total(result, 'iommu.ats.timeouts')).toBeGreaterThan(0);
    expect(value(result, 'rx', 'operations')).toBeGreaterThan(5);
    const { min } = result.histograms.find(
      ({ component, metric }) => component === 'rx' && metric === 'unmap.latency',
    )!;
    expect(min).toBeGreaterThan(100e6);
  });
});

describe('any device TLB', () => {
  const settings = fc.record({
    architecture: fc.nat(ARCHITECTURES.length - 1),
    'os.dma.mode': fc.constantFrom('strict', 'lazy'),
    'os.superpages': fc.boolean(),
    'devices.nic.ats.entries': fc.constantFrom(1, 8, 256),
    'devices.nic.ats.replacement': fc.constantFrom('lru', 'plru', 'fifo', 'random'),
    'devices.nic.ats.latency': fc.constantFrom('0ns', '7ns'),
    'devices.nic.ats.largestPage': fc.constantFrom('4KiB', '64KiB', '1GiB'),
    'devices.nic.ats.outstanding': fc.constantFrom(1, 3, 32),
    'devices.nic.ats.queue': fc.constantFrom(1, 5, 128),
    'devices.nic.ats.ahead': fc.constantFrom(0, 0, 3),
    'devices.nic.ats.prefetch.distance': fc.constantFrom(0, 0, 5),
    'devices.nic.ats.queueDepth': fc.constantFrom(1, 4, 32),
    'devices.nic.ats.invalidation': fc.constantFrom('0ns', '100ns', '3us'),
    'machine.ports.port0.nonPostedHeaders': fc.constantFrom(1, 4, 64),
    'machine.ports.port0.postedHeaders': fc.constantFrom(1, 64),
    'workload.window.window': fc.constantFrom('64KiB', '8MiB'),
  });

  it('moves all data, none of them late, and comes to its end', () => {
    fc.assert(
      fc.property(settings, ({ architecture, ...values }) => {
        const [, machine, sets] = ARCHITECTURES[architecture]!;
        const changes = Object.entries(values).map(([path, changed]) => `${path}=${changed}`);
        const ways = `devices.nic.ats.ways=${Math.min(4, values['devices.nic.ats.entries'])}`;
        const short = ['os.dma.flushQueue.entries=16', 'warmup.operations=100', 'stop.operations=400'];
        const spec = pointOf(STREAM.replace('MACHINE', machine), [...sets, ...changes, ways, ...short]);
        const result = run(spec, true);
        expect(result.audit!.violations).toEqual([]);
        expect(result.windows.stoppedBy).toBe('operations');
        expect(total(result, 'dma.aborted')).toBe(0);
        expect(total(result, 'iommu.ats.blocked')).toBe(0);
      }),
      { numRuns: 20 },
    );
  }, 600_000);
});

describe('processes', () => {
  it('pages that the kernel takes back are forgotten by the device before they are free', () => {
    const sets = ['workload.copy.pageOut=20us', 'workload.copy.window=1MiB', 'stop.operations=400'];
    const spec = shipped('sva-pri.yaml', [...sets, 'devices.accelerator.ats.entries=4096'])[0]!;
    const result = run(spec, true);
    expect(result.audit!.violations).toEqual([]);
    expect(value(result, 'accelerator', 'ats.removed')).toBeGreaterThan(0);
    expect(value(result, 'accelerator', 'dma.aborted')).toBe(0);
    expect(run(spec, true, true).metrics).toEqual(result.metrics);
  });
});

/** Whole machines with units whose maps wait for hardware: POWER TCE tables, DART, virtio-iommu. */
import { describe, expect, it } from 'vitest';
import { TceDriver } from '../os/tce/driver.js';
import { VirtioDriver } from '../os/virtio/driver.js';
import { DartDriver } from '../os/dart/driver.js';
import { type Call, type Program, type Thread, Wait } from '../os/thread.js';
import { Machine, type MachineOptions } from '../system/machine.js';
import { pointOf, run, total, value } from './testing/point.js';
import type { PointResult } from './result.js';

const TEXT = `name: strict-only
question: Does it hold together?
machine: { preset: skx-8160, sockets: { s0: { dram: { size: 16GiB } } } }
os: { preset: linux-7.2, jitter: 0%, dma: { mode: strict } }
devices:
  nic: { preset: nic-100g, port: port0, requester: "3:00.0" }
  two: { preset: nic-100g, port: port0, requester: "4:00.0" }
workload:
  rx: { kind: stream, device: nic, threads: 2, depth: 8, size: 4KiB, direction: from-device, socket: s0 }
  loop: { kind: map-benchmark, device: two, threads: 2, granule: 3, direction: bidirectional, transfer: 100ns, socket: s0 }
  window: { kind: dma, device: two, size: 512B, window: 1MiB, reads: 50%, outstanding: 1, interarrival: 5us, memory: s0 }
seeds: 1
warmup: { operations: 50 }
stop: { operations: 800 }
`;

/** One thread that maps and unmaps one page, and nothing else. */
const ALONE = `name: alone
question: How long does it take?
machine: { preset: skx-8160, sockets: { s0: { dram: { size: 16GiB } } } }
os: { preset: linux-7.2, jitter: 0%, dma: { mode: strict } }
devices:
  nic: { preset: nic-100g, port: port0, requester: "3:00.0" }
workload:
  loop: { kind: map-benchmark, device: nic, threads: 1, granule: 1, direction: bidirectional, transfer: 100ns, socket: s0 }
seeds: 1
warmup: { operations: 150 }
stop: { operations: 300 }
`;

const PRESETS = ['power9-phb4', 'apple-m1-dart', 'virtio-kvm'] as const;
const unit = (preset: string, ...sets: string[]): string[] => [
  `machine.iommus.iommu0.preset=${preset}`,
  ...sets.map((set) => (set.startsWith('.') ? `machine.iommus.iommu0${set}` : set)),
];

function histogram(result: PointResult, component: string, metric: string): { mean: number; min: number; max: number } {
  const found = result.histograms.find((h) => h.component === component && h.metric === metric)!;
  return { mean: found.sum / found.count, min: found.min, max: found.max };
}

describe('audit of whole machines', () => {
  const variants: [string, string[]][] = [
    ...PRESETS.map((preset): [string, string[]] => [preset, unit(preset)]),
    ['flat TCE table of 4 KiB pages', unit('power9-phb4', '.levels=1', '.granule=4KiB', '.largestPage=4KiB')],
    ['TCE tables of 2 MiB pages', unit('power9-phb4', '.granule=2MiB', '.largestPage=2MiB')],
    ['DART of 4 KiB pages', unit('apple-m1-dart', '.granule=4KiB', '.largestPage=4KiB')],
    ['T6000', unit('apple-m1-dart', '.hostAddressWidth=42')],
    ['T8110', unit('apple-m1-dart', '.hostAddressWidth=42', '.levels=3')],
    ['virtio-iommu with 5 shadow levels and a small queue', unit('virtio-kvm', '.levels=5', '.invalidation.sizeLg2=4')],
  ];

  it.each(
    variants.flatMap(([name, sets]) => ['strict', 'lazy', 'passthrough'].map((mode) => [name, mode, sets] as const)),
  )('finds nothing: %s, %s', (_, mode, sets) => {
    const result = run(pointOf(TEXT, [...sets, `os.dma.mode=${mode}`]), true);
    expect(result.audit!.violations).toEqual([]);
    expect(result.windows.stoppedBy).toBe('operations');
    expect([total(result, 'dma.aborted'), total(result, 'iommu.faults'), total(result, 'map.failures')]).toEqual([
      0, 0, 0,
    ]);
    expect(value(result, 'loop', 'operations')).toBeGreaterThan(0);
    expect(value(result, 'rx', 'operations')).toBeGreaterThan(0);
  });

  it.each([
    [
      'power9-phb4',
      ['lateAfter=1us'],
      class extends TceDriver {
        override *syncMap(): Call<void> {}
        override *flushRange(): Call<void> {}
      },
    ],
    [
      'apple-m1-dart',
      ['lateAfter=1us'],
      class extends DartDriver {
        override *syncMap(): Call<void> {}
        override *flushRange(): Call<void> {}
      },
    ],
    [
      'virtio-kvm',
      ['lateAfter=100ns', 'depth=1'],
      class extends VirtioDriver {
        override *flushRange(): Call<void> {}
      },
    ],
  ] as const)('catches a driver that does not wait for its unmaps: %s', (preset, timing, Broken) => {
    const late = [...timing, 'threads=1', 'lateAccess=100%'].map((each) => `workload.rx.${each}`);
    const options = { everyEvent: false, audit: true };
    const makeDriver: MachineOptions['makeDriver'] = (_, environment) => new Broken(environment);
    const violations = (machine: Machine): number => {
      machine.start();
      machine.meter.start(2000);
      while (machine.meter.open) machine.dispatcher.batch(1000);
      return machine.audit!.violationCount;
    };
    const spec = pointOf(TEXT.replace(/ {2}loop.*\n/, ''), unit(preset, 'os.jitter=10%', ...late));
    expect(violations(new Machine(spec, { ...options, makeDriver }))).toBeGreaterThan(0);
    expect(violations(new Machine(spec, options))).toBe(0);
  });

  it('gives the same results with every event scheduled', () => {
    for (const preset of PRESETS) {
      const spec = pointOf(TEXT, unit(preset));
      const machine = (everyEvent: boolean): number[] => {
        const m = new Machine(spec, { everyEvent, audit: false });
        m.start();
        m.meter.start(2000);
        while (m.meter.open) m.dispatcher.batch(1000);
        return [m.kernel.clock[0]!, m.os.operations];
      };
      expect(machine(true)).toEqual(machine(false));
    }
  });
});

describe('lazy mode', () => {
  it.each(['power9-phb4', 'apple-m1-dart'])('of %s is strict, and the run says so', (preset) => {
    const lazy = run(pointOf(ALONE, unit(preset, 'os.dma.mode=lazy')));
    const strict = run(pointOf(ALONE, unit(preset)));
    expect(lazy.metrics).toEqual(strict.metrics);
    expect(lazy.text[0]).toMatch(/^iommu0: .*strict, not lazy$/);
    expect(strict.text[0]).not.toMatch(/^iommu0/);
    expect(value(lazy, 'os', 'flush_queue.queued')).toBe(0);
  });

  it('of virtio-iommu adds a request for each unmap and saves the wait', () => {
    const strict = run(pointOf(ALONE, unit('virtio-kvm')));
    const lazy = run(pointOf(ALONE, unit('virtio-kvm', 'os.dma.mode=lazy')), true);
    expect(lazy.audit!.violations).toEqual([]);
    expect(lazy.text.some((line) => line.includes('strict'))).toBe(false);
    // A map waits for the unmaps before it: the round trip is saved, not the work.
    const exit = 2_000_000;
    expect(histogram(lazy, 'loop', 'unmap.latency').mean).toBeLessThan(exit / 2);
    expect(histogram(strict, 'loop', 'unmap.latency').mean).toBeGreaterThan(exit);
    const saved = (r: PointResult): number =>
      histogram(r, 'loop', 'unmap.latency').mean + histogram(r, 'loop', 'map.latency').mean;
    expect(saved(strict) - saved(lazy)).toBeGreaterThan(exit);
    for (const result of [strict, lazy]) {
      const operations = value(result, 'loop', 'operations');
      const requests = value(result, 'os', 'invalidation.descriptors');
      expect(Math.abs(requests - 2 * operations)).toBeLessThanOrEqual(2);
    }
  });
});

/** First multiple of `period` that is not before `at`. */
const polled = (at: number, period: number): number => Math.ceil(at / period) * period;

describe('what one invalidation costs', () => {
  // mmioFlight 150 ns, poll 560 ns (linux-7.2).
  const FLIGHT = 150_000;
  const POLL = 560_000;

  it('on POWER: kill and DMA sync, each seen at the next look; as often for maps as for unmaps', () => {
    const result = run(pointOf(ALONE, unit('power9-phb4')));
    const kill = FLIGHT + 100_000 + 500_000;
    const seen = polled(kill, POLL);
    const synced = kill + 100_000 + 1_500_000;
    const expected = seen + polled(synced - seen, POLL);
    expect(histogram(result, 'os', 'invalidation.completion')).toEqual({
      mean: expected,
      min: expected,
      max: expected,
    });
    expect(value(result, 'iommu0', 'iommu.invalidation.iotlb_domain')).toBe(
      value(result, 'iommu0', 'iommu.invalidation.wait'),
    );
    const kills = value(result, 'os', 'invalidation.domains');
    expect(Math.abs(kills - 2 * value(result, 'loop', 'operations'))).toBeLessThanOrEqual(1);
  });

  it.each([
    [[], 1],
    [['.hostAddressWidth=42', '.levels=3'], 1],
  ])('on a DART (%j): a flush, seen at the next look a microsecond apart', (sets, commands) => {
    const result = run(pointOf(ALONE, unit('apple-m1-dart', ...sets)));
    const expected = polled(FLIGHT + 100_000 + 400_000, 1_000_000 + POLL);
    expect(histogram(result, 'os', 'invalidation.completion')).toEqual({
      mean: expected,
      min: expected,
      max: expected,
    });
    const flushes = value(result, 'os', 'invalidation.domains');
    expect(Math.abs(flushes - 2 * commands * value(result, 'loop', 'operations'))).toBeLessThanOrEqual(1);
  });

  it('a DART that is done just before a look is not waited for longer', () => {
    const period = 1_000_000 + POLL;
    const at = (iotlbDomain: number): number =>
      histogram(
        run(pointOf(ALONE, unit('apple-m1-dart', `.invalidation.iotlbDomain=${iotlbDomain}ps`))),
        'os',
        'invalidation.completion',
      ).max;
    const exactly = period - FLIGHT - 100_000;
    expect(at(exactly)).toBe(period);
    expect(at(exactly + 1)).toBe(2 * period);
  });
});

it('passthrough costs nothing: no walk, no invalidation, no request', () => {
  for (const preset of PRESETS) {
    const result = run(pointOf(TEXT, unit(preset, 'os.dma.mode=passthrough')));
    expect(total(result, 'iommu.walks')).toBe(0);
    expect(value(result, 'os', 'invalidation.descriptors')).toBe(0);
  }
});

it('sequential pages miss once in a line of 16 TCEs', () => {
  const sets = unit('power9-phb4', '.granule=4KiB', '.largestPage=4KiB');
  const alone = TEXT.replace(/ {2}(rx|loop).*\n/g, '').replace('window: 1MiB', 'window: 64MiB');
  const job = ['size=4KiB', 'reads=0%', 'pattern=sequential', 'interarrival=0ns'].map(
    (each) => `workload.window.${each}`,
  );
  const result = run(pointOf(alone, [...sets, ...job]));
  // Sixteen requests of 256 bytes to a page.
  const pages = value(result, 'iommu0', 'iommu.requests') / 16;
  expect(pages / value(result, 'iommu0', 'iommu.walks')).toBeCloseTo(16, 0);
});

describe('detach', () => {
  it.each(PRESETS)(
    '%s: nothing is translated after it has returned, and the requester can be attached again',
    (preset) => {
      const machine = new Machine(pointOf(TEXT, unit(preset, 'workload.window.interarrival=200ns')), {
        everyEvent: false,
        audit: true,
      });
      const { scheduler, devices } = machine.os;
      const device = devices.find(({ name }) => name === 'two')!;
      const domain = device.domainOf(-1)!;
      const cpu = scheduler.cpus.find(({ thread }) => thread === null)!;
      const times: number[] = [];
      const program = function* (thread: Thread): Program {
        thread.charge(0, 50_000_000);
        yield Wait.Run;
        yield* domain.driver.detach(thread, domain, device, -1);
        times.push(scheduler.now());
        thread.charge(0, 20_000_000);
        yield Wait.Run;
        domain.driver.attach(domain, device, -1);
      };
      scheduler.start(scheduler.spawn('detacher', cpu, program));
      machine.start();
      const { unit: hardware } = machine.units[0]!;
      const runUntil = (time: number): number => {
        const before = machine.audit!.translations;
        machine.meter.start(1e9);
        while (machine.kernel.clock[0]! < time) machine.dispatcher.batch(50);
        return machine.audit!.translations - before;
      };
      expect(runUntil(45_000_000)).toBeGreaterThan(100);
      expect(hardware.counters.aborted).toBe(0);
      runUntil(75_000_000);
      const aborted = hardware.counters.aborted;
      expect(aborted).toBeGreaterThan(10);
      expect(times[0]).toBeLessThan(75_000_000);
      runUntil(200_000_000);
      // Attached again, the window that was mapped before is reached again.
      const after = hardware.counters.aborted;
      runUntil(260_000_000);
      expect(hardware.counters.aborted).toBe(after);
      expect(machine.audit!.violations).toEqual([]);
    },
  );
});

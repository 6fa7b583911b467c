/** Unloaded latency and peak rates of the whole machine, computed from the specification by formula. */
import { describe, expect, it } from 'vitest';
import { femtosecondsPerByte } from '../pcie/link.js';
import { CAUSES_WITHOUT_ATS } from '../protocol/tlp.js';
import type { PointResult } from './result.js';
import type { PointSpec } from '../workload/spec.js';
import { ONE_DEVICE, pointOf, run, value } from './testing/point.js';

const UNIT = 'machine.iommus.iommu0';
const PSC = `${UNIT}.pagingStructureCache`;
const WALKS_ALWAYS = [`${UNIT}.iotlb.enabled=false`];
const NO_PSC = ['level2', 'level3', 'level4', 'level5'].map((level) => `${PSC}.${level}.enabled=false`);

interface Parts {
  readonly device: number;
  readonly linkUp: number;
  readonly lookup: number;
  readonly walk: number;
  readonly memory: number;
  readonly linkDown: number;
}

/** The parts of an unloaded DMA of one TLP that reads `reads` table entries (-1: no IOMMU in the way), every line in the LLC. */
function expected(spec: PointSpec, write: boolean, size: number, reads: number): Parts {
  const { link, engine } = spec.devices['dev']!;
  const unit = spec.machine.iommus['iommu0']!;
  const { llc } = spec.machine.sockets['s0']!;
  const serialise = (bytes: number): number => Math.round((bytes * femtosecondsPerByte(link)) / 1000);
  const port = Math.round((512 * 1e12) / llc.bandwidth);
  const psc = unit.pagingStructureCache;
  const structure = Math.max(
    0,
    ...[psc.level2, psc.level3, psc.level4, psc.level5].filter((s) => s.enabled).map((s) => s.latency),
  );
  return {
    device: write ? engine.writeOverhead : engine.readOverhead,
    linkUp: serialise(link.requestOverhead + (write ? size : 0)) + link.latency,
    lookup: reads < 0 ? 0 : Math.max(unit.contextCache.latency, unit.iotlb.enabled ? unit.iotlb.latency : 0),
    walk: reads <= 0 ? 0 : unit.walkers.overhead + structure + reads * llc.latency + unit.walkers.replay,
    memory: llc.latency + (Math.ceil(size / 64) - 1) * port,
    linkDown: write ? 0 : serialise(link.completionOverhead + size) + link.latency,
  };
}

const sum = (parts: Parts): number => Object.values(parts).reduce((a, b) => a + b, 0);

function latencies(result: PointResult, write: boolean): [number, number] {
  const metric = `dma.${write ? 'write' : 'read'}.latency`;
  const { min, max } = result.histograms.find((h) => h.component === 'dev' && h.metric === metric)!;
  return [min, max];
}

const CASES: [string, string[], number][] = [
  ['no IOMMU', ['machine.ports.port0.iommu=null'], -1],
  ['pass-through', ['os.dma.mode=passthrough'], 0],
  ['IOTLB hit', [], 0],
  ['miss, level 2 cached', [...WALKS_ALWAYS], 1],
  ['miss, level 3 cached', [...WALKS_ALWAYS, ...NO_PSC, `${PSC}.level3.enabled=true`], 2],
  ['miss, level 4 cached', [...WALKS_ALWAYS, ...NO_PSC, `${PSC}.level4.enabled=true`], 3],
  ['miss, nothing cached', [...WALKS_ALWAYS, ...NO_PSC], 4],
  ['superpage miss, nothing cached', [...WALKS_ALWAYS, ...NO_PSC, 'os.superpages=true'], 3],
];

/** Lookup and cache times that differ, and walks that go through the LLC. */
const VARIED = [
  `${UNIT}.coherent=true`,
  `${UNIT}.iotlb.latency=3ns`,
  `${UNIT}.contextCache.latency=2ns`,
  `${PSC}.level2.latency=1500ps`,
  `${PSC}.level3.latency=1500ps`,
  `${PSC}.level4.latency=1500ps`,
  `${PSC}.level5.latency=1500ps`,
];

describe('unloaded latency', () => {
  for (const write of [false, true]) {
    for (const size of [64, 256]) {
      it.each(CASES)(`of a ${size} B ${write ? 'write' : 'read'}: %s`, (_name, sets, reads) => {
        const job = [`workload.dma.size=${size}B`, `workload.dma.reads=${write ? 0 : 100}%`];
        const spec = pointOf(ONE_DEVICE, [...VARIED, ...sets, ...job]);
        const result = run(spec);
        const parts = expected(spec, write, size, reads);
        expect(latencies(result, write)).toEqual([sum(parts), sum(parts)]);
        const charged = Object.fromEntries(
          CAUSES_WITHOUT_ATS.map((cause) => [cause, value(result, 'dev', `dma.time.${cause}`)]),
        );
        expect(charged).toMatchObject({
          device: parts.device / 1000,
          link_up: parts.linkUp / 1000,
          lookup: parts.lookup / 1000,
          walk: parts.walk / 1000,
          memory: parts.memory / 1000,
          link_down: parts.linkDown / 1000,
        });
        expect(Object.values(charged).reduce((a, b) => a + b, 0)).toBeCloseTo(sum(parts) / 1000, 6);
      });
    }
  }

  it('adds DRAM when host memory is cold', () => {
    const job = ['machine.hostCache=cold', 'workload.dma.pattern=sequential', 'workload.dma.window=1MiB'];
    const spec = pointOf(ONE_DEVICE, [...job, 'machine.ports.port0.iommu=null', 'warmup.operations=0']);
    const { dram } = spec.machine.sockets['s0']!;
    const time = sum(expected(spec, false, 64, -1)) + dram.latency;
    expect(latencies(run(spec), false)).toEqual([time, time]);
  });
});

describe('peak rates', () => {
  const FLOOD = ['workload.dma.outstanding=256', 'devices.dev.engine.outstanding=256', 'stop.operations=4000'];
  const FREE = [
    'devices.dev.engine.readInterval=[{size: 1GiB, interval: 0ns}]',
    'devices.dev.engine.writeInterval=[{size: 1GiB, interval: 0ns}]',
    'devices.dev.engine.readSlots=[{size: 1GiB, slots: 65536}]',
    'devices.dev.engine.outstandingReadBytes=1MiB',
    'devices.dev.link.tags=1024',
    'machine.ports.port0.postedHeaders=4096',
    'machine.ports.port0.postedData=65536',
    'machine.ports.port0.nonPostedHeaders=4096',
  ];
  /** Operations per second of a long window, against `perOperationPs`. */
  function expectRate(sets: readonly string[], perOperationPs: (spec: PointSpec) => number): void {
    const spec = pointOf(ONE_DEVICE, [...FLOOD, ...FREE, ...sets]);
    const rate = value(run(spec), 'dev', 'dma.operations_per_second');
    const bound = 1e12 / perOperationPs(spec);
    expect(rate / bound).toBeGreaterThan(0.99);
    expect(rate / bound).toBeLessThan(1.001);
  }
  const serialise = (spec: PointSpec, bytes: number): number =>
    Math.round((bytes * femtosecondsPerByte(spec.devices['dev']!.link)) / 1000);
  const OFF = 'machine.ports.port0.iommu=null';

  it('of writes: the link up', () => {
    const sets = [OFF, 'workload.dma.reads=0%', 'workload.dma.size=256B'];
    expectRate(sets, (spec) => serialise(spec, 24 + 256));
  });

  it('of reads: the link down, one header a Max_Payload_Size', () => {
    expectRate([OFF, 'workload.dma.size=512B'], (spec) => serialise(spec, 2 * 20 + 512));
  });

  it('of a slow engine: its interval', () => {
    const sets = [OFF, 'devices.dev.engine.readInterval=[{size: 1GiB, interval: 33ns}]'];
    expectRate(sets, () => 33_000);
  });

  it('of one request at a time: its latency', () => {
    expectRate(['workload.dma.outstanding=1'], (spec) => sum(expected(spec, false, 64, 0)));
  });

  it('of a lookup pipeline: its interval', () => {
    expectRate([`${UNIT}.queue.interval=40ns`], () => 40_000);
  });

  it.each([1, 3])('of misses: %i walkers, each for its overhead, one read and the hold of reads', (count) => {
    const walkers = [
      `count=${count}`,
      'merge=false',
      'outstanding=512',
      'overhead=90ns',
      'replay=50ns',
      'readHold=30ns',
    ];
    const sets = [...WALKS_ALWAYS, ...VARIED, ...walkers.map((w) => `${UNIT}.walkers.${w}`)];
    const queue = [`${UNIT}.queue.nonPostedDepth=512`, `${UNIT}.queue.postedDepth=512`];
    for (const write of [false, true]) {
      expectRate([...sets, ...queue, `workload.dma.reads=${write ? 0 : 100}%`], (spec) => {
        const { walk } = expected(spec, write, 64, 1);
        return (walk - 50_000 + (write ? 0 : 30_000)) / count;
      });
    }
  });

  it('of posted writes with few credits: the round trip of a credit', () => {
    const sets = [OFF, 'workload.dma.reads=0%', 'machine.ports.port0.postedHeaders=2'];
    // A header is free when the write leaves the port, and back at the device a credit return later.
    expectRate(sets, (spec) => {
      const port = spec.machine.ports['port0']!;
      const { link } = spec.devices['dev']!;
      const round = serialise(spec, 24 + 64) + link.latency + port.creditReturn;
      return Math.max(serialise(spec, 24 + 64), round / 2);
    });
  });
});

describe('large numbers', () => {
  it('minutes of idling between DMAs in a window of a terabyte change nothing', () => {
    const far = ['machine.sockets.s0.dram.size=2TiB', 'workload.dma.window=1TiB', `${UNIT}.hostAddressWidth=46`];
    const spec = pointOf(ONE_DEVICE, [...far, 'os.superpages=true', 'workload.dma.reads=100%']);
    const slow = { ...spec.workload['dma']!, interarrival: 6e13, kind: 'dma' as const };
    const result = run(
      {
        ...spec,
        workload: { dma: slow as never },
        warmup: { time: null, operations: 0 },
        stop: { ...spec.stop, operations: 20 },
      },
      true,
    );
    expect(result.windows.measuredPs).toBeGreaterThan(2e14);
    expect(result.audit!.violations).toEqual([]);
    expect(value(result, 'dev', 'dma.aborted')).toBe(0);
    const [, max] = latencies(result, false);
    expect(max).toBeLessThan(2_000_000);
  });
});

import { describe, expect, it } from 'vitest';
import { pointOf, run, shipped, total, TWO_UNITS, value } from './testing/point.js';

/** The two-unit machine, its receive buffers as lists of pages apart from each other, unmapped on CPUs of their own. */
const LISTS = ['workload.rx.segments=5', 'workload.rx.placement=scattered', 'workload.rx.completers=1'];

describe('modes of the DMA API in whole machines', () => {
  it.each([
    ['strict', []],
    ['lazy', []],
    ['lazy', ['os.dma.flushQueue.kind=single', 'os.dma.flushQueue.entries=64']],
    ['lazy', ['os.dma.bounce=untrusted']],
    ['strict', ['os.dma.bounce=always']],
    ['passthrough', []],
    ['bounce', []],
    ['bounce', ['os.dma.swiotlb.areas=1']],
  ])('%s %j: nothing for the audit to find, and the same run twice', (mode, sets) => {
    const spec = pointOf(TWO_UNITS, [`os.dma.mode=${mode}`, ...sets, ...LISTS, 'workload.loop.mode=sg']);
    const result = run(spec, true);
    expect(result.audit!.violations).toEqual([]);
    expect(value(result, 'audit', 'audit.translations')).toBeGreaterThan(1000);
    expect(total(result, 'dma.aborted')).toBe(0);
    expect(total(result, 'map.failures')).toBe(0);
    expect(run(spec, true)).toEqual(result);
  });

  it('bounces for untrusted devices only what does not fill pages', () => {
    const result = run(pointOf(TWO_UNITS, ['os.dma.bounce=untrusted']), true);
    // Buffers of 1500 bytes are copied, those of 4 KiB and the 3 pages of the benchmark are not.
    const transmitted = value(result, 'tx', 'operations');
    expect(value(result, 'rx', 'cycles.copy')).toBe(0);
    expect(value(result, 'loop', 'cycles.copy')).toBe(0);
    expect(value(result, 'tx', 'cycles.copy')).toBeGreaterThan(0);
    expect(Math.abs(value(result, 'os', 'swiotlb.bounced') - transmitted)).toBeLessThanOrEqual(16);
  });

  it('reads copies from the last-level cache where the CPU left them', () => {
    const text = `name: copies
question: Where do bounced reads come from?
machine: { preset: skx-8160 }
os: { preset: linux-7.2, dma: { mode: bounce } }
devices:
  drive: { preset: nvme-gen4, port: port0, requester: "81:00.0" }
workload:
  tx: { kind: stream, device: drive, threads: 1, depth: 4, size: 4KiB, direction: to-device, socket: s0 }
seeds: 1
warmup: { operations: 100 }
stop: { operations: 1000 }
`;
    const result = run(pointOf(text), true);
    const lines = value(result, 's0', 'llc.device_read.lookups');
    expect(lines).toBeGreaterThanOrEqual(1000 * 64);
    expect(value(result, 's0', 'llc.device_read.hits')).toBe(lines);
  });

  it('finds a pool behind the link slower', () => {
    const cycles = (socket: string): number => {
      const sets = ['os.dma.mode=bounce', `workload.loop.socket=${socket}`];
      return value(run(pointOf(TWO_UNITS, sets)), 'loop', 'cycles.copy');
    };
    // The pool lies in s0's memory: 12 instead of 8 ns a line.
    expect(cycles('s1') / cycles('s0')).toBeGreaterThan(1.4);
    expect(cycles('s1') / cycles('s0')).toBeLessThan(1.6);
  });

  it('takes longer to invalidate from the other socket', () => {
    const text = `name: far
question: How far is the unit?
machine: { preset: skx-8160-2s }
os: { preset: linux-7.2, jitter: 0%, dma: { mode: strict } }
devices:
  nic: { preset: nic-100g, port: port0, requester: "3:00.0" }
workload:
  loop: { kind: map-benchmark, device: nic, threads: 1, granule: 1, direction: from-device, socket: s0 }
seeds: 1
warmup: { operations: 100 }
stop: { operations: 500 }
`;
    const unmap = (socket: string): number => {
      // Polls that are far apart would hide distances.
      const sets = ['os.costs.poll=1ns', `workload.loop.socket=${socket}`, 'workload.loop.memory=s0'];
      const result = run(pointOf(text, sets));
      return value(result, 'loop', 'unmap.time.completion') + value(result, 'loop', 'unmap.time.descriptor');
    };
    // Twice the link for the descriptors, once for the doorbell, and polls twice the link apart.
    const difference = unmap('s1') - unmap('s0');
    expect(difference).toBeGreaterThanOrEqual(60 + 30 - 1);
    expect(difference).toBeLessThanOrEqual(60 + 30 + 61);
  });

  it('maps up to 1 GiB at once, in large pages, and lists of as much', () => {
    const text = `name: large
question: Does it fit?
machine: { preset: spr-8480 }
os: { preset: linux-7.2 }
devices:
  dev: { preset: nic-100g, port: port0, requester: "3:00.0" }
workload:
  loop: { kind: map-benchmark, device: dev, threads: 2, granule: 262144, direction: from-device, socket: s0 }
seeds: 1
warmup: { operations: 4 }
stop: { operations: 20 }
`;
    for (const mode of ['strict', 'lazy']) {
      const one = run(pointOf(text, [`os.dma.mode=${mode}`]), true);
      expect(one.audit!.violations).toEqual([]);
      expect(value(one, 'loop', 'map.failures')).toBe(0);
      // One leaf: hardly more than a page takes.
      expect(value(one, 'loop', 'map.time.table')).toBeLessThan(500);
    }
    const list = run(
      pointOf(text, [
        'workload.loop.mode=sg',
        'workload.loop.granule=1024',
        'workload.loop.placement=scattered',
        'workload.loop.threads=1',
        'os.dma.mode=lazy',
      ]),
      true,
    );
    expect(list.audit!.violations).toEqual([]);
    expect(value(list, 'loop', 'map.time.table')).toBeGreaterThan(1024 * 50);
  });

  it('come out in their order: passthrough, lazy with a ring for each CPU, with one for all, strict', () => {
    const rates = new Map<string, number>();
    for (const spec of shipped('dma-modes.yaml', ['warmup.operations=40000', 'stop.operations=10000'])) {
      const loop = spec.workload['loop']!;
      if (loop.kind !== 'map-benchmark' || loop.threads !== 8 || loop.granule !== 1 || loop.mode !== 'single') continue;
      const result = run(spec, true);
      expect(result.audit!.violations).toEqual([]);
      rates.set(`${spec.os.dma.mode} ${spec.os.dma.flushQueue.kind}`, value(result, 'loop', 'operation.rate'));
    }
    const order = ['strict per-cpu', 'lazy single', 'lazy per-cpu', 'passthrough per-cpu'].map(
      (name) => rates.get(name)!,
    );
    for (let i = 1; i < order.length; i++) expect(order[i]! / order[i - 1]!).toBeGreaterThan(1.8);
    expect(rates.get('bounce per-cpu')! / rates.get('passthrough per-cpu')!).toBeLessThan(0.1);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DescriptorType, Granularity } from '../../iommu/arch/vtd/format.js';
import { Access } from '../../protocol/access.js';
import type { Domain } from '../domain.js';
import { testTableCosts } from '../testing/costs.js';
import { type MachineOptions, TestMachine } from '../testing/machine.js';
import { Recorder } from '../testing/recorder.js';
import type { Program, Thread } from '../thread.js';
import { DmaApi } from './api.js';
import { DEFAULT_LIMITS, type DmaLimits } from './limits.js';
import { ScatterList } from './scatter-list.js';

const BOTH: Access = Access.Read | Access.Write;
const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 24;

interface Bench {
  readonly machine: TestMachine;
  readonly dma: DmaApi;
  readonly domain: Domain;
  readonly recorder: Recorder;
  readonly run: (program: (thread: Thread) => Program) => void;
}

function bench(options: MachineOptions = {}): Bench {
  const recorder = new Recorder();
  const machine = new TestMachine({ observer: recorder, ...options });
  recorder.now = () => machine.now;
  const { scheduler, devices } = machine.os;
  return {
    machine,
    recorder,
    dma: new DmaApi(scheduler, machine.spec.costs, recorder, 16),
    domain: devices[0]!.domainOf(-1)!,
    run: (program) => {
      scheduler.start(scheduler.spawn('cpu 0', scheduler.cpus[0]!, program));
      machine.run();
    },
  };
}

const scattered = (count: number): [number, number][] =>
  Array.from({ length: count }, (_, i) => [PA + i * 2 * PAGE, PAGE]);

const segmentsOf = (list: ScatterList): [number, number][] =>
  Array.from({ length: list.mapped }, (_, i) => [list.addresses[i]!, list.lengths[i]!]);

function map(segments: [number, number][], limits: DmaLimits = DEFAULT_LIMITS, options: MachineOptions = {}) {
  const all = bench(options);
  const list = new ScatterList(segments, limits);
  all.run(function* (thread) {
    expect(yield* all.dma.mapList(thread, all.domain, list, BOTH)).toBe(true);
  });
  return { ...all, list };
}

describe('dma_map_sg', () => {
  it('takes one IOVA, an entry for each page and one invalidation for 256 scattered pages', () => {
    const { machine, recorder, dma, domain, run } = bench();
    const list = new ScatterList(scattered(256), DEFAULT_LIMITS);
    run(function* (thread) {
      expect(yield* dma.mapList(thread, domain, list, BOTH)).toBe(true);
      expect(recorder.of('allocated')).toHaveLength(1);
      expect(recorder.of('mapped')).toHaveLength(256);
      expect(dma.pages).toBe(256);
      yield* dma.unmapList(thread, domain, list, BOTH);
    });
    const pages = machine.commands.filter(({ type }) => type === DescriptorType.Iotlb);
    expect(pages).toHaveLength(1);
    expect(pages[0]).toMatchObject({ granularity: Granularity.Selective, addressMask: 8 });
    expect(recorder.of('unmapped')).toHaveLength(1);
    expect(recorder.of('freed')).toHaveLength(1);
    expect(dma.unmaps.latency.count).toBe(1);
  });

  it('costs 256 IOVAs and 256 invalidations to map the same pages one by one', () => {
    const { machine, recorder, dma, domain, run } = bench();
    run(function* (thread) {
      const addresses: number[] = [];
      for (const [pa, bytes] of scattered(256)) addresses.push(yield* dma.map(thread, domain, pa, bytes, BOTH));
      for (const address of addresses) yield* dma.unmap(thread, domain, address, PAGE, BOTH);
    });
    expect(recorder.of('allocated')).toHaveLength(256);
    expect(machine.commands.filter(({ type }) => type === DescriptorType.Iotlb)).toHaveLength(256);
  });

  it('is one flush-queue entry in lazy mode', () => {
    const { machine, dma, domain, run } = bench({ mode: 'lazy' });
    const list = new ScatterList(scattered(40), DEFAULT_LIMITS);
    run(function* (thread) {
      yield* dma.mapList(thread, domain, list, BOTH);
      yield* dma.unmapList(thread, domain, list, BOTH);
      expect(domain.space!.queue!.length(0)).toBe(1);
      expect(machine.commands).toEqual([]);
    });
  });

  it('enters page-table code once for each stretch of memory without a gap', () => {
    const costs = {
      mapCall: 10_000,
      segment: 1000,
      iovaCache: 100,
      iovaTree: 50,
      table: testTableCosts({ call: 500, leaf: 3 }),
    };
    const pieces: [number, number][] = [
      [PA, PAGE],
      [PA + PAGE, 2 * PAGE],
      [PA + 10 * PAGE, PAGE],
    ];
    const { dma, domain, list } = map(pieces, DEFAULT_LIMITS, { costs });
    expect(dma.maps.latency.sum).toBe(10_000 + 3 * 1000 + 150 + 2 * 500 + 4 * 3);
    const iova = list.addresses[0]!;
    const found = [0, 1, 2, 3].map((i) => domain.space!.table.lookup(iova + i * PAGE));
    expect(found).toEqual([PA, PA + PAGE, PA + 2 * PAGE, PA + 10 * PAGE]);
  });

  it('joins whole pages into segments as long as the device allows', () => {
    const { list } = map(scattered(20), { maxSegment: 8 * PAGE, boundary: 2 ** 32 });
    const iova = list.addresses[0]!;
    expect(segmentsOf(list)).toEqual([
      [iova, 8 * PAGE],
      [iova + 8 * PAGE, 8 * PAGE],
      [iova + 16 * PAGE, 4 * PAGE],
    ]);
  });

  it('starts a new segment after one that ends inside a page and at one that begins inside a page', () => {
    const { list, domain } = map([
      [PA, PAGE],
      [PA + 4 * PAGE, 100],
      [PA + 8 * PAGE, PAGE],
      [PA + 12 * PAGE + 512, 1024],
    ]);
    const iova = list.addresses[0]!;
    expect(segmentsOf(list)).toEqual([
      [iova, PAGE + 100],
      [iova + 2 * PAGE, PAGE],
      [iova + 3 * PAGE + 512, 1024],
    ]);
    expect(domain.space!.table.lookup(iova + 3 * PAGE + 512)).toBe(PA + 12 * PAGE + 512);
  });

  it('lets no segment cross the boundary of the device', () => {
    // The third piece would lie across the boundary; the second is mapped a page longer instead.
    const pieces: [number, number][] = [
      [PA, PAGE],
      [PA + 16 * PAGE, 2 * PAGE],
      [PA + 32 * PAGE, 2 * PAGE],
    ];
    const { list, domain } = map(pieces, { maxSegment: 2 ** 20, boundary: 4 * PAGE });
    const iova = list.addresses[0]!;
    expect(iova % (4 * PAGE)).toBe(0);
    expect(segmentsOf(list)).toEqual([
      [iova, 3 * PAGE],
      [iova + 4 * PAGE, 2 * PAGE],
    ]);
    expect(domain.space!.table.lookup(iova + 3 * PAGE)).toBe(PA + 18 * PAGE);
  });

  it('finds every byte of any list where its mapped segments say', () => {
    const segment = fc.tuple(
      fc.integer({ min: 0, max: 63 }),
      fc.integer({ min: 0, max: 4095 }),
      fc.integer({ min: 1, max: 20_000 }),
    );
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 12 }), fc.constantFrom(2, 4, 16), (drawn, pages) => {
        const pieces = drawn.map(([at, offset, bytes]): [number, number] => [PA + at * 2 ** 16 + offset, bytes]);
        const limits = { maxSegment: pages * PAGE, boundary: 16 * PAGE };
        const { list, domain, dma, recorder, machine } = map(pieces, limits);
        const inOrder = segmentsOf(list).flatMap(([address, bytes]) =>
          Array.from({ length: bytes }, (_, i) => address + i),
        );
        expect(inOrder).toHaveLength(pieces.reduce((sum, [, bytes]) => sum + bytes, 0));
        let at = 0;
        for (const [pa, bytes] of pieces) {
          for (const byte of [0, Math.floor(bytes / 2), bytes - 1]) {
            expect(domain.space!.table.lookup(inOrder[at + byte]!)).toBe(pa + byte);
          }
          at += bytes;
        }
        const { scheduler } = machine.os;
        scheduler.start(
          scheduler.spawn('end', scheduler.cpus[1]!, function* (thread) {
            yield* dma.unmapList(thread, domain, list, BOTH);
          }),
        );
        machine.run();
        expect(domain.space!.table.lookup(inOrder[0]!)).toBe(-1);
        expect(domain.space!.table.lookup(inOrder.at(-1)!)).toBe(-1);
        expect(recorder.pagesLive).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('uses physical addresses, one segment each, in passthrough mode', () => {
    const { list, machine } = map(scattered(3), DEFAULT_LIMITS, {
      mode: 'passthrough',
      costs: { mapCall: 7, segment: 2 },
    });
    expect(segmentsOf(list)).toEqual(scattered(3));
    expect(machine.now).toBe(13);
  });

  it('maps nothing and counts a failure when there is no room for the whole list', () => {
    const { dma, domain, recorder, run } = bench({ iova: { addressBits: 20 } });
    const list = new ScatterList(scattered(256), DEFAULT_LIMITS);
    run(function* (thread) {
      expect(yield* dma.mapList(thread, domain, list, BOTH)).toBe(false);
    });
    expect(dma.failures).toBe(1);
    expect(dma.pages).toBe(0);
    expect(list.mapped).toBe(0);
    expect(recorder.pagesLive).toBe(0);
  });

  it('refuses empty lists and empty segments', () => {
    expect(() => new ScatterList([], DEFAULT_LIMITS)).toThrow('needs a segment');
    expect(() => new ScatterList([[PA, 0]], DEFAULT_LIMITS)).toThrow('no bytes');
  });
});

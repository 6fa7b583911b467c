import { describe, expect, it } from 'vitest';
import { DescriptorType } from '../../iommu/arch/vtd/format.js';
import { Access } from '../../protocol/access.js';
import { Registry } from '../../stats/registry.js';
import { type MachineOptions, TestMachine } from '../testing/machine.js';
import { Recorder } from '../testing/recorder.js';
import { STEP_NAMES } from '../step.js';
import { LATE_TAG, type StreamSpec } from './stream.js';

const SPEC: StreamSpec = {
  threads: 1,
  depth: 4,
  burst: 1,
  size: 1500,
  segments: 1,
  placement: 'contiguous',
  maxSegment: 65536,
  completers: 0,
  direction: 'from-device',
  lateAccess: 0,
  lateAfter: 0,
};
const COSTS = { mapCall: 100_000, unmapCall: 200_000, completion: 50_000, poll: 1000 };

function start(spec: Partial<StreamSpec>, options: MachineOptions = {}) {
  const machine = new TestMachine({ costs: COSTS, dma: 10_000_000, ...options });
  machine.os.jobs.addStream('rx', { ...SPEC, ...spec }, 0, 0);
  const registry = new Registry();
  machine.os.registerMetrics(registry);
  machine.os.start();
  const metric = (name: string): number => registry.collect(machine.now).find((value) => value.metric === name)!.value;
  return { machine, metric, registry };
}

describe('stream driver', () => {
  it('posts `depth` buffers, then one for each that the device gives back, in order', () => {
    const { machine } = start({ depth: 3 }, { mode: 'passthrough' });
    machine.runOperations(7);
    const tags = machine.dmas.map(({ tag }) => tag);
    expect(tags.slice(0, 9)).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
    // The first three maps follow each other; the first completion comes 10 us after the first post.
    expect(machine.dmas.slice(0, 3).map(({ at }) => at)).toEqual([100_000, 200_000, 300_000]);
    expect(machine.dmas[3]!.at).toBe(100_000 + 10_000_000 + 50_000 + 200_000 + 100_000);
    expect(machine.operations[0]).toEqual({ job: 0, latencyPs: 10_350_000, at: 10_350_000 });
  });

  it('posts DMA addresses that its mappings made, with the access of the direction', () => {
    for (const [direction, access] of [
      ['from-device', Access.Write],
      ['to-device', Access.Read],
    ] as const) {
      const { machine } = start({ direction });
      machine.runOperations(3);
      const first = machine.dmas[0]!;
      expect(first.access).toBe(access);
      expect(first.bytes).toBe(1500);
      expect(machine.os.devices[0]!.domainOf(-1)!.space!.table.lookup(machine.dmas.at(-1)!.address)).toBeGreaterThan(0);
    }
  });

  it('keeps threads apart and gives every buffer its own tag', () => {
    const { machine } = start({ threads: 3, depth: 2 });
    machine.run(9_000_000);
    expect(new Set(machine.dmas.map(({ tag }) => tag))).toEqual(new Set([0, 1, 2, 3, 4, 5]));
    expect(machine.dmas).toHaveLength(6);
  });

  it('accounts for the thread from completion to post: idle, completion, unmap, map', () => {
    const { machine, metric } = start({ depth: 1 }, { mode: 'passthrough' });
    machine.runOperations(5);
    machine.run(machine.now + 100_000);
    const cycles = (ps: number): number => (ps * 3e9) / 1e12;
    expect(metric('loop.cycles.idle')).toBe(cycles(10_000_000));
    expect(metric('loop.cycles.completion')).toBe(cycles(50_000));
    expect(metric('loop.cycles.unmap')).toBe(cycles(200_000));
    expect(metric('loop.cycles.map')).toBe(cycles(100_000));
    expect(metric('operation.rate')).toBeCloseTo(1e12 / 10_350_000, -4);
  });

  it('lets a misbehaving device touch the asked share of buffers again, at the asked time', () => {
    const { machine, metric } = start({ lateAccess: 25, lateAfter: 3_000_000 });
    machine.runOperations(2000);
    const late = machine.dmas.filter(({ tag }) => tag === LATE_TAG);
    expect(metric('dma.late')).toBe(late.length);
    expect(late.length).toBeGreaterThan(400);
    expect(late.length).toBeLessThan(600);
    const posted = new Set(
      machine.dmas.filter(({ tag }) => tag !== LATE_TAG).map(({ address, at }) => `${address}@${at}`),
    );
    for (const { address, at } of late) expect(posted.has(`${address}@${at - 10_000_000 - 3_000_000}`)).toBe(true);
  });

  it('goes on with fewer buffers when the address space is too small for all', () => {
    const { machine, metric } = start({ depth: 4, size: 64 * 4096 }, { iova: { addressBits: 20 } });
    machine.runOperations(50);
    expect(metric('map.failures')).toBeGreaterThan(0);
    expect(metric('operations')).toBe(50);
  });

  it('posts a DMA for each mapped segment of a list and unmaps when all have completed', () => {
    const list = { depth: 1, size: 4096, segments: 20, placement: 'scattered', maxSegment: 32768 } as const;
    const { machine, metric } = start(list, { mode: 'strict' });
    machine.runOperations(2);
    const first = machine.dmas.slice(0, 3);
    expect(first.map(({ tag, bytes }) => [tag, bytes])).toEqual([
      [0, 32768],
      [0, 32768],
      [0, 16384],
    ]);
    expect(first[1]!.address).toBe(first[0]!.address + 32768);
    expect(machine.commands.filter(({ type }) => type === DescriptorType.Iotlb)).toHaveLength(2);
    expect(metric('operations')).toBe(2);
    // Twenty pages of memory apart from each other, side by side for the device.
    const table = machine.os.devices[0]!.domainOf(-1)!.space!.table;
    machine.run(machine.now + 200_000);
    const { address } = machine.dmas.at(-3)!;
    const pages = Array.from({ length: 20 }, (_, i) => table.lookup(address + i * 4096));
    for (let i = 1; i < 20; i++) expect(pages[i]! - pages[i - 1]!).toBe(2 * 4096);
  });

  it('posts one DMA for each segment in passthrough mode', () => {
    const list = { depth: 1, size: 4096, segments: 5, placement: 'contiguous' } as const;
    const { machine } = start(list, { mode: 'passthrough' });
    machine.runOperations(1);
    const addresses = machine.dmas.slice(0, 5).map(({ address }) => address - machine.dmas[0]!.address);
    expect(addresses).toEqual([0, 4096, 8192, 12288, 16384]);
  });

  it('unmaps on other CPUs when there are completers, and posts again what they unmapped', () => {
    const { machine, metric } = start({ threads: 2, depth: 2, completers: 1 }, { mode: 'passthrough' });
    machine.runOperations(100);
    expect(new Set(machine.dmas.map(({ tag }) => tag))).toEqual(new Set([0, 1, 2, 3]));
    const [first, second, completer] = machine.os.scheduler.cpus.map(({ thread }) => thread?.name);
    expect([first, second, completer]).toEqual(['rx/0', 'rx/1', 'rx/completer/0']);
    // One completer takes 250 ns for each of four buffers that come every 10 us and more.
    expect(metric('operation.rate')).toBeGreaterThan(380_000);
    expect(metric('operation.rate')).toBeLessThan(400_000);
  });

  it('drains magazines where it maps and fills them where it unmaps: one depot exchange for 127 operations and side', () => {
    const spec = { depth: 32, completers: 1 };
    const { machine, metric, registry } = start(spec, { mode: 'strict', dma: 1_000_000 });
    machine.runOperations(2000);
    registry.reset(machine.now);
    machine.runOperations(127 * 20);
    expect(Math.abs(metric('iova.depot.fetches') - 20)).toBeLessThanOrEqual(1);
    expect(Math.abs(metric('iova.depot.stores') - 20)).toBeLessThanOrEqual(1);
    expect(metric('iova.tree.allocations')).toBe(0);
    // On one CPU nothing ever leaves its magazines.
    const alone = start({ depth: 32 }, { mode: 'strict', dma: 1_000_000 });
    alone.machine.runOperations(4540);
    expect(alone.metric('iova.depot.fetches') + alone.metric('iova.depot.stores')).toBe(0);
  });

  it('tries again at the next tick when it could map none of its buffers', () => {
    const options = { mode: 'bounce', swiotlb: { size: 2 ** 18 } } as const;
    const { machine, metric } = start({ threads: 2, depth: 1, size: 2 ** 18 }, options);
    machine.run(100e9);
    // The other thread has the pool, but for the moments between its unmaps and maps.
    expect(metric('map.failures')).toBeGreaterThan(97);
    expect(metric('map.failures')).toBeLessThanOrEqual(101);
    expect(new Set(machine.dmas.map(({ tag }) => tag))).toEqual(new Set([0]));
  });

  it.each(['strict', 'lazy', 'passthrough', 'bounce'] as const)(
    'keeps the books and adds up its turns in %s mode, with lists and completers',
    (mode) => {
      const recorder = new Recorder();
      const spec = { threads: 2, completers: 1, segments: 3, size: 5000, placement: 'scattered' } as const;
      const { machine, registry, metric } = start(spec, { mode, observer: recorder });
      recorder.now = () => machine.now;
      machine.runOperations(1500);
      for (const call of ['map', 'unmap']) {
        const sum = STEP_NAMES.reduce((all, step) => all + metric(`${call}.time.${step}`), 0);
        const { histogram } = registry.histograms().find((h) => h.metric === `${call}.latency`)!;
        expect(1000 * sum).toBeCloseTo(histogram.mean(), 3);
      }
      const live = machine.os.devices[0]!.domainOf(-1)!.space === null ? 0 : recorder.pagesLive;
      expect(live).toBeLessThanOrEqual(8 * 8 * 300);
      expect(metric('map.failures')).toBe(0);
    },
  );
});

import { describe, expect, it } from 'vitest';
import { Access } from '../../protocol/access.js';
import { Registry } from '../../stats/registry.js';
import { type MachineOptions, TestMachine } from '../testing/machine.js';
import { LATE_TAG, type StreamSpec } from './stream.js';

const SPEC: StreamSpec = {
  threads: 1,
  depth: 4,
  burst: 1,
  size: 1500,
  direction: 'from-device',
  lateAccess: 0,
  lateAfter: 0,
};
const COSTS = { mapCall: 100_000, unmapCall: 200_000, completion: 50_000, poll: 1000 };

function start(spec: Partial<StreamSpec>, options: MachineOptions = {}) {
  const machine = new TestMachine({ costs: COSTS, dma: 10_000_000, ...options });
  machine.os.addStream('rx', { ...SPEC, ...spec }, 0, 0);
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
});

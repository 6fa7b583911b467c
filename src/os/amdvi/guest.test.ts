import { describe, expect, it } from 'vitest';
import { Opcode } from '../../iommu/arch/amdvi/format.js';
import { Access } from '../../protocol/access.js';
import { DmaApi } from '../dma/api.js';
import { STEP_NAMES } from '../step.js';
import type { MachineOptions } from '../testing/machine.js';
import { AmdMachine } from './testing/machine.js';

const BOTH: Access = Access.Read | Access.Write;
const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 24;
const GUEST = { exit: 2000, lock: 5, emulation: 30, call: 11, pin: 100, unpin: 60 } as const;

function mapAndUnmap(
  pages: number,
  options: MachineOptions,
): {
  machine: AmdMachine;
  maps: Record<string, number>;
  unmaps: Record<string, number>;
} {
  const machine = new AmdMachine({ invalidation: 0, iova: { cachedOrders: 0 }, ...options });
  const { scheduler, devices } = machine.os;
  const dma = new DmaApi(scheduler, machine.spec.costs, null, 16);
  const domain = devices[0]!.domainOf(-1)!;
  machine.run();
  machine.seen.length = 0;
  const thread = scheduler.spawn('cpu 0', scheduler.cpus[0]!, function* (self) {
    const address = yield* dma.map(self, domain, PA, pages * PAGE, BOTH);
    yield* dma.unmap(self, domain, address, pages * PAGE, BOTH);
  });
  scheduler.start(thread);
  machine.run();
  const steps = (meter: DmaApi['maps']): Record<string, number> => {
    const all = STEP_NAMES.map((name, step) => [name, meter.ledger.totalPs(step)] as const);
    return Object.fromEntries(all.filter(([, ps]) => ps !== 0));
  };
  return { machine, maps: steps(dma.maps), unmaps: steps(dma.unmaps) };
}

describe('a guest with NpCache', () => {
  it('leaves for every command: one invalidation and one COMPLETION_WAIT a map and an unmap', () => {
    const { machine, maps, unmaps } = mapAndUnmap(1, { guest: { ...GUEST, mode: 'caching' } });
    expect(maps).toEqual({ exit: 4000, emulation: 2 * (5 + 30), host_call: 11 + 100 });
    // The host's own wait polls every microsecond, and its completion is there at once.
    expect(unmaps).toEqual({ exit: 4000, emulation: 2 * (5 + 30), host_call: 11 + 60 });
    expect(machine.takeInvalidations()).toMatchObject([{ opcode: Opcode.InvalidatePages, addressMask: 0 }]);
  });

  it('names naturally aligned pieces; hardware hears of each leaf that went', () => {
    const { machine, maps } = mapAndUnmap(3, { guest: { ...GUEST, mode: 'caching' } });
    const exits = maps['exit']! / 2000 - 1;
    expect(exits).toBe(2);
    const seen = machine.takeInvalidations();
    expect(seen.reduce((sum, { addressMask }) => sum + 2 ** addressMask, 0)).toBe(3);
  });

  it('is strict', () => {
    const machine = new AmdMachine({ mode: 'lazy', guest: { ...GUEST, mode: 'caching' } });
    expect(machine.os.devices[0]!.domainOf(-1)!.space!.queue).toBeNull();
  });
});

describe('a guest that owns its guest tables', () => {
  const unit = { stage: 'nested', levels: 4, secondLevels: 4 } as const;

  it('maps in the guest; an unmap leaves it twice', () => {
    const { machine, maps, unmaps } = mapAndUnmap(1, { unit, guest: { ...GUEST, mode: 'nested-trapped' } });
    expect(maps).toEqual({});
    expect(unmaps).toEqual({ exit: 4000, emulation: 2 * (5 + 30), host_call: 11 });
    expect(machine.takeInvalidations()).toMatchObject([{ opcode: Opcode.InvalidatePages, pasid: 0 }]);
  });

  it('never leaves where hardware executes its buffer', () => {
    const { machine, unmaps } = mapAndUnmap(1, { unit, guest: { ...GUEST, mode: 'nested-queue' } });
    expect(unmaps).toEqual({});
    expect(machine.takeInvalidations()).toHaveLength(1);
  });
});

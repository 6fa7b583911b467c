import { describe, expect, it } from 'vitest';
import { Access } from '../protocol/access.js';
import { DmaApi } from './dma/api.js';
import { type Step, STEP_NAMES } from './step.js';
import { type MachineOptions, TestMachine } from './testing/machine.js';

const PA = 2 ** 32 + 2 ** 24;
const PAGE = 4096;
const HOP = 30_000;
const COSTS = { descriptor: 10_000, mmioWrite: 100_000, mmioFlight: 150_000, poll: 20_000, socketHop: HOP };

/** Steps of a strict unmap on a CPU of the unit's socket, 0, or of the other. */
function unmap(socket: 0 | 1, options: MachineOptions = {}): Record<string, number> {
  const machine = new TestMachine({ cores: [1, 1], costs: COSTS, invalidation: 600_000, ...options });
  const { scheduler, devices } = machine.os;
  const domain = devices[0]!.domainOf(-1)!;
  const dma = new DmaApi(scheduler, machine.spec.costs, null, 16);
  scheduler.start(
    scheduler.spawn('cpu', scheduler.cpus[socket]!, function* (thread) {
      const address = yield* dma.map(thread, domain, PA, PAGE, Access.Write);
      yield* dma.unmap(thread, domain, address, PAGE, Access.Write);
    }),
  );
  machine.run();
  return Object.fromEntries(STEP_NAMES.map((name, step: Step) => [name, dma.unmaps.ledger.totalPs(step)]));
}

describe('a CPU on another socket than the unit', () => {
  it('waits for its descriptors, its doorbell and its polls to cross the link', () => {
    const [near, far] = [unmap(0), unmap(1)];
    expect(near['descriptor']).toBe(2 * 10_000);
    expect(far['descriptor']).toBe(2 * 10_000 + 2 * HOP);
    expect(far['doorbell']).toBe(near['doorbell']);
    // The unit is done 750 ns after the doorbell, seen every 20 ns; or after 780 ns, seen every 80 ns.
    expect(near['completion']).toBe(760_000);
    expect(far['completion']).toBe(800_000);
  });

  it('has no distance to a unit of its own socket', () => {
    const devices = [{ name: 'dev', unit: 1, requester: 0x100 }];
    expect(unmap(0, { devices, units: 2 })).toEqual(unmap(0));
  });
});

import { describe, expect, it } from 'vitest';
import { Opcode } from '../../iommu/arch/smmuv3/format.js';
import { Access } from '../../protocol/access.js';
import { DmaApi } from '../dma/api.js';
import type { Domain } from '../domain.js';
import { STEP_NAMES } from '../step.js';
import type { MachineOptions } from '../testing/machine.js';
import type { Program, Thread } from '../thread.js';
import { delayBefore, pollEnd } from './register-poll.js';
import { SmmuMachine } from './testing/machine.js';

const BOTH: Access = Access.Read | Access.Write;
const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 30;
const UNIT = { stage: 'nested', secondLevels: 4, invalidation: { sizeLg2: 8, maxAddressMask: 0, queues: 1 } } as const;
const TRAPPED: MachineOptions = {
  unit: UNIT,
  guest: { mode: 'nested-trapped', exit: 2000, lock: 5, lockHandOver: 400, emulation: 30, call: 11, batch: 64 },
};
const QUEUE: MachineOptions = { unit: UNIT, guest: { mode: 'nested-queue' }, costs: { mmioRead: 1000 } };

interface Bench {
  readonly machine: SmmuMachine;
  readonly dma: DmaApi;
  readonly domain: Domain;
  readonly on: (cpu: number, program: (thread: Thread) => Program) => void;
}

function bench(options: MachineOptions): Bench {
  const machine = new SmmuMachine({ invalidation: 700, ...options });
  const { scheduler, devices } = machine.os;
  machine.run();
  machine.seen.length = 0;
  return {
    machine,
    dma: new DmaApi(scheduler, machine.spec.costs, null, 16),
    domain: devices[0]!.domainOf(-1)!,
    on: (cpu, program) => scheduler.start(scheduler.spawn(`cpu ${cpu}`, scheduler.cpus[cpu]!, program)),
  };
}

/** Steps of one strict unmap of so many pages, and the commands that hardware saw meanwhile. */
function unmap(pages: number, options: MachineOptions): { steps: Record<string, number>; opcodes: Opcode[] } {
  const { machine, dma, domain, on } = bench(options);
  on(0, function* (thread) {
    const address = yield* dma.map(thread, domain, PA, pages * PAGE, BOTH);
    yield* dma.unmap(thread, domain, address, pages * PAGE, BOTH);
  });
  machine.run();
  const { ledger } = dma.unmaps;
  const all = STEP_NAMES.map((name, step) => [name, ledger.totalPs(step)] as const);
  return {
    steps: Object.fromEntries(all.filter(([, ps]) => ps !== 0)),
    opcodes: machine.seen.map(({ opcode }) => opcode),
  };
}

const tlbi = (count: number): Opcode[] => Array<Opcode>(count).fill(Opcode.TLBI_NH_VA);

describe('a guest with an emulated command queue', () => {
  it('leaves for the write of CMDQ_PROD and again for the read of CMDQ_CONS', () => {
    const { steps, opcodes } = unmap(1, TRAPPED);
    // Emulated: one TLBI, one CMD_SYNC, one register read.
    expect(steps).toEqual({ exit: 4000, emulation: 2 * 5 + 3 * 30, host_call: 11 + 700 });
    expect(opcodes).toEqual([Opcode.TLBI_NH_VA, Opcode.CMD_SYNC]);
  });

  it('emulates every command; the host takes them at once, in blocks of 63 with a CMD_SYNC each', () => {
    const { steps, opcodes } = unmap(64, TRAPPED);
    expect(steps).toEqual({ exit: 4000, emulation: 2 * 5 + 66 * 30, host_call: 11 + 2 * 700 });
    expect(opcodes).toEqual([...tlbi(63), Opcode.CMD_SYNC, Opcode.TLBI_NH_VA, Opcode.CMD_SYNC]);
  });

  it('makes a call for each command when the monitor does not collect them', () => {
    const { steps, opcodes } = unmap(3, { ...TRAPPED, guest: { ...TRAPPED.guest!, batch: 1 } });
    expect(steps['host_call']).toBe(3 * 711);
    expect(opcodes).toEqual([1, 2, 3].flatMap(() => [Opcode.TLBI_NH_VA, Opcode.CMD_SYNC]));
  });

  it('a guest batch that overflows reaches hardware whole', () => {
    const { opcodes } = unmap(100, TRAPPED);
    expect(opcodes.filter((opcode) => opcode === Opcode.TLBI_NH_VA)).toHaveLength(100);
    expect(opcodes.at(-1)).toBe(Opcode.CMD_SYNC);
  });

  it('a second vCPU that polls sleeps for the lock while the first one emulates', () => {
    const { machine, dma, domain, on } = bench(TRAPPED);
    for (const cpu of [0, 1]) {
      on(cpu, function* (thread) {
        const address = yield* dma.map(thread, domain, PA + cpu * PAGE, PAGE, BOTH);
        yield* dma.unmap(thread, domain, address, PAGE, BOTH);
      });
    }
    machine.run();
    expect(dma.unmaps.latency.count).toBe(2);
    expect(machine.seen.filter(({ opcode }) => opcode === Opcode.TLBI_NH_VA)).toHaveLength(2);
    expect(dma.unmaps.ledger.totalPs(STEP_NAMES.indexOf('host_lock'))).toBeGreaterThan(400);
  });

  it('a change of the second stage removes everything of the machine, by the queue of the host', () => {
    const { machine } = bench({ ...TRAPPED, guest: { ...TRAPPED.guest!, stage2Change: 5000 }, cores: [2] });
    const begin = machine.now;
    machine.os.start();
    machine.run(begin + 5000 + 11 + 700);
    expect(machine.seen.map(({ opcode }) => opcode)).toEqual([Opcode.TLBI_S12_VMALL, Opcode.CMD_SYNC]);
    expect(machine.now).toBe(begin + 5711);
  });
});

describe('a guest with a queue that hardware executes', () => {
  it('never leaves; the end is seen by the first read of CMDQ_CONS after it', () => {
    expect(unmap(1, { ...QUEUE, invalidation: 999 })).toMatchObject({ steps: { completion: 1000 } });
    expect(unmap(1, { ...QUEUE, invalidation: 1000 })).toMatchObject({ steps: { completion: 1000 } });
    expect(unmap(1, { ...QUEUE, invalidation: 1001 })).toMatchObject({ steps: { completion: 2000 } });
    expect(unmap(64, QUEUE).opcodes).toEqual([...tlbi(64), Opcode.CMD_SYNC]);
  });

  it('sends configuration by the monitor', () => {
    const { machine, domain, on } = bench({ ...QUEUE, guest: { ...QUEUE.guest, exit: 2000, mode: 'nested-queue' } });
    const begin = machine.now;
    on(0, function* (thread) {
      yield* machine.os.devices[0]!.group.detach(thread);
    });
    machine.run();
    expect(domain.tags).toEqual([]);
    expect(machine.now - begin).toBeGreaterThan(4000);
    expect(machine.seen.map(({ opcode }) => opcode)).toContain(Opcode.TLBI_NH_ASID);
  });

  it('two CPUs that wait are woken by their own CMD_SYNC', () => {
    const { machine, dma, domain, on } = bench(QUEUE);
    for (const cpu of [0, 1, 2]) {
      on(cpu, function* (thread) {
        for (let i = 0; i < 200; i++) {
          const address = yield* dma.map(thread, domain, PA + cpu * PAGE, PAGE, BOTH);
          yield* dma.unmap(thread, domain, address, PAGE, BOTH);
        }
      });
    }
    machine.run();
    expect(dma.unmaps.latency.count).toBe(600);
  });
});

describe('polling of CMDQ_CONS', () => {
  it('delays 1, 2, 4 us before every tenth read', () => {
    expect(Array.from({ length: 31 }, (_, read) => delayBefore(read)).filter((delay) => delay > 0)).toEqual([
      1e6, 2e6, 4e6,
    ]);
    expect(delayBefore(10)).toBe(1e6);
  });

  it('sees a change at the end of the first read that is not before it', () => {
    expect(pollEnd(0, 1000)).toBe(1000);
    expect(pollEnd(10_000, 1000)).toBe(10_000);
    expect(pollEnd(10_001, 1000)).toBe(10_000 + 1e6 + 1000);
    expect(pollEnd(10_000 + 1e6 + 10_001, 1000)).toBe(20_000 + 3e6 + 1000);
  });
});

import { describe, expect, it } from 'vitest';
import { DmaApi } from '../dma/api.js';
import { Access } from '../../protocol/access.js';
import type { Domain } from '../domain.js';
import { STEP_NAMES } from '../step.js';
import { testTableCosts } from '../testing/costs.js';
import { type MachineOptions, TestMachine } from '../testing/machine.js';
import { Recorder } from '../testing/recorder.js';
import type { Program, Thread } from '../thread.js';
import { type Run, UserMemory } from './user-memory.js';

const BOTH: Access = Access.Read | Access.Write;
const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 24;
const COSTS = { call: 1000, pinBatch: 4, pinCall: 50, pinPage: 10, unpinPage: 3, run: 7 };

interface Bench {
  readonly machine: TestMachine;
  readonly dma: DmaApi;
  readonly memory: UserMemory;
  readonly domain: Domain;
  readonly on: (program: (thread: Thread) => Program) => void;
}

function bench(options: MachineOptions = {}): Bench {
  const recorder = new Recorder();
  const costs = { table: testTableCosts({ call: 100, leaf: 1 }, { call: 300, leaf: 2 }) };
  const machine = new TestMachine({ invalidation: 700, observer: recorder, costs, ...options });
  recorder.now = () => machine.now;
  const { scheduler, devices } = machine.os;
  const dma = new DmaApi(scheduler, machine.spec.costs, recorder, 16);
  return {
    machine,
    dma,
    memory: new UserMemory(dma, COSTS),
    domain: devices[0]!.domainOf(-1)!,
    on: (program) => scheduler.start(scheduler.spawn('user', scheduler.cpus[0]!, program)),
  };
}

const scattered = (pages: number): Run[] =>
  Array.from({ length: pages }, (_, i) => ({ pa: PA + 2 * i * PAGE, bytes: PAGE }));

function steps(meter: DmaApi['maps']): Record<string, number> {
  const all = STEP_NAMES.map((name, step) => [name, meter.ledger.totalPs(step)] as const);
  return Object.fromEntries(all.filter(([, ps]) => ps !== 0));
}

describe('a system call that maps user memory', () => {
  it('pins in batches and maps run by run; the unmap flushes once', () => {
    const { machine, dma, memory, domain, on } = bench();
    on(function* (thread) {
      const iova = yield* memory.map(thread, domain, scattered(6), BOTH);
      for (let i = 0; i < 6; i++) expect(domain.space!.table.lookup(iova + i * PAGE)).toBe(PA + 2 * i * PAGE);
      yield* memory.unmap(thread, domain, iova, scattered(6));
      expect(domain.space!.table.lookup(iova)).toBe(-1);
    });
    machine.run();
    expect(steps(dma.maps)).toEqual({ syscall: 1000 + 6 * 7, pin: 2 * 50 + 6 * 10, table: 6 * 101 });
    expect(steps(dma.unmaps)).toEqual({ syscall: 1000, pin: 6 * 3, table: 300 + 6 * 2, completion: 700 });
    expect(machine.commands).toHaveLength(1);
    expect(dma.pages).toBe(6);
  });

  it('maps frames that follow each other in one go, cut where a batch ends', () => {
    const { machine, dma, memory, domain, on } = bench();
    const runs = [{ pa: PA, bytes: 6 * PAGE }];
    on(function* (thread) {
      const iova = yield* memory.map(thread, domain, runs, BOTH);
      yield* memory.unmap(thread, domain, iova, runs);
    });
    machine.run();
    expect(steps(dma.maps)).toEqual({ syscall: 1000 + 2 * 7, pin: 2 * 50 + 6 * 10, table: 2 * 100 + 6 });
  });

  it('uses the page of the tables', () => {
    const unit = { granule: 16_384, largestPage: 16_384, levels: 4, architecture: 'smmuv3', mode: 'native' } as const;
    const options = {
      unit: { ...unit, stage: 'first', invalidation: { sizeLg2: 8, maxAddressMask: 36, queues: 1 } },
    } as const;
    const { machine, dma, memory, domain, on } = bench(options);
    on(function* (thread) {
      yield* memory.map(thread, domain, [{ pa: PA, bytes: 65_536 }], BOTH);
    });
    machine.run();
    expect(dma.pages).toBe(4);
    expect(steps(dma.maps)['pin']).toBe(50 + 4 * 10);
  });

  it('only pins where nothing is translated', () => {
    const { machine, dma, memory, domain, on } = bench({ mode: 'passthrough' });
    on(function* (thread) {
      const iova = yield* memory.map(thread, domain, scattered(2), BOTH);
      yield* memory.unmap(thread, domain, iova, scattered(2));
    });
    machine.run();
    expect(steps(dma.maps)).toEqual({ syscall: 1000, pin: 50 + 2 * 10 });
    expect(steps(dma.unmaps)).toEqual({ syscall: 1000, pin: 6 });
    expect(machine.commands).toEqual([]);
  });

  it('says so when no address space is left', () => {
    const { machine, dma, memory, domain, on } = bench({ iova: { addressBits: 20 } });
    on(function* (thread) {
      expect(yield* memory.map(thread, domain, scattered(1024), BOTH)).toBe(0);
    });
    machine.run();
    expect(dma.failures).toBe(1);
  });
});

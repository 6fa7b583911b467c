import { describe, expect, it } from 'vitest';
import {
  contextAsid,
  DefaultSubstream,
  defaultSubstream,
  Opcode,
  Register,
  StreamConfig,
  streamConfig,
  streamVmid,
} from '../../iommu/arch/smmuv3/format.js';
import { Access } from '../../protocol/access.js';
import { DmaApi } from '../dma/api.js';
import type { Domain } from '../domain.js';
import type { MachineOptions } from '../testing/machine.js';
import type { Program, Thread } from '../thread.js';
import { SmmuMachine } from './testing/machine.js';

const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 30;
const BOTH: Access = Access.Read | Access.Write;
const RANGES = { invalidation: { sizeLg2: 8, maxAddressMask: 36, queues: 1 } };
const NO_RANGES = { invalidation: { sizeLg2: 8, maxAddressMask: 0, queues: 1 } };

interface Bench {
  readonly machine: SmmuMachine;
  readonly dma: DmaApi;
  readonly domain: Domain;
  readonly on: (cpu: number, program: (thread: Thread) => Program) => void;
}

function bench(options: MachineOptions = {}): Bench {
  const machine = new SmmuMachine(options);
  const { scheduler, devices } = machine.os;
  return {
    machine,
    dma: new DmaApi(scheduler, machine.spec.costs, null, 16),
    domain: devices[0]!.domainOf(-1)!,
    on: (cpu, program) => scheduler.start(scheduler.spawn(`cpu ${cpu}`, scheduler.cpus[cpu]!, program)),
  };
}

/** Commands of one strict unmap of `bytes`. */
function commandsOf(bytes: number, options: MachineOptions): ReturnType<typeof summary> {
  const { machine, dma, domain, on } = bench(options);
  machine.run();
  machine.seen.length = 0;
  let start = 0;
  on(0, function* (thread) {
    start = yield* dma.map(thread, domain, PA, bytes, BOTH);
    yield* dma.unmap(thread, domain, start, bytes, BOTH);
  });
  machine.run();
  return summary(machine, start);
}

function summary(machine: SmmuMachine, start: number): [Opcode, number, number, boolean][] {
  return machine.seen.map(({ opcode, address, pages, leaf }) =>
    opcode === Opcode.CMD_SYNC ? [opcode, 0, 0, false] : [opcode, address - start, pages, leaf],
  );
}

const SYNC = [Opcode.CMD_SYNC, 0, 0, false];

function dwords(machine: SmmuMachine, address: number, count: number): number[] {
  const all: number[] = [];
  for (let at = 0; at < 4 * count; at += 8) {
    machine.memory.read(Math.floor(address / 2 ** 32), ((address + at) % 2 ** 32) | 0);
    all.push(machine.memory.wordLo, machine.memory.wordHi);
  }
  return all;
}

/** Dwords of the STE of requester 0x100 in a two-level table. */
function streamOf(machine: SmmuMachine): number[] {
  const base = machine.registerWrites.find(({ offset }) => offset === Register.StreamTableBase)!;
  const [lo, hi] = dwords(machine, base.hi * 2 ** 32 + (base.lo >>> 0) + 8, 2);
  return dwords(machine, hi! * 2 ** 32 + ((lo! & ~0x3f) >>> 0), 8);
}

describe('boot', () => {
  it('sets tables and queue, empties every cache, then enables translation', () => {
    const { machine } = bench();
    const offsets = machine.registerWrites.map(({ offset }) => offset);
    const enables = machine.registerWrites.filter(({ offset }) => offset === Register.Control0).map(({ lo }) => lo);
    expect(enables).toEqual([8, 12, 13]);
    expect(offsets.indexOf(Register.StreamTableBase)).toBeLessThan(offsets.indexOf(Register.Control0));
    machine.run();
    expect(machine.seen.map(({ opcode }) => opcode)).toEqual([
      Opcode.CFGI_STE_RANGE,
      Opcode.TLBI_EL2_ALL,
      Opcode.TLBI_NSNH_ALL,
      Opcode.CFGI_STE,
      Opcode.CFGI_CD,
    ]);
  });

  it.each([
    ['strict', 'first', StreamConfig.Stage1],
    ['strict', 'second', StreamConfig.Stage2],
    ['strict', 'nested', StreamConfig.Nested],
    ['passthrough', 'first', StreamConfig.Bypass],
    ['passthrough', 'second', StreamConfig.Bypass],
    ['passthrough', 'nested', StreamConfig.Stage2],
  ] as const)('%s, %s stage', (mode, stage, config) => {
    const { machine } = bench({ mode, unit: { stage, secondLevels: stage === 'nested' ? 4 : 0 } });
    const [d0, , , , d4] = streamOf(machine);
    expect(streamConfig(d0!)).toBe(config);
    expect(streamVmid(d4!)).toBe(config === StreamConfig.Bypass || stage === 'first' ? 0 : 1);
  });

  it('refuses a queue that Linux refuses', () => {
    expect(() => bench({ unit: { invalidation: { sizeLg2: 6, maxAddressMask: 0, queues: 1 } } })).toThrow(RangeError);
  });
});

describe('invalidations of a strict unmap', () => {
  it('one page: one TLBI and one CMD_SYNC', () => {
    expect(commandsOf(PAGE, { unit: NO_RANGES })).toEqual([[Opcode.TLBI_EL2_VA, 0, 1, true], SYNC]);
  });

  it('a page each without ranges, and the whole ASID from 2 MiB on', () => {
    const few = commandsOf(5 * PAGE, { unit: NO_RANGES, superpages: false });
    expect(few).toEqual([...[0, 1, 2, 3, 4].map((i) => [Opcode.TLBI_EL2_VA, i * PAGE, 1, true]), SYNC]);
    const many = commandsOf(512 * PAGE, { unit: NO_RANGES, superpages: false });
    expect(many.map(([opcode]) => opcode)).toEqual([Opcode.TLBI_EL2_ASID, Opcode.CMD_SYNC]);
  });

  it('batches of 64, the last with CMD_SYNC', () => {
    const commands = commandsOf(200 * PAGE, {
      unit: { invalidation: { sizeLg2: 12, maxAddressMask: 0, queues: 1 } },
      superpages: false,
    });
    expect(commands.length).toBe(201);
    expect(commands.filter(([opcode]) => opcode === Opcode.CMD_SYNC).length).toBe(1);
    expect(commands.at(-1)).toEqual(SYNC);
  });

  it('ranges', () => {
    const commands = commandsOf(33 * PAGE, { unit: RANGES, superpages: false });
    expect(commands).toEqual([[Opcode.TLBI_EL2_VA, 0, 1, true], [Opcode.TLBI_EL2_VA, PAGE, 32, true], SYNC]);
  });

  it('table entries too when tables were freed', () => {
    const commands = commandsOf(512 * PAGE, { unit: RANGES, superpages: false });
    expect(commands).toEqual([[Opcode.TLBI_EL2_VA, 0, 512, false], SYNC]);
  });

  it.each([
    ['second', Opcode.TLBI_S2_IPA],
    ['nested', Opcode.TLBI_NH_VA],
  ] as const)('%s stage', (stage, opcode) => {
    const commands = commandsOf(PAGE, { unit: { ...NO_RANGES, stage, secondLevels: stage === 'nested' ? 3 : 0 } });
    expect(commands).toEqual([[opcode, 0, 1, true], SYNC]);
  });
});

describe('queue', () => {
  it('takes commands of many CPUs at once; every one of them waits for its own CMD_SYNC', () => {
    const { machine, dma, domain, on } = bench({
      cores: [8],
      unit: { invalidation: { sizeLg2: 7, maxAddressMask: 0, queues: 1 } },
      superpages: false,
      costs: {
        lock: 8000,
        descriptor: 10_000,
        mmioWrite: 100_000,
        mmioFlight: 150_000,
        poll: 5000,
        lockHandOver: 50_000,
      },
    });
    machine.run();
    machine.seen.length = 0;
    machine.registerWrites.length = 0;
    let done = 0;
    for (let cpu = 0; cpu < 8; cpu++) {
      on(cpu, function* (thread) {
        for (let i = 0; i < 40; i++) {
          const bytes = (1 + ((i * 7 + cpu * 13) % 90)) * PAGE;
          const iova = yield* dma.map(thread, domain, PA, bytes, BOTH);
          yield* dma.unmap(thread, domain, iova, bytes, BOTH);
          done++;
        }
      });
    }
    machine.run();
    expect(done).toBe(320);
    const syncs = machine.seen.filter(({ opcode }) => opcode === Opcode.CMD_SYNC).length;
    expect(syncs).toBeGreaterThanOrEqual(320);
    // One doorbell publishes what several CPUs have gathered.
    expect(machine.registerWrites.length).toBeLessThan(syncs);
  });
});

describe('attach and detach by PASID', () => {
  const device = 0;

  it('writes a context descriptor, and lets requests without PASID as they are', () => {
    const { machine } = bench();
    machine.os.attachPasid(device, 1500);
    const [d0, d1, d2] = streamOf(machine);
    expect(streamConfig(d0!)).toBe(StreamConfig.Stage1);
    expect(defaultSubstream(d2!)).toBe(DefaultSubstream.UseContext0);
    const table = (d1! & 0xffffff) * 2 ** 32 + ((d0! & ~0x3f) >>> 0);
    const [lo, hi] = dwords(machine, table + 8, 2);
    const leaf = hi! * 2 ** 32 + ((lo! & ~0xfff) >>> 0);
    expect(contextAsid(dwords(machine, leaf + 64 * (1500 - 1024), 2)[1]!)).toBe(2);
  });

  it('beside an identity domain stage 1 is bypassed for requests without PASID', () => {
    const { machine } = bench({ mode: 'passthrough' });
    expect(streamConfig(streamOf(machine)[0]!)).toBe(StreamConfig.Bypass);
    const { domain } = bench();
    const driver = machine.os.devices[0]!.domainOf(-1)!.driver;
    driver.attach(domain, machine.os.devices[0]!, 5);
    const [d0, , d2] = streamOf(machine);
    expect(streamConfig(d0!)).toBe(StreamConfig.Stage1);
    expect(defaultSubstream(d2!)).toBe(DefaultSubstream.Bypass);
  });

  it('has no place for a PASID beyond a linear table, nor under stage 2', () => {
    const linear = bench({ unit: { processLevels: 1 } }).machine;
    expect(() => linear.os.attachPasid(device, 1024)).toThrow('PASID 1024 is beyond 1023');
    const second = bench({ unit: { stage: 'second' } }).machine;
    expect(() => second.os.attachPasid(device, 1)).toThrow();
  });

  it('detaching removes the descriptor, then the ASID with its last user', () => {
    const { machine, on } = bench();
    machine.os.attachPasid(device, 9);
    machine.run();
    machine.seen.length = 0;
    on(0, function* (thread) {
      yield* machine.os.devices[0]!.detachPasid(thread, 9);
    });
    machine.run();
    expect(machine.seen.map(({ opcode, ssid, asid }) => [opcode, opcode === Opcode.CFGI_CD ? ssid : asid])).toEqual([
      [Opcode.CFGI_STE, expect.anything()],
      [Opcode.CFGI_CD, 9],
      [Opcode.CMD_SYNC, expect.anything()],
      [Opcode.TLBI_EL2_ASID, 2],
      [Opcode.CMD_SYNC, expect.anything()],
    ]);
  });
});

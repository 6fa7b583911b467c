/** The RISC-V driver: what boot writes, which commands unmaps and detaches send, and what waiting for them costs. */
import { describe, expect, it } from 'vitest';
import {
  Command,
  Control,
  type DecodedCommand,
  DirectoryMode,
  Register,
  rootMode,
} from '../../iommu/arch/riscv/format.js';
import { Access } from '../../protocol/access.js';
import { DmaApi } from '../dma/api.js';
import type { Domain } from '../domain.js';
import { STEP_NAMES } from '../step.js';
import type { MachineOptions } from '../testing/machine.js';
import { Recorder } from '../testing/recorder.js';
import { RiscvTestMachine } from '../testing/riscv-machine.js';
import type { Program, Thread } from '../thread.js';

const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 24;
const BOTH: Access = Access.Read | Access.Write;
const DEVICE = 0x3b21;
const DEVICES = [{ name: 'd', unit: 0, requester: DEVICE }];

interface Bench {
  readonly machine: RiscvTestMachine;
  readonly dma: DmaApi;
  readonly domain: Domain;
  readonly on: (cpu: number, program: (thread: Thread) => Program) => void;
}

function bench(options: MachineOptions = {}): Bench {
  const recorder = new Recorder();
  const machine = new RiscvTestMachine({ observer: recorder, devices: DEVICES, ...options });
  recorder.now = () => machine.now;
  const { scheduler, devices } = machine.os;
  return {
    machine,
    dma: new DmaApi(scheduler, machine.spec.costs, recorder, 16),
    domain: devices[0]!.domainOf(-1)!,
    on: (cpu, program) => scheduler.start(scheduler.spawn(`cpu ${cpu}`, scheduler.cpus[cpu]!, program)),
  };
}

/** Maps and unmaps `pages` on CPU `cpu`. */
function cycle({ dma, domain, on }: Bench, pages: number, cpu = 0): void {
  on(cpu, function* (thread) {
    const address = yield* dma.map(thread, domain, PA + cpu * 2 ** 30, pages * PAGE, BOTH);
    yield* dma.unmap(thread, domain, address, pages * PAGE, BOTH);
  });
}

function qword(machine: RiscvTestMachine, address: number): bigint {
  machine.memory.read(Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0);
  return (BigInt(machine.memory.wordHi >>> 0) << 32n) | BigInt(machine.memory.wordLo >>> 0);
}

const table = (entry: bigint): number => Number((entry >> 10n) & 0xfffffffffffn) * PAGE;
const root = (word: bigint): number => Number(word & 0xfffffffffffn) * PAGE;

/** Address of the device context. */
function contextAt(machine: RiscvTestMachine): number {
  const write = machine.registerWrites.find(({ offset }) => offset === Register.DirectoryPointer)!;
  const ddtp = (BigInt(write.hi) << 32n) | BigInt(write.lo >>> 0);
  const second = table(qword(machine, table(ddtp) + 8 * (DEVICE >> 16)));
  return table(qword(machine, second + 8 * ((DEVICE >> 7) & 511))) + 32 * (DEVICE & 127);
}

const kinds = (machine: RiscvTestMachine): Command[] => machine.executed.map(({ command }) => command);
const last = (machine: RiscvTestMachine, command: Command): DecodedCommand =>
  machine.executed.filter((each) => each.command === command).at(-1)!;
const addressOf = ({ addressHi, addressLo }: DecodedCommand): number => addressHi * 2 ** 32 + (addressLo >>> 0);

describe('boot', () => {
  it('enables the queues, then the device directory', () => {
    const { machine } = bench();
    expect(machine.registerWrites.map(({ offset }) => offset)).toEqual([
      ...[Register.CommandQueueBase, Register.CommandQueueControl],
      ...[Register.FaultQueueBase, Register.FaultQueueControl, Register.DirectoryPointer],
    ]);
    expect(machine.registerWrites.at(-1)!.lo & 15).toBe(DirectoryMode.ThreeLevels);
    expect(machine.now).toBe(0);
  });

  it('first stage: fsc and PSCID', () => {
    const { machine, domain } = bench();
    const context = contextAt(machine);
    expect(qword(machine, context)).toBe(1n);
    expect(qword(machine, context + 8)).toBe(0n);
    expect(qword(machine, context + 16)).toBe(2n << 12n);
    expect(root(qword(machine, context + 24))).toBe(domain.space!.table.root);
    expect(qword(machine, context + 24) >> 60n).toBe(9n);
  });

  it('second stage: iohgatp and GSCID', () => {
    const { machine, domain } = bench({ unit: { stage: 'second', levels: 3 } });
    const iohgatp = qword(machine, contextAt(machine) + 8);
    expect(root(iohgatp)).toBe(domain.space!.table.root);
    expect(domain.space!.table.root % 16384).toBe(0);
    expect([(iohgatp >> 44n) & 0xffffn, iohgatp >> 60n]).toEqual([2n, 8n]);
    expect(qword(machine, contextAt(machine) + 24)).toBe(0n);
  });

  it('passthrough: both stages Bare', () => {
    const { machine } = bench({ mode: 'passthrough' });
    const context = contextAt(machine);
    expect([0, 8, 16, 24].map((at) => qword(machine, context + at))).toEqual([1n, 0n, 0n, 0n]);
  });

  it('process directories: requests without PASID are process 0', () => {
    const { machine, domain } = bench({ unit: { processLevels: 2 } });
    machine.os.attachPasid(0, 0x1234);
    const context = contextAt(machine);
    expect(qword(machine, context)).toBe(BigInt(1 | Control.ProcessDirectory | Control.DefaultProcess));
    const fsc = qword(machine, context + 24);
    expect(rootMode(Number(fsc >> 32n))).toBe(2);
    const process = (pid: number): bigint[] => {
      const entry = table(qword(machine, root(fsc) + 8 * (pid >> 8))) + 16 * (pid & 255);
      return [qword(machine, entry), qword(machine, entry + 8)];
    };
    const pasidDomain = machine.os.devices[0]!.domainOf(0x1234)!;
    for (const [pid, owner, pscid] of [
      [0, domain, 2n],
      [0x1234, pasidDomain, 3n],
    ] as const) {
      const [ta, first] = process(pid);
      expect(ta).toBe((pscid << 12n) | 1n);
      expect(root(first!)).toBe(owner.space!.table.root);
    }
    expect(() => machine.os.attachPasid(0, 2 ** 17)).toThrow('process directory of 2 levels');
  });

  it('a device id that the directory does not take', () => {
    expect(() => bench({ unit: { deviceLevels: 1 } })).toThrow('device directory of 1 levels');
  });
});

describe('a strict unmap', () => {
  it('sends one range command and a fence', () => {
    const all = bench();
    cycle(all, 3);
    all.machine.run();
    expect(kinds(all.machine)).toEqual([Command.InvalidateFirst, Command.Fence]);
    const command = last(all.machine, Command.InvalidateFirst);
    expect(command).toMatchObject({ byPscid: true, pscid: 2, byGscid: false, byAddress: true, nonLeaf: false });
    expect(4096 * 2 ** command.pagesLg2).toBeGreaterThanOrEqual(3 * PAGE);
    expect(last(all.machine, Command.Fence)).toMatchObject({ stores: false, drains: true });
  });

  it('without ranges one command a page, each with its doorbell', () => {
    const all = bench({ unit: { invalidation: { sizeLg2: 8, maxAddressMask: 0, queues: 1 } } });
    cycle(all, 3);
    all.machine.run();
    const { executed, registerWrites } = all.machine;
    const pages = executed.filter(({ command }) => command === Command.InvalidateFirst).map(addressOf);
    expect(pages).toEqual([pages[0], pages[0]! + PAGE, pages[0]! + 2 * PAGE]);
    expect(registerWrites.filter(({ offset }) => offset === Register.CommandQueueTail).map(({ lo }) => lo)).toEqual([
      ...[1, 2, 3, 4],
    ]);
  });

  it.each([
    ['second', { command: Command.InvalidateSecond, byGscid: true, gscid: 2, byPscid: false }],
    ['nested', { command: Command.InvalidateFirst, byGscid: true, gscid: 1, byPscid: true, pscid: 2 }],
  ] as const)('%s stage: whose entries', (stage, expected) => {
    const all = bench({ unit: { stage, secondLevels: stage === 'nested' ? 4 : 0 } });
    cycle(all, 1);
    all.machine.run();
    expect(all.machine.executed[0]).toMatchObject(expected);
  });

  it('lazy: everything of the address space, once', () => {
    const all = bench({ mode: 'lazy', flushQueue: { entries: 2 } });
    for (let i = 0; i < 4; i++) cycle(all, 1, i);
    all.machine.run();
    const commands = all.machine.executed.filter(({ command }) => command === Command.InvalidateFirst);
    expect(commands.length).toBeGreaterThan(0);
    for (const command of commands) expect(command).toMatchObject({ byPscid: true, pscid: 2, byAddress: false });
  });

  it('costs two commands, two doorbells, and a poll for the fence', () => {
    const costs = { descriptor: 10_000, mmioWrite: 100_000, mmioFlight: 150_000, poll: 400_000, lock: 5000 };
    const all = bench({ costs, invalidation: 1_000_000 });
    cycle(all, 1);
    all.machine.run();
    const { ledger } = all.dma.unmaps;
    const steps = Object.fromEntries(STEP_NAMES.map((name, step) => [name, ledger.totalPs(step)]));
    expect(steps).toMatchObject({ descriptor: 20_000, doorbell: 200_000 });
    // 1.15 us until the head has passed the fence, seen by the third poll.
    expect(steps['completion']).toBe(1_200_000);
  });

  it('a full ring is waited for', () => {
    const unit = { invalidation: { sizeLg2: 2, maxAddressMask: 0, queues: 1 } };
    const all = bench({ unit, invalidation: 5_000_000 });
    cycle(all, 20);
    cycle(all, 20, 1);
    all.machine.run();
    expect(kinds(all.machine).filter((command) => command === Command.InvalidateFirst)).toHaveLength(40);
    expect(kinds(all.machine).filter((command) => command === Command.Fence)).toHaveLength(2);
  });
});

describe('detach', () => {
  it.each([
    [0, Command.InvalidateDevices],
    [1, Command.InvalidateProcess],
  ])('process directory of %i levels: context, its cache, translations, fence', (processLevels, first) => {
    const { machine, domain, on } = bench({ unit: { processLevels } });
    const { driver } = domain;
    on(0, function* (thread) {
      yield* driver.detach(thread, domain, machine.os.devices[0]!, -1);
    });
    machine.run();
    const all = Command.InvalidateFirst;
    expect(kinds(machine)).toEqual([first, all, Command.Fence, all, Command.Fence]);
    expect(machine.executed[0]).toMatchObject({ deviceId: DEVICE, processId: 0, byDevice: true });
    expect(last(machine, all)).toMatchObject({ pscid: 2, byPscid: true, byAddress: false });
    if (processLevels === 0) expect(qword(machine, contextAt(machine))).toBe(0n);
    expect(domain.tags).toEqual([]);
  });

  it('of an identity domain removes the translations of all', () => {
    const { machine, domain, on } = bench({ mode: 'passthrough' });
    on(0, function* (thread) {
      yield* domain.driver.detach(thread, domain, machine.os.devices[0]!, -1);
    });
    machine.run();
    expect(last(machine, Command.InvalidateFirst)).toMatchObject({ byPscid: false, byGscid: false, byAddress: false });
  });
});

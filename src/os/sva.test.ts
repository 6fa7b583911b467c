import { describe, expect, it } from 'vitest';
import { DescriptorType } from '../iommu/arch/vtd/format.js';
import { Access } from '../protocol/access.js';
import { BindError } from './errors.js';
import { MemoryManager } from './mm/memory.js';
import { FORMATS, mmSpec } from './mm/testing/bench.js';
import type { FaultHandler } from './page-fault.js';
import { PasidAllocator } from './pasid-allocator.js';
import { Sva, type SvaDevice } from './sva.js';
import { AmdMachine } from './amdvi/testing/machine.js';
import { SmmuMachine } from './smmuv3/testing/machine.js';
import type { TableFormat } from './table-costs.js';
import { type MachineOptions, TestMachine, UNIT } from './testing/machine.js';
import { RiscvTestMachine } from './testing/riscv-machine.js';
import { FakeDriver, SvaBench, type SvaOptions } from './testing/sva-bench.js';
import type { Call, Thread } from './thread.js';

const PAGE = 4096;
const BASE = 2 ** 40;

/** Runs one program to its end. */
function program(options: SvaOptions, body: (thread: Thread, bench: SvaBench) => Call<void>): SvaBench {
  const bench = new SvaBench(options);
  bench.thread((thread) => body(thread, bench));
  bench.run();
  return bench;
}

function* refusal(call: Call<unknown>): Call<string> {
  try {
    yield* call;
    return 'done';
  } catch (error) {
    if (error instanceof BindError) return error.errno;
    throw error;
  }
}

describe('binding', () => {
  it('V-01: twice gives the same bond; only the last unbind reaches the hardware', () => {
    const { driver, sva } = program({}, function* (thread, { sva, manager, devices, driver }) {
      const mm = manager.create();
      const first = yield* sva.bind(thread, devices[0]!, mm);
      const second = yield* sva.bind(thread, devices[0]!, mm);
      expect(second).toBe(first);
      expect([first.users, first.pasid, mm.pasid]).toEqual([2, 1, 1]);
      expect(driver.roots.get('dev0 1')).toBe(mm.root);
      yield* sva.unbind(thread, first);
      expect(driver.log).toEqual(['attach 0 dev0 1']);
      yield* sva.unbind(thread, first);
      expect(driver.roots.size).toBe(0);
    });
    expect(driver.log).toEqual(['attach 0 dev0 1', 'detach 0 dev0 1', 'drained dev0 1']);
    expect(sva.bonds).toBe(0);
  });

  it('V-02: one domain and one notifier for all devices of an address space', () => {
    program({ devices: 3 }, function* (thread, { sva, manager, devices, driver }) {
      const mm = manager.create();
      manager.addRegion(mm, BASE, 4 * PAGE);
      const bonds = [];
      for (const device of devices) bonds.push(yield* sva.bind(thread, device, mm));
      expect(new Set(bonds.map((bond) => bond.pasid)).size).toBe(1);
      expect(sva.domainsOf(mm).length).toBe(1);
      expect(mm.notifiers!.length).toBe(1);
      expect(sva.domainsOf(mm)[0]!.tags.map(({ unit, pasid }) => [unit, pasid])).toEqual([
        [0, 1],
        [1, 1],
        [2, 1],
      ]);
      yield* manager.touch(thread, mm, BASE, Access.Write);
      yield* manager.munmap(thread, mm, BASE, PAGE);
      expect(driver.log.filter((line) => line.startsWith('flush'))).toEqual([`flush 0 ${BASE} ${PAGE}`]);
      for (const bond of bonds) yield* sva.unbind(thread, bond);
      expect([mm.notifiers, sva.domainsOf(mm).length]).toEqual([null, 0]);
    });
  });

  it('takes a domain for each driver', () => {
    program({ devices: 2 }, function* (thread, { sva, manager, devices }) {
      const mm = manager.create();
      const other: SvaDevice = { ...devices[1]!, driver: new FakeDriver(0) };
      yield* sva.bind(thread, devices[0]!, mm);
      yield* sva.bind(thread, other, mm);
      expect(sva.domainsOf(mm).length).toBe(2);
      expect(mm.notifiers!.length).toBe(2);
    });
  });

  it('V-03: an address space keeps its PASID until it ends, and another may have it then', () => {
    program({}, function* (thread, { sva, manager, devices }) {
      const [a, b, c] = [manager.create(), manager.create(), manager.create()];
      const bond = yield* sva.bind(thread, devices[0]!, a);
      yield* sva.unbind(thread, bond);
      expect((yield* sva.bind(thread, devices[0]!, b)).pasid).toBe(2);
      const again = yield* sva.bind(thread, devices[0]!, a);
      expect(again.pasid).toBe(1);
      yield* manager.put(thread, a);
      // Its bond still holds it.
      expect((yield* sva.bind(thread, devices[0]!, c)).pasid).toBe(3);
      yield* sva.unbind(thread, again);
      expect((yield* sva.bind(thread, devices[0]!, manager.create())).pasid).toBe(1);
    });
  });

  it('refuses what cannot be, with the error of the kernel', () => {
    program({ maxPasids: 3, devices: 2 }, function* (thread, { sva, manager, devices }) {
      const spaces = Array.from({ length: 4 }, () => manager.create());
      const device = devices[0]!;
      const bind = (target: SvaDevice, index: number): Call<string> =>
        refusal(sva.bind(thread, target, spaces[index]!));
      expect(yield* bind({ ...device, driver: null }, 0)).toBe('ENODEV');
      expect(yield* bind(device, 0)).toBe('done');
      expect(yield* bind(device, 1)).toBe('done');
      expect(yield* bind(device, 2)).toBe('ENOSPC');
      expect(yield* bind({ ...devices[1]!, maxPasids: 2 }, 1)).toBe('EOVERFLOW');
      spaces[3]!.tagged = true;
      expect(yield* bind(device, 3)).toBe('EBUSY');
      yield* manager.put(thread, spaces[0]!);
      expect(yield* bind(device, 0)).toBe('ESRCH');
      expect(yield* bind({ ...devices[1]!, unit: { ...UNIT, levels: 5 } }, 1)).toBe('EINVAL');
      expect(yield* bind({ ...devices[1]!, unit: { ...UNIT, stage: 'second' } }, 1)).toBe('EINVAL');
    });
  });

  it('refuses a PASID that somebody else attached to the device', () => {
    program({}, function* (thread, bench) {
      const { sva, manager, devices, driver } = bench;
      const mm = manager.create();
      const handler: FaultHandler = { accept: () => false, *handle() {} };
      devices[0]!.device.attachPasid(1, bench.processDomain(driver, { root: 0, levels: 4, inputLg2: 48 }, handler));
      expect(yield* refusal(sva.bind(thread, devices[0]!, mm))).toBe('EBUSY');
      expect(mm.notifiers).toBe(null);
    });
  });

  it('is waited for while another thread binds or unbinds', () => {
    const bench = new SvaBench({ driver: 500, svaCosts: { bind: 100, unbind: 50, lock: 10 } });
    const { sva, manager, devices } = bench;
    const [a, b] = [manager.create(), manager.create()];
    let bound = 0;
    bench.thread(function* (thread) {
      const bond = yield* sva.bind(thread, devices[0]!, a);
      yield* sva.unbind(thread, bond);
    });
    bench.thread(function* (thread) {
      yield* sva.bind(thread, devices[0]!, b);
      bound = bench.now;
    }, 20);
    bench.run();
    // The first has the lock at 100..110 and 160..670; the second asks at 120.
    expect([bound, sva.locks.contended]).toEqual([130, 0]);
  });
});

describe('the end of a process', () => {
  it('detaches its devices, keeps bonds until they are given up, and frees everything', () => {
    const bench = program({ devices: 2, driver: 100 }, function* (thread, { sva, manager, devices, driver, frames }) {
      const mm = manager.create();
      manager.addRegion(mm, BASE, 4 * PAGE);
      const bonds = [];
      for (const device of devices) bonds.push(yield* sva.bind(thread, device, mm));
      yield* manager.touch(thread, mm, BASE, Access.Write);
      yield* manager.put(thread, mm);
      expect(driver.roots.size).toBe(0);
      expect(driver.flushes).toBe(0);
      expect([sva.bonds, frames.inUse]).toEqual([2, 1]);
      for (const bond of bonds) yield* sva.unbind(thread, bond);
    });
    const detached = bench.driver.log.filter((line) => line.startsWith('detach'));
    expect(detached).toEqual(['detach 0 dev0 1', 'detach 0 dev1 1']);
    expect(bench.sva.bonds).toBe(0);
  });

  it('makes an unbind that comes meanwhile wait until the device is detached', () => {
    const bench = new SvaBench({ driver: 1000 });
    const { sva, manager, devices } = bench;
    const mm = manager.create();
    let unbound = 0;
    bench.thread(function* (thread) {
      const bond = yield* sva.bind(thread, devices[0]!, mm);
      bench.thread(function* (other) {
        yield* sva.unbind(other, bond);
        unbound = bench.now;
      }, 400);
      yield* manager.put(thread, mm);
    });
    bench.run();
    expect(unbound).toBe(1000);
    expect(bench.driver.log).toEqual(['attach 0 dev0 1', 'detach 0 dev0 1', 'drained dev0 1']);
  });
});

describe('PASIDs', () => {
  it('are the lowest free ones, as many as there are', () => {
    const pasids = new PasidAllocator();
    for (let i = 1; i < 5000; i++) expect(pasids.allocate(5000)).toBe(i);
    expect(pasids.allocate(5000)).toBe(-1);
    for (const pasid of [4032, 17, 18, 4999]) pasids.free(pasid);
    expect([1, 2, 3, 4, 5].map(() => pasids.allocate(5000))).toEqual([17, 18, 4032, 4999, -1]);
    expect(() => pasids.free(5001)).toThrow('not in use');
  });
});

describe('with the drivers of real units', () => {
  type Make = (options: MachineOptions) => TestMachine;
  const machines: Record<string, [Make, MachineOptions['unit'], TableFormat, format: string]> = {
    'VT-d': [(options) => new TestMachine(options), { mode: 'scalable' }, 'x86_64', 'x86_64'],
    'AMD-Vi': [(options) => new AmdMachine(options), { levels: 4 }, 'x86_64', 'x86_64'],
    SMMUv3: [(options) => new SmmuMachine(options), {}, 'armv8', 'armv8'],
    'RISC-V': [(options) => new RiscvTestMachine(options), { processLevels: 2 }, 'riscv64', 'riscv'],
  };

  /** Words of memory that hold the root as an address field from bit 12, or from bit 0 (a page number). */
  function pointersTo({ memory }: TestMachine, root: number): number {
    let count = 0;
    memory.forEachLine((hi, lo) => {
      for (let at = 0; at < 64; at += 8) {
        memory.read(hi, lo + at);
        const { wordHi, wordLo } = memory;
        const address = (wordHi & 0xffff) * 2 ** 32 + ((wordLo & ~0xfff) >>> 0);
        const page = (wordHi & 0xfff) * 2 ** 32 + (wordLo >>> 0);
        if (address === root || page === root / PAGE) count++;
      }
    });
    return count;
  }

  it.each(Object.entries(machines))(
    '%s: hardware is pointed to the process page table, and munmap waits for it',
    (_, [make, unit, cpu, name]) => {
      const machine = make({ unit: { stage: 'first', ...unit }, invalidation: 700_000 });
      const { scheduler, devices } = machine.os;
      const driver = devices[0]!.domainOf(-1)!.driver;
      const manager = new MemoryManager(scheduler, mmSpec(), machine.memory, machine.frames[0]!, FORMATS[name]!, 4);
      const sva = new Sva(scheduler, manager, cpu, new SvaBench(), { bind: 0, unbind: 0, lock: 0 });
      const target: SvaDevice = { device: devices[0]!, driver, unit: machine.unit, maxPasids: 256, faults: null };
      const mm = manager.create();
      manager.addRegion(mm, BASE, 4 * PAGE);
      const pointers: number[] = [];
      const times: number[] = [];
      const thread = scheduler.spawn('test', scheduler.cpus[0]!, function* (self) {
        pointers.push(pointersTo(machine, mm.root));
        const bond = yield* sva.bind(self, target, mm);
        pointers.push(pointersTo(machine, mm.root));
        yield* manager.touch(self, mm, BASE, Access.Write);
        for (const offset of [0, 2 * PAGE]) {
          const start = machine.now;
          yield* manager.munmap(self, mm, BASE + offset, PAGE);
          times.push(machine.now - start);
        }
        yield* sva.unbind(self, bond);
        pointers.push(pointersTo(machine, mm.root));
      });
      scheduler.start(thread);
      machine.run();
      expect(pointers).toEqual([0, 1, 0]);
      // The second munmap finds nothing that was mapped, and no table to free.
      expect(times[0]).toBeGreaterThanOrEqual(700_000);
      expect(times[1]).toBe(0);
    },
  );

  it('VT-d: by PASID, under the domain id that all processes share', () => {
    const machine = new TestMachine({ unit: { mode: 'scalable', stage: 'first' } });
    const { scheduler, devices } = machine.os;
    const driver = devices[0]!.domainOf(-1)!.driver;
    const format = FORMATS['x86_64']!;
    const manager = new MemoryManager(scheduler, mmSpec(), machine.memory, machine.frames[0]!, format, 4);
    const sva = new Sva(scheduler, manager, 'x86_64', new SvaBench(), { bind: 0, unbind: 0, lock: 0 });
    const target: SvaDevice = { device: devices[0]!, driver, unit: machine.unit, maxPasids: 256, faults: null };
    const spaces = [manager.create(), manager.create()];
    const thread = scheduler.spawn('test', scheduler.cpus[0]!, function* (self) {
      for (const mm of spaces) {
        manager.addRegion(mm, BASE, 4 * PAGE);
        const bond = yield* sva.bind(self, target, mm);
        yield* manager.touch(self, mm, BASE, Access.Write);
        yield* manager.munmap(self, mm, BASE, 2 * PAGE);
        yield* sva.unbind(self, bond);
      }
    });
    scheduler.start(thread);
    machine.run();
    const { PasidIotlb, PasidCache } = { PasidIotlb: DescriptorType.PasidIotlb, PasidCache: DescriptorType.PasidCache };
    expect(machine.commands.map(({ type, pasid, domain }) => [type, pasid, domain])).toEqual(
      [1, 2].flatMap((pasid) => [PasidIotlb, PasidCache, PasidIotlb].map((type) => [type, pasid, 1])),
    );
    expect(machine.commands.filter(({ address }) => address === BASE).length).toBe(2);
  });
});

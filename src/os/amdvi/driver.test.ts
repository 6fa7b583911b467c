import { describe, expect, it } from 'vitest';
import {
  ControlBit,
  ControlHighBit,
  DeviceTableEntry,
  deviceTableBytes,
  EVERYTHING,
  gcr3EntryOffset,
  Opcode,
  pointerLo,
  Register,
  ringEntriesLg2,
} from '../../iommu/arch/amdvi/format.js';
import { Access } from '../../protocol/access.js';
import { DmaApi } from '../dma/api.js';
import { AttachError } from '../errors.js';
import type { MachineOptions } from '../testing/machine.js';
import type { Call, Program, Thread } from '../thread.js';
import type { AmdviDriver } from './driver.js';
import { AmdMachine } from './testing/machine.js';

const BOTH: Access = Access.Read | Access.Write;
const PAGE = 4096;
const PA = 2 ** 32 + 2 ** 24;
const US = 1_000_000;
const TWO_DEVICES = [
  { name: 'a', unit: 0, requester: 0x100 },
  { name: 'b', unit: 0, requester: 0x208 },
];
const TWO_UNITS: MachineOptions = {
  units: 2,
  devices: [
    { name: 'a', unit: 0, requester: 0x100 },
    { name: 'b', unit: 1, requester: 0x208 },
  ],
};
const GUEST = { stage: 'first', levels: 4 } as const;
const NESTED = { stage: 'nested', levels: 4, secondLevels: 4 } as const;

/** Runs programs, each on a CPU of its own, to their end. */
function run(machine: AmdMachine, ...programs: ((thread: Thread) => Program)[]): void {
  const { scheduler } = machine.os;
  const idle = scheduler.cpus.filter(({ thread }) => thread === null);
  programs.forEach((program, i) => {
    scheduler.start(scheduler.spawn(`program ${i}`, idle[i]!, program));
  });
  machine.run();
}

function flush(machine: AmdMachine, iova: number, bytes: number, tablesFreed = false, device = 0): void {
  const domain = machine.os.devices[device]!.domainOf(-1)!;
  run(machine, (thread) => domain.driver.flushRange(thread, domain, iova, bytes, tablesFreed));
}

function driverOf(machine: AmdMachine): AmdviDriver {
  return machine.os.devices[0]!.domainOf(-1)!.driver as AmdviDriver;
}

function word(machine: AmdMachine, address: number): [hi: number, lo: number] {
  machine.memory.read(Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0);
  return [machine.memory.wordHi, machine.memory.wordLo];
}

function written(machine: AmdMachine, offset: Register, unit = 0): { hi: number; lo: number }[] {
  return machine.registerWrites.filter((w) => w.unit === unit && w.offset === offset);
}

function entryOf(machine: AmdMachine, requester: number, unit = 0): DeviceTableEntry {
  const [{ hi, lo }] = written(machine, Register.DeviceTableBase, unit) as [{ hi: number; lo: number }];
  const words = new Int32Array(8);
  for (let i = 0; i < 4; i++) {
    const at = word(machine, hi * 2 ** 32 + (pointerLo(lo) >>> 0) + 32 * requester + 8 * i);
    [words[2 * i + 1], words[2 * i]] = at;
  }
  const entry = new DeviceTableEntry();
  entry.decode(words);
  return entry;
}

const joined = (hi: number, lo: number): number => hi * 2 ** 32 + (lo >>> 0);

/** Root that the GCR3 table of two levels has for a PASID. */
function gcr3Root(machine: AmdMachine, { gcr3RootHi, gcr3RootLo }: DeviceTableEntry, pasid: number): number {
  let table = joined(gcr3RootHi, gcr3RootLo);
  for (const level of [2, 1]) {
    const [hi, lo] = word(machine, table + gcr3EntryOffset(pasid, level));
    if ((lo & 1) === 0) return 0;
    table = joined(hi, pointerLo(lo));
  }
  return table;
}

describe('boot', () => {
  it('programs tables and rings, then enables, translation last', () => {
    const machine = new AmdMachine();
    const [table] = written(machine, Register.DeviceTableBase);
    expect(deviceTableBytes(table!.lo)).toBe(2 ** 21);
    const [ring] = written(machine, Register.CommandBufferBase);
    const [log] = written(machine, Register.EventLogBase);
    expect([ringEntriesLg2(ring!.hi), ringEntriesLg2(log!.hi)]).toEqual([9, 9]);
    const controls = written(machine, Register.Control).map(({ lo }) => lo & ControlBit.IommuEnable);
    expect(controls).toEqual([0, 1]);
    expect(machine.registerWrites.at(-1)!.offset).toBe(Register.Control);
    expect(written(machine, Register.Control)[1]!.lo & ControlBit.GuestTranslationEnable).toBe(0);
  });

  it('a host domain: the table, its levels, a domain id, both permissions; other functions are blocked', () => {
    const machine = new AmdMachine();
    const entry = entryOf(machine, 0x100);
    const { root } = machine.os.devices[0]!.domainOf(-1)!.space!.table;
    expect(entry).toMatchObject({ valid: true, translationValid: true, mode: 3, read: true, write: true, domain: 1 });
    expect([joined(entry.hostRootHi, entry.hostRootLo), entry.guestValid]).toEqual([root, false]);
    expect(entryOf(machine, 0x101)).toMatchObject({ valid: true, translationValid: false });
  });

  it('pass-through: mode 0, one domain for all devices', () => {
    const machine = new AmdMachine({ mode: 'passthrough', devices: TWO_DEVICES });
    const entries = TWO_DEVICES.map(({ requester }) => entryOf(machine, requester));
    expect(entries.map(({ mode, domain, translationValid }) => [mode, domain, translationValid])).toEqual([
      [0, 1, true],
      [0, 1, true],
    ]);
  });

  it('a guest domain: PASID 0 of the GCR3 table, used without PASID; a domain id for each device', () => {
    const machine = new AmdMachine({ unit: GUEST, devices: TWO_DEVICES });
    TWO_DEVICES.forEach(({ requester }, i) => {
      const entry = entryOf(machine, requester);
      const { root } = machine.os.devices[i]!.domainOf(-1)!.space!.table;
      expect(entry).toMatchObject({
        mode: 0,
        guestValid: true,
        guestWithoutPasid: true,
        gcr3LevelCode: 1,
        domain: 1 + i,
      });
      expect([gcr3Root(machine, entry, 0), entry.guestLevelCode]).toEqual([root, 0]);
    });
    expect(written(machine, Register.Control)[1]!.lo & ControlBit.GuestTranslationEnable).not.toBe(0);
  });

  it('nested: over a host table, with guest-physical GCR3 tables', () => {
    const machine = new AmdMachine({ unit: NESTED });
    expect(entryOf(machine, 0x100)).toMatchObject({ mode: 4, guestValid: true });
    expect(written(machine, Register.Control)[1]!.hi & ControlHighBit.Gcr3GuestPhysical).not.toBe(0);
  });

  it('pass-through with guest translation leaves requests without PASID alone', () => {
    const machine = new AmdMachine({ unit: GUEST, mode: 'passthrough' });
    expect(entryOf(machine, 0x100)).toMatchObject({ mode: 0, guestValid: true, guestWithoutPasid: false });
  });
});

describe('flush of a range', () => {
  it.each([
    [0x5000, PAGE, 0x5000, 0],
    [0x6000, 2 * PAGE, 0x6000, 1],
    // Two pages on both sides of 1 GiB: 2 GiB, whatever else lies there.
    [0x3ffff000, 2 * PAGE, 0, 19],
    [0x200000, 2 ** 21, 0x200000, 9],
  ])('0x%s, %i bytes: one power of two', (iova, bytes, address, addressMask) => {
    const machine = new AmdMachine();
    flush(machine, iova, bytes);
    const [command, ...rest] = machine.takeInvalidations();
    expect(rest).toEqual([]);
    expect(command).toMatchObject({ opcode: Opcode.InvalidatePages, domain: 1, pasid: -1, address, addressMask });
  });

  it('PDE only when tables were freed; older kernels always', () => {
    const machine = new AmdMachine();
    for (const freed of [false, true]) flush(machine, 0x5000, PAGE, freed);
    expect(machine.takeInvalidations().map(({ directories }) => directories)).toEqual([false, true]);
    const old = new AmdMachine({ invalidationHint: false });
    flush(old, 0x5000, PAGE, false);
    expect(old.takeInvalidations().map(({ directories }) => directories)).toEqual([true]);
  });

  it('through the DMA API: an unmap of small pages frees no table', () => {
    const machine = new AmdMachine();
    const domain = machine.os.devices[0]!.domainOf(-1)!;
    const dma = new DmaApi(machine.os.scheduler, machine.spec.costs, null, 16);
    let address = 0;
    run(machine, function* (thread) {
      address = yield* dma.map(thread, domain, PA, PAGE, BOTH);
      yield* dma.unmap(thread, domain, address, PAGE, BOTH);
    });
    expect(machine.takeInvalidations()).toMatchObject([{ address, addressMask: 0, directories: false }]);
  });

  it('guest domains: by the domain id of the device and PASID 0', () => {
    const machine = new AmdMachine({ unit: GUEST, devices: TWO_DEVICES });
    flush(machine, 0x5000, PAGE, false, 1);
    expect(machine.takeInvalidations()).toMatchObject([{ domain: 2, pasid: 0, address: 0x5000 }]);
  });

  it('every register write is one command: two for a page', () => {
    const machine = new AmdMachine();
    flush(machine, 0x5000, PAGE);
    expect(written(machine, Register.CommandTail).map(({ lo }) => lo)).toEqual([16, 32]);
    expect(machine.seen.map(({ opcode }) => opcode)).toEqual([Opcode.InvalidatePages, Opcode.CompletionWait]);
  });

  it('a range beyond what a command can name, and flushAll: everything in the domain, directories too', () => {
    const machine = new AmdMachine({ unit: { invalidation: { sizeLg2: 9, maxAddressMask: 10, queues: 1 } } });
    flush(machine, 0x3ffff000, 2 * PAGE);
    expect(machine.takeInvalidations()).toMatchObject([{ addressMask: EVERYTHING, address: 0, directories: false }]);
    const domain = machine.os.devices[0]!.domainOf(-1)!;
    run(machine, (thread) => domain.driver.flushAll(thread, domain));
    expect(machine.takeInvalidations()).toMatchObject([{ addressMask: EVERYTHING, directories: true }]);
  });
});

describe('a domain of devices on two units', () => {
  function shared(options: MachineOptions = {}): AmdMachine {
    const machine = new AmdMachine({ ...TWO_UNITS, ...options });
    const [first, second] = machine.os.devices;
    const domain = first!.domainOf(-1)!;
    domain.driver.attach(domain, second!, -1);
    return machine;
  }

  it('queues to all, then waits for one after the other', () => {
    const machine = shared({ invalidation: 10 * US });
    flush(machine, 0x5000, PAGE);
    const times = (opcode: Opcode): number[] => machine.seen.filter((c) => c.opcode === opcode).map(({ at }) => at);
    const [pages0, pages1] = times(Opcode.InvalidatePages);
    const [wait0, wait1] = times(Opcode.CompletionWait);
    expect(machine.seen.map(({ unit }) => unit)).toEqual([0, 1, 0, 1]);
    expect(pages1! - pages0!).toBeLessThan(10 * US);
    // The second wait is queued when the first has been seen.
    expect(wait1!).toBeGreaterThanOrEqual(wait0! + 10 * US);
  });

  it('names host pages once a unit, guest pages once a device', () => {
    const machine = shared();
    flush(machine, 0x5000, PAGE);
    expect(machine.takeInvalidations().map(({ unit, domain }) => [unit, domain])).toEqual([
      [0, 1],
      [1, 1],
    ]);
    const guests = shared({ unit: GUEST, units: 1, devices: TWO_DEVICES });
    flush(guests, 0x5000, PAGE);
    expect(guests.takeInvalidations().map(({ unit, domain, pasid }) => [unit, domain, pasid])).toEqual([
      [0, 1, 0],
      [0, 2, 0],
    ]);
    const hosts = shared({ units: 1, devices: TWO_DEVICES });
    flush(hosts, 0x5000, PAGE);
    expect(hosts.takeInvalidations()).toHaveLength(1);
  });
});

describe('waiting', () => {
  it('looks at the completion word every microsecond', () => {
    for (const [invalidation, looks] of [
      [1000, 1],
      [US - 1000, 1],
      [US + 1000, 2],
    ] as const) {
      const machine = new AmdMachine({ invalidation });
      let waited = 0;
      const domain = machine.os.devices[0]!.domainOf(-1)!;
      run(machine, function* (thread) {
        const before = machine.now;
        yield* domain.driver.flushRange(thread, domain, 0x5000, PAGE, false);
        waited = machine.now - before;
      });
      expect(waited).toBe(looks * US);
    }
  });

  it('flushes of one domain follow one another, those of two domains do not wait for each other', () => {
    for (const [devices, factor] of [
      [[0, 0], 2],
      [[0, 1], 1],
    ] as const) {
      const machine = new AmdMachine({ devices: TWO_DEVICES, invalidation: 1000 });
      const ends: number[] = [];
      const flushes = devices.map((device) => {
        const domain = machine.os.devices[device]!.domainOf(-1)!;
        return function* (thread: Thread): Program {
          yield* domain.driver.flushRange(thread, domain, 0x5000, PAGE, false);
          ends.push(machine.now);
        };
      });
      run(machine, ...flushes);
      expect(Math.max(...ends)).toBe(factor * US);
    }
  });
});

describe('detaching', () => {
  function* detach(machine: AmdMachine, thread: Thread, pasid = -1): Call<void> {
    const device = machine.os.devices[0]!;
    const domain = device.domainOf(pasid)!;
    yield* domain.driver.detach(thread, domain, device, pasid);
  }

  it('blocks the device, then removes its entry and all translations, each waited for', () => {
    const machine = new AmdMachine();
    run(machine, (thread) => detach(machine, thread));
    expect(entryOf(machine, 0x100)).toMatchObject({ valid: true, translationValid: false });
    expect(machine.seen).toMatchObject([
      { opcode: Opcode.InvalidateDeviceTableEntry, device: 0x100 },
      { opcode: Opcode.CompletionWait },
      { opcode: Opcode.InvalidatePages, domain: 1, pasid: -1, addressMask: EVERYTHING, directories: true },
      { opcode: Opcode.CompletionWait },
    ]);
  });

  it('gives the domain id back', () => {
    const machine = new AmdMachine({ devices: TWO_DEVICES });
    const device = machine.os.devices[0]!;
    const domain = device.domainOf(-1)!;
    run(machine, (thread) => detach(machine, thread));
    domain.driver.attach(domain, device, -1);
    expect(entryOf(machine, 0x100).domain).toBe(1);
    expect(() => run(machine, (thread) => domain.driver.detach(thread, domain, machine.os.devices[1]!, -1))).toThrow(
      'not attached',
    );
  });

  it('a PASID: its GCR3 entry and what it translated, the device stays', () => {
    const machine = new AmdMachine({ unit: GUEST });
    machine.os.attachPasid(0, 0x4321);
    const device = machine.os.devices[0]!;
    const root = device.domainOf(0x4321)!.space!.table.root;
    expect(gcr3Root(machine, entryOf(machine, 0x100), 0x4321)).toBe(root);
    run(machine, (thread) => detach(machine, thread, 0x4321));
    expect(gcr3Root(machine, entryOf(machine, 0x100), 0x4321)).toBe(0);
    expect(machine.takeInvalidations()).toMatchObject([
      { opcode: Opcode.InvalidatePages, domain: 1, pasid: 0x4321, addressMask: EVERYTHING, directories: true },
    ]);
    expect(entryOf(machine, 0x100)).toMatchObject({ translationValid: true, guestValid: true });
  });

  it('requests without PASID: PASID 0 is emptied while other PASIDs go on', () => {
    const machine = new AmdMachine({ unit: GUEST });
    machine.os.attachPasid(0, 7);
    run(machine, (thread) => detach(machine, thread));
    const entry = entryOf(machine, 0x100);
    expect(entry).toMatchObject({ translationValid: true, guestWithoutPasid: true });
    expect(gcr3Root(machine, entry, 0)).toBe(0);
    expect(gcr3Root(machine, entry, 7)).not.toBe(0);
  });
});

describe('PASIDs', () => {
  it('need guest tables', () => {
    expect([new AmdMachine(), new AmdMachine({ unit: GUEST })].map((m) => driverOf(m).supportsPasid(0))).toEqual([
      false,
      true,
    ]);
  });

  it('cannot pass untranslated', () => {
    const machine = new AmdMachine({ unit: GUEST, mode: 'passthrough' });
    expect(() => machine.os.attachPasid(0, 7)).toThrow(AttachError);
  });
});

describe('what software may use', () => {
  it('addresses by table, and not those of interrupts and HyperTransport', () => {
    const bits = (unit: MachineOptions['unit']): number => driverOf(new AmdMachine({ unit: unit! })).apertureBits(0);
    expect([bits({ levels: 3 }), bits({ levels: 6 }), bits(GUEST), bits({ stage: 'first', levels: 5 })]).toEqual([
      39, 64, 47, 56,
    ]);
    expect(driverOf(new AmdMachine()).reserved()).toContainEqual([0xfd_0000_0000, 0xff_ffff_ffff]);
  });
});

import { describe, expect, it } from 'vitest';
import { TlpFlag } from '../../../protocol/tlp.js';
import { Access } from '../../../protocol/access.js';
import { NO_WALK_CACHES, READ_PS, type UnitChanges } from '../../testing/spec.js';
import { type DeviceTableEntry, EventCode, EventFlag, Register, StatusBit } from './format.js';
import { EVENTS_LG2, type Request, REQUESTERS, Rig, lower, upper } from './testing/rig.js';

const COLD: UnitChanges = { ...NO_WALK_CACHES, secondStageTlb: { enabled: false } };
const [DEVICE, OTHER, , BEYOND] = REQUESTERS as unknown as [number, number, number, number];
const IOVA = 0x5000;
const PASID = 0x123;

/** A device with a host table of `levels` that maps IOVA; returns the output address. */
function host(
  rig: Rig,
  levels = 3,
  change: (entry: DeviceTableEntry) => void = () => {},
  access = Access.Read | Access.Write,
): number {
  const table = rig.hostTable(levels);
  const pa = rig.map(table, IOVA, 4096, 12, access);
  rig.device(DEVICE, (entry) => {
    entry.setHost(levels, table.root);
    change(entry);
  });
  return pa;
}

interface Guest {
  readonly gcr3?: number;
  readonly levels?: number;
  /** Levels of the host table below; 0: none. */
  readonly host?: number;
  readonly change?: (entry: DeviceTableEntry) => void;
  readonly access?: Access;
}

/** A device whose PASID and requests without PASID (GIOV) use a guest table that maps IOVA. */
function guest(
  rig: Rig,
  { gcr3 = 1, levels = 4, host: m = 0, change = () => {}, access = Access.Read | Access.Write }: Guest = {},
): number {
  const table = rig.guestTable(levels);
  const pa = rig.map(table, IOVA, 4096, 12, access);
  const root = rig.gcr3(gcr3, [
    [0, table.root],
    [PASID, table.root],
  ]);
  const below = m === 0 ? null : rig.identity(m);
  rig.device(DEVICE, (entry) => {
    entry.setGuest(gcr3, root, levels);
    entry.guestWithoutPasid = true;
    if (below !== null) entry.setHost(m, below.root);
    change(entry);
  });
  return pa;
}

function expectCold(rig: Rig, pa: number, directory: number, table: number, request: Request): void {
  const { counters } = rig.unit;
  const first = rig.translate(request);
  expect([counters.directoryReads, counters.tableReads]).toEqual([directory, table]);
  expect(first).toMatchObject({ aborted: false, output: pa, at: (directory + table) * READ_PS });
  const again = rig.translate(request);
  expect([counters.directoryReads, counters.tableReads]).toEqual([directory, table]);
  expect(again).toMatchObject({ aborted: false, output: pa, at: first.at });
}

describe('reads of a cold translation', () => {
  it.each([1, 2, 3, 4, 5, 6])('host tables, mode m = %i: 1 + m', (m) => {
    const rig = new Rig(COLD);
    expectCold(rig, host(rig, m), 1, m, { address: IOVA });
  });

  it('mode 0 and V = 0: 1', () => {
    for (const change of [
      (entry: DeviceTableEntry) => entry.setHost(0, 0),
      (entry: DeviceTableEntry) => Object.assign(entry, { valid: false, translationValid: false }),
    ]) {
      const rig = new Rig(COLD);
      rig.device(DEVICE, change);
      expectCold(rig, IOVA, 1, 0, { address: IOVA });
    }
  });

  const guests = [1, 2, 3].flatMap((g) => [4, 5].map((levels) => [g, levels] as const));

  it.each(guests)('guest tables, G = %i, %i levels: 1 + G + levels', (gcr3, levels) => {
    for (const pasid of [-1, PASID]) {
      const rig = new Rig(COLD);
      const pa = guest(rig, { gcr3, levels });
      expectCold(rig, pa, 1 + gcr3, levels, { address: IOVA, pasid });
    }
  });

  const nested = [3, 4, 5, 6].flatMap((m) => guests.map(([g, levels]) => [g, levels, m] as const));

  it.each(nested)('nested, GCR3 host-physical, G = %i, %i levels, m = %i: 1 + G + levels(m+1) + m', (g, levels, m) => {
    const rig = new Rig(COLD);
    const pa = guest(rig, { gcr3: g, levels, host: m });
    expectCold(rig, pa, 1 + g, levels * (m + 1) + m, { address: IOVA, pasid: PASID });
  });

  it.each(nested)(
    'nested, GCR3 guest-physical, G = %i, %i levels, m = %i: 1 + (G + levels)(m+1) + m',
    (g, levels, m) => {
      const rig = new Rig(COLD, true);
      const pa = guest(rig, { gcr3: g, levels, host: m });
      expectCold(rig, pa, 1 + g, g * m + levels * (m + 1) + m, { address: IOVA, pasid: PASID });
    },
  );
});

describe('what is cached', () => {
  it('device and GCR3 entries: another page needs table reads only', () => {
    const rig = new Rig();
    const table = rig.guestTable();
    const pages = [IOVA, IOVA + 4096].map((iova) => rig.map(table, iova));
    const root = rig.gcr3(2, [[PASID, table.root]]);
    rig.device(DEVICE, (entry) => entry.setGuest(2, root, 4));
    expect(rig.translate({ address: IOVA, pasid: PASID }).output).toBe(pages[0]);
    expect(rig.translate({ address: IOVA + 4096, pasid: PASID }).output).toBe(pages[1]);
    expect([rig.unit.counters.directoryReads, rig.unit.counters.tableReads]).toEqual([3, 5]);
  });

  it('a second PASID of a cached device reads its GCR3 entries alone', () => {
    const rig = new Rig();
    const tables = [rig.guestTable(), rig.guestTable()];
    const pas = tables.map((table) => rig.map(table, IOVA));
    const root = rig.gcr3(1, [
      [1, tables[0]!.root],
      [2, tables[1]!.root],
    ]);
    rig.device(DEVICE, (entry) => entry.setGuest(1, root, 4));
    expect([1, 2].map((pasid) => rig.translate({ address: IOVA, pasid }).output)).toEqual(pas);
    expect(rig.unit.counters.directoryReads).toBe(3);
  });

  it('devices of one domain share host translations; the domain id is their only tag', () => {
    const rig = new Rig();
    const pa = host(rig);
    rig.device(OTHER, (entry) => entry.setHost(3, rig.frames.allocate()));
    expect(rig.translate({ address: IOVA }).output).toBe(pa);
    // Its own table is empty memory: the walk goes on below the other's page directory, and from then on the IOTLB answers.
    for (const _ of [0, 1]) expect(rig.translate({ address: IOVA, device: 1 }).output).toBe(pa);
    expect([rig.unit.counters.tableReads, rig.unit.counters.walks]).toEqual([3 + 1, 2]);
  });

  it('pages between 4 KiB, 2 MiB and 1 GiB are held as the next smaller size', () => {
    const rig = new Rig(NO_WALK_CACHES);
    const table = rig.hostTable(3);
    const pa = rig.map(table, 0x10000, 0x10000, 16);
    const large = rig.map(table, 2 ** 22, 2 ** 22, 22);
    rig.device(DEVICE, (entry) => entry.setHost(3, table.root));
    expect(rig.translate({ address: 0x10000 }).output).toBe(pa);
    expect(rig.translate({ address: 0x1f000 }).output).toBe(pa + 0xf000);
    expect(rig.unit.counters.walks).toBe(2);
    expect(rig.translate({ address: 2 ** 22 + 0x3000 }).output).toBe(large + 0x3000);
    expect(rig.translate({ address: 2 ** 22 + 2 ** 21 - 64 }).output).toBe(large + 2 ** 21 - 64);
    expect(rig.unit.counters.walks).toBe(3);
    expect(rig.translate({ address: 2 ** 22 + 2 ** 21 }).output).toBe(large + 2 ** 21);
    expect(rig.unit.counters.walks).toBe(4);
  });

  it('a directory entry that skips levels is good for the skipped bits it was read with, zero', () => {
    const rig = new Rig();
    const table = rig.hostTable(1);
    const pa = rig.map(table, IOVA);
    const top = rig.frames.allocate();
    // A level 4 entry that points to a level 1 table.
    rig.poke(top, () => [(3 << 29) | upper(table.root), lower(table.root) | (1 << 9) | 1]);
    rig.device(DEVICE, (entry) => entry.setHost(4, top));
    expect(rig.translate({ address: IOVA }).output).toBe(pa);
    expect(rig.unit.counters.tableReads).toBe(2);
    for (const bit of [21, 30, 38]) expect(rig.translate({ address: IOVA + 2 ** bit }).aborted).toBe(true);
    expect(rig.translate({ address: IOVA }).output).toBe(pa);
    expect(rig.events).toEqual({ [EventCode.IoPageFault]: 3 });
  });

  it('nothing that blocks or is not present', () => {
    const rig = new Rig();
    rig.device(DEVICE, (entry) => {
      entry.translationValid = false;
    });
    expect(rig.translate({ address: IOVA }).aborted).toBe(true);
    const pa = host(rig);
    expect(rig.translate({ address: IOVA }).output).toBe(pa);
    expect(rig.translate({ address: IOVA + 4096 }).aborted).toBe(true);
    const table = rig.hostTable(3);
    rig.device(OTHER, (entry) => {
      entry.setHost(3, table.root);
      entry.domain = 6;
    });
    expect(rig.translate({ address: IOVA, device: 1 }).aborted).toBe(true);
    const later = rig.map(table, IOVA);
    expect(rig.translate({ address: IOVA, device: 1 }).output).toBe(later);
    const guestTable = rig.guestTable();
    const guestPa = rig.map(guestTable, IOVA);
    const root = rig.gcr3(1, [[1, guestTable.root]]);
    rig.device(REQUESTERS[2]!, (entry) => {
      entry.setGuest(1, root, 4);
      entry.domain = 7;
    });
    expect(rig.translate({ address: IOVA, device: 2, pasid: 2 }).aborted).toBe(true);
    rig.poke(root + 16, () => [upper(guestTable.root), lower(guestTable.root) | 1]);
    expect(rig.translate({ address: IOVA, device: 2, pasid: 2 }).output).toBe(guestPa);
  });

  it('a device id past the table is refused without a read', () => {
    const rig = new Rig();
    expect(BEYOND * 32).toBeGreaterThanOrEqual(0x400 * 32);
    expect(rig.translate({ address: IOVA, device: 3 }).aborted).toBe(true);
    expect([rig.events, rig.unit.counters.directoryReads]).toEqual([{ [EventCode.IoPageFault]: 1 }, 0]);
  });
});

describe('requests without PASID', () => {
  it('use PASID 0 with GIOV, and are host addresses without', () => {
    const rig = new Rig();
    const pa = guest(rig);
    expect(rig.translate({ address: IOVA }).output).toBe(pa);
    const plain = new Rig();
    guest(plain, { change: (entry) => Object.assign(entry, { guestWithoutPasid: false }) });
    expect(plain.translate({ address: IOVA }).output).toBe(IOVA);
  });

  it('their guest addresses are not sign-extended; those with PASID are', () => {
    const rig = new Rig();
    guest(rig);
    const half = 2 ** 47 + IOVA;
    expect(rig.translate({ address: half }).aborted).toBe(true);
    const flat = rig.unit.counters.tableReads;
    expect(flat).toBe(1);
    expect(rig.translate({ address: half, pasid: PASID }).aborted).toBe(true);
    expect(rig.unit.counters.tableReads).toBe(flat);
  });

  it('carry no privilege, need no execution: host pages grant both', () => {
    const rig = new Rig();
    const pa = host(rig);
    const flags = TlpFlag.Privileged | TlpFlag.Execute;
    expect(rig.translate({ address: IOVA, flags }).output).toBe(pa);
  });
});

interface FaultCase {
  readonly name: string;
  readonly code: EventCode;
  readonly flags: number;
  readonly request?: Partial<Request>;
  readonly make: (rig: Rig) => unknown;
  /** Not silenced by DTE.SA. */
  readonly always?: boolean;
  /** Address in the event, if not the request's. */
  readonly address?: (rig: Rig) => number;
}

const PRESENT = EventFlag.Present;
const DENIED = PRESENT | EventFlag.Permission;
const MALFORMED = PRESENT | EventFlag.Reserved;
const NOWHERE = 2 ** 51;

/** Spoils the only leaf of a host table of one level. */
function spoilt(change: (hi: number, lo: number) => readonly [number, number]) {
  return (rig: Rig, suppress: (entry: DeviceTableEntry) => void = () => {}): void => {
    const table = rig.hostTable(1);
    rig.map(table, IOVA);
    rig.poke(table.root + 8 * 5, change);
    rig.device(DEVICE, (entry) => {
      entry.setHost(1, table.root);
      suppress(entry);
    });
  };
}

const CASES: readonly FaultCase[] = [
  {
    name: 'reserved bit of the device table entry',
    code: EventCode.IllegalDeviceTableEntry,
    flags: 0,
    always: true,
    make: (rig) => {
      host(rig);
      rig.poke(rig.entryAt(DEVICE), (hi, lo) => [hi, lo | 4]);
    },
  },
  {
    name: 'TV = 0',
    code: EventCode.IoPageFault,
    flags: 0,
    make: (rig) => rig.poke(rig.entryAt(DEVICE), (hi) => [hi, 1]),
  },
  {
    name: 'Mode 7',
    code: EventCode.IoPageFault,
    flags: MALFORMED,
    make: (rig) => rig.poke(rig.entryAt(DEVICE), (hi) => [hi | (3 << 29), 3 | (7 << 9)]),
  },
  {
    name: 'GLX = 3',
    code: EventCode.IllegalDeviceTableEntry,
    flags: 0,
    always: true,
    make: (rig) => guest(rig, { change: (entry) => Object.assign(entry, { gcr3LevelCode: 3 }) }),
  },
  {
    name: 'unknown guest paging mode',
    code: EventCode.IllegalDeviceTableEntry,
    flags: 0,
    always: true,
    make: (rig) => guest(rig, { change: (entry) => Object.assign(entry, { guestLevelCode: 2 }) }),
  },
  {
    name: 'device table entry outside memory',
    code: EventCode.DeviceTableHardwareError,
    flags: 0,
    always: true,
    make: (rig) => rig.hardware.write(Register.DeviceTableBase, upper(NOWHERE), 0x1ff),
    address: () => NOWHERE + 32 * DEVICE,
  },
  {
    name: 'PASID of a device without guest translation',
    code: EventCode.InvalidDeviceRequest,
    flags: EventFlag.Guest,
    always: true,
    request: { pasid: PASID },
    make: (rig) => host(rig),
  },
  {
    name: 'PASID past the GCR3 table',
    code: EventCode.IoPageFault,
    flags: EventFlag.Guest | PRESENT,
    request: { pasid: 512 },
    make: (rig) => guest(rig),
  },
  {
    name: 'GCR3 entry not valid',
    code: EventCode.IoPageFault,
    flags: EventFlag.Guest,
    request: { pasid: 7 },
    make: (rig) => guest(rig),
  },
  {
    name: 'GCR3 table outside memory',
    code: EventCode.PageTableHardwareError,
    flags: EventFlag.Guest,
    always: true,
    request: { pasid: PASID },
    make: (rig) => rig.device(DEVICE, (entry) => entry.setGuest(1, NOWHERE, 4)),
    address: () => NOWHERE + 8 * PASID,
  },
  {
    name: 'read of a device without IR',
    code: EventCode.IoPageFault,
    flags: DENIED,
    make: (rig) => host(rig, 3, (entry) => Object.assign(entry, { read: false })),
  },
  {
    name: 'write of a device without IW',
    code: EventCode.IoPageFault,
    flags: DENIED | EventFlag.Write,
    request: { write: true },
    make: (rig) => host(rig, 3, (entry) => Object.assign(entry, { write: false })),
  },
  {
    name: 'write of a device without IW that is passed through',
    code: EventCode.IoPageFault,
    flags: DENIED | EventFlag.Write,
    request: { write: true },
    make: (rig) => rig.device(DEVICE, (entry) => Object.assign(entry, { write: false })),
  },
  {
    name: 'atomic of a device without IR',
    code: EventCode.IoPageFault,
    flags: DENIED | EventFlag.Write,
    request: { write: true, flags: TlpFlag.Atomic },
    make: (rig) => host(rig, 3, (entry) => Object.assign(entry, { read: false })),
  },
  {
    name: 'address past the width of the host table',
    code: EventCode.IoPageFault,
    flags: 0,
    request: { address: 2 ** 39 },
    make: (rig) => host(rig),
  },
  {
    name: 'entry not present',
    code: EventCode.IoPageFault,
    flags: 0,
    request: { address: 0 },
    make: (rig) => host(rig),
  },
  {
    name: 'leaf without IW',
    code: EventCode.IoPageFault,
    flags: DENIED | EventFlag.Write,
    request: { write: true },
    make: (rig) => host(rig, 3, () => {}, Access.Read),
  },
  {
    name: 'reserved bit of a host leaf',
    code: EventCode.IoPageFault,
    flags: MALFORMED,
    make: spoilt((hi, lo) => [hi | (1 << 24), lo]),
  },
  {
    name: 'next level not below',
    code: EventCode.IoPageFault,
    flags: MALFORMED,
    make: spoilt((hi, lo) => [hi, lo | (1 << 9)]),
  },
  {
    name: 'size code without an end',
    code: EventCode.IoPageFault,
    flags: MALFORMED,
    make: spoilt((hi, lo) => [hi | 0xfffff, lo | (7 << 9) | ~0xfff]),
  },
  {
    name: 'leaf at level 6',
    code: EventCode.IoPageFault,
    flags: MALFORMED,
    make: (rig) => {
      const root = rig.frames.allocate();
      rig.poke(root, () => [3 << 29, 1]);
      rig.device(DEVICE, (entry) => entry.setHost(6, root));
    },
  },
  {
    name: 'host table outside memory',
    code: EventCode.PageTableHardwareError,
    flags: 0,
    always: true,
    make: (rig) => rig.device(DEVICE, (entry) => entry.setHost(3, NOWHERE)),
    address: () => NOWHERE,
  },
  {
    name: 'guest entry not present',
    code: EventCode.IoPageFault,
    flags: EventFlag.Guest,
    request: { pasid: PASID, address: 0x123_4567_8000 },
    make: (rig) => guest(rig),
  },
  {
    name: 'write to a read-only guest page',
    code: EventCode.IoPageFault,
    flags: EventFlag.Guest | DENIED | EventFlag.Write,
    request: { pasid: PASID, write: true },
    make: (rig) => guest(rig, { access: Access.Read }),
  },
  {
    name: 'guest-physical address without host entry',
    code: EventCode.IoPageFault,
    flags: EventFlag.Guest,
    request: { pasid: PASID },
    make: (rig) => {
      const table = rig.guestTable();
      rig.map(table, IOVA);
      const root = rig.gcr3(1, [[PASID, table.root]]);
      const below = rig.hostTable(4);
      rig.device(DEVICE, (entry) => {
        entry.setGuest(1, root, 4);
        entry.setHost(4, below.root);
      });
    },
  },
];

describe('event of each fault', () => {
  it.each(CASES)('$code: $name', ({ code, flags, request, make, address }) => {
    const rig = new Rig();
    make(rig);
    const asked = { address: IOVA, ...request };
    expect(rig.translate(asked).aborted).toBe(true);
    expect(rig.events).toEqual({ [code]: 1 });
    const [d0, d1, d2, d3] = rig.event(0) as [number, number, number, number];
    expect([d0 & 0xffff, d1 >>> 28]).toEqual([DEVICE, code]);
    expect(d1 & 0x01ff0000).toBe(flags);
    const guestTag = (flags & EventFlag.Guest) !== 0;
    const tag = ((d0 >>> 16) << 16) | (d1 & 0xffff);
    if (guestTag) expect(tag).toBe(asked.pasid);
    expect((d3 >>> 0) * 2 ** 32 + (d2 >>> 0)).toBe(address?.(rig) ?? asked.address);
    // Nothing of it was cached: the same request fails again.
    expect(rig.translate(asked).aborted).toBe(true);
    expect(rig.events).toEqual({ [code]: 2 });
    expect(rig.unit.translations.iotlb.occupancy).toBe(0);
  });

  it.each(CASES.filter(({ name }) => !name.includes('outside memory')))('DTE.SA and $code: $name', (c) => {
    const rig = new Rig();
    c.make(rig);
    rig.poke(rig.entryAt(DEVICE) + 8, (hi, lo) => [hi | 4, lo]);
    for (const _ of [0, 1]) expect(rig.translate({ address: IOVA, ...c.request }).aborted).toBe(true);
    expect(rig.events).toEqual(c.always === true ? { [c.code]: 2 } : {});
  });

  it('DTE.SE: the first I/O page fault since the entry was cached is reported', () => {
    const rig = new Rig();
    host(rig, 3, (entry) => Object.assign(entry, { suppressAfterFirst: true }));
    for (const page of [1, 2, 3]) rig.translate({ address: page * 2 ** 20 });
    expect(rig.events).toEqual({ [EventCode.IoPageFault]: 1 });
    rig.unit.dropCaches();
    for (const page of [1, 2, 3]) rig.translate({ address: page * 2 ** 20 });
    expect(rig.events).toEqual({ [EventCode.IoPageFault]: 2 });
  });

  it('an event of a host fault names the domain', () => {
    const rig = new Rig();
    host(rig);
    rig.translate({ address: 0 });
    expect(rig.event(0)[1]! & 0xffff).toBe(5);
  });
});

describe('event log', () => {
  const full = 2 ** EVENTS_LG2 - 1;

  function faults(rig: Rig, count: number): void {
    for (let i = 0; i < count; i++) rig.translate({ address: 2 ** 20 });
  }

  it('overflows when one entry is left, and stops', () => {
    const rig = new Rig();
    host(rig);
    faults(rig, full);
    expect(rig.hardware.status & StatusBit.EventOverflow).toBe(0);
    expect(rig.event(full - 1)[1]! >>> 28).toBe(EventCode.IoPageFault);
    faults(rig, 2);
    expect(rig.hardware.status & StatusBit.EventOverflow).not.toBe(0);
    expect(rig.hardware.status & StatusBit.EventLogRunning).toBe(0);
    expect(rig.event(full)).toEqual([0, 0, 0, 0]);
    expect([rig.hardware.faults.total, rig.hardware.faults.lost]).toEqual([full + 2, 2]);
  });

  it('goes on when software has read it, cleared the overflow and enabled it again, and not before', () => {
    const rig = new Rig();
    host(rig);
    faults(rig, full + 1);
    rig.hardware.write(Register.EventHead, 0, 16 * full);
    rig.enable(true, false);
    rig.enable(true, true);
    faults(rig, 1);
    expect(rig.hardware.faults.lost).toBe(2);
    rig.hardware.write(Register.Status, 0, StatusBit.EventOverflow);
    expect(rig.hardware.status & StatusBit.EventLogRunning).toBe(0);
    rig.enable(true, false);
    rig.enable(true, true);
    faults(rig, 1);
    expect(rig.hardware.faults.lost).toBe(2);
    expect(rig.event(full)[1]! >>> 28).toBe(EventCode.IoPageFault);
  });
});

describe('registers', () => {
  it('without IommuEn everything passes', () => {
    const rig = new Rig();
    rig.hardware.write(Register.Control, 0, 0);
    expect(rig.translate({ address: IOVA, device: 3 })).toMatchObject({ aborted: false, output: IOVA });
  });

  it('without GTEn DTE.GV counts for nothing', () => {
    const rig = new Rig();
    guest(rig);
    rig.hardware.write(Register.Control, 0, 1);
    expect(rig.translate({ address: IOVA }).output).toBe(IOVA);
    expect(rig.translate({ address: IOVA, pasid: PASID }).aborted).toBe(true);
    expect(rig.events).toEqual({ [EventCode.InvalidDeviceRequest]: 1 });
  });

  it('V = 0 passes requests with PASID as well', () => {
    const rig = new Rig();
    for (const pasid of [-1, PASID]) {
      for (const _ of [0, 1]) expect(rig.translate({ address: IOVA, pasid }).output).toBe(IOVA);
    }
  });
});

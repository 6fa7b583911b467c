import { describe, expect, it } from 'vitest';
import { readDword, readDwords, readHalf, writeDword, writeDwords, writeHalf } from '../../../memory/words.js';
import { BareRig } from '../../testing/bare-rig.js';
import { NO_WALK_CACHES, READ_PS, type UnitChanges, unitSpec } from '../../testing/spec.js';
import { buildVirtio } from './build.js';
import type { VirtioIommu } from './device.js';
import {
  DescriptorFlag,
  encodeAttach,
  encodeDetach,
  encodeMap,
  encodeUnmap,
  FAULT_BYTES,
  FaultReason,
  MapFlag,
  NO_INTERRUPT,
  Queue,
  Register,
  REQUEST_WORDS,
  Status,
} from './format.js';

const RIDS = [0x100, 0x208] as const;
const RW = MapFlag.Read | MapFlag.Write;
const SIZE = 16;
const TIMES = { start: 7000, context: 1000, pasid: 2000, iotlbPage: 10_000, wait: 500 };
const IOVA = 0x7_1234_5000;
const PA = 2 ** 35;
/** A store of the device, and a line that is in the cache; the port of the cache takes 1 ps for each line on top. */
const STORE_PS = 40_000;

type Encode = (words: Int32Array) => number;

class VirtioRig extends BareRig<VirtioIommu> {
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
  readonly buffers: number;
  readonly events: { readonly available: number; readonly used: number; readonly buffers: number };
  private offered = 0;
  private readonly words = new Int32Array(REQUEST_WORDS);

  constructor(changes: UnitChanges = {}, eventBuffers = 4) {
    const spec = unitSpec({
      architecture: 'virtio',
      mode: 'native',
      deviceLevels: 0,
      processLevels: 0,
      ...changes,
      invalidation: { sizeLg2: 4, ...TIMES, ...changes.invalidation },
    });
    super(buildVirtio, spec, RIDS);
    const page = (): number => this.frames.allocate();
    [this.descriptors, this.available, this.used, this.buffers] = [page(), page(), page(), page()];
    this.queue(Queue.Request, this.descriptors, this.available, this.used);
    const eventDescriptors = page();
    this.events = { available: page(), used: page(), buffers: page() };
    for (let i = 0; i < eventBuffers; i++) {
      this.describe(eventDescriptors, i, this.events.buffers + FAULT_BYTES * i, FAULT_BYTES, DescriptorFlag.Write, 0);
      writeHalf(this.physical, this.events.available + 4 + 2 * i, i);
    }
    writeHalf(this.physical, this.events.available + 2, eventBuffers);
    this.queue(Queue.Event, eventDescriptors, this.events.available, this.events.used);
    this.write(Register.Bypass, 0, 0);
  }

  private queue(queue: Queue, descriptors: number, available: number, used: number): void {
    this.write(Register.QueueSelect, 0, queue);
    this.write(Register.QueueSize, 0, SIZE);
    this.write(Register.QueueDescriptors, 1, descriptors | 0);
    this.write(Register.QueueDriver, 1, available | 0);
    this.write(Register.QueueDevice, 1, used | 0);
    this.write(Register.QueueEnable, 0, 1);
  }

  private describe(table: number, index: number, address: number, bytes: number, flags: number, next: number): void {
    const at = table + 16 * index;
    writeDwords(
      this.physical,
      at,
      Int32Array.of(address | 0, Math.floor(address / 2 ** 32), bytes, flags | (next << 16)),
      4,
    );
  }

  /** Puts requests into the ring; `kick` notifies. Returns their slots. */
  offer(requests: readonly Encode[], kick = true): number[] {
    const { physical } = this;
    const slots = requests.map((encode) => {
      const slot = this.offered % (SIZE / 2);
      const bytes = encode(this.words);
      const buffer = this.buffers + 64 * slot;
      writeDwords(physical, buffer, this.words, bytes / 4);
      writeDword(physical, buffer + bytes, -1);
      this.describe(this.descriptors, 2 * slot, buffer, bytes, DescriptorFlag.Next, 2 * slot + 1);
      this.describe(this.descriptors, 2 * slot + 1, buffer + bytes, 4, DescriptorFlag.Write, 0);
      writeHalf(physical, this.available + 4 + 2 * (this.offered % SIZE), 2 * slot);
      this.offered++;
      return slot;
    });
    writeHalf(physical, this.available, NO_INTERRUPT);
    writeHalf(physical, this.available + 2, this.offered);
    if (kick) this.write(Register.Notify, 0, Queue.Request);
    return slots;
  }

  /** Runs one request to its end; returns its status. */
  status(encode: Encode): Status {
    const [slot] = this.offer([encode]);
    const bytes = encode(this.words);
    this.run();
    return readDword(this.physical, this.buffers + 64 * slot! + bytes);
  }

  get usedIndex(): number {
    return readHalf(this.physical, this.used + 2);
  }
}

/** Not earlier, and later only by what the cache's port adds. */
function near(at: number, expected: number): void {
  expect(at).toBeGreaterThanOrEqual(expected);
  expect(at).toBeLessThanOrEqual(expected + 12);
}

const attach =
  (domain: number, endpoint: number, bypass = false): Encode =>
  (w) =>
    encodeAttach(w, domain, endpoint, bypass);
const detach =
  (domain: number, endpoint: number): Encode =>
  (w) =>
    encodeDetach(w, domain, endpoint);
const map =
  (domain: number, start: number, bytes: number, physical = PA, flags = RW): Encode =>
  (w) =>
    encodeMap(w, domain, start, bytes, physical, flags);
const unmap =
  (domain: number, start: number, bytes: number): Encode =>
  (w) =>
    encodeUnmap(w, domain, start, bytes);

/** Both endpoints in domain 5 with one page, endpoint 1's translation cached. */
function machine(changes: UnitChanges = {}): VirtioRig {
  const rig = new VirtioRig(changes);
  for (const rid of RIDS) expect(rig.status(attach(5, rid))).toBe(Status.Ok);
  expect(rig.status(map(5, IOVA, 4096))).toBe(Status.Ok);
  return rig;
}

describe('structures on the wire', () => {
  const bytesOf = (encode: Encode): string => {
    const words = new Int32Array(REQUEST_WORDS);
    const count = encode(words);
    return Buffer.from(words.buffer).subarray(0, count).toString('hex');
  };

  it.each([
    ['ATTACH', attach(0x11223344, 0x208, true), '0100000044332211080200000100000000000000'],
    ['DETACH', detach(5, 0x208), '0200000005000000080200000000000000000000'],
    [
      'MAP',
      map(5, 0x7_1234_5000, 8192, 0x1_0000_0000, 3),
      '03000000050000000050341207000000ff6f341207000000000000000100000003000000',
    ],
    ['UNMAP', unmap(5, 0x7_1234_5000, 8192), '04000000050000000050341207000000ff6f34120700000000000000'],
  ])('%s', (_, encode, text) => {
    expect(bytesOf(encode)).toBe(text);
  });
});

describe('reads per walk', () => {
  it.each([3, 4, 5])('a shadow table of %d levels', (levels) => {
    const rig = machine({ levels, ...NO_WALK_CACHES });
    const start = rig.now;
    const iova = levels === 3 ? 0x12_3456_7000 / 16 : IOVA;
    if (iova !== IOVA) expect(rig.status(map(5, iova - (iova % 4096), 4096, PA))).toBe(Status.Ok);
    const address = iova - (iova % 4096) + 0xab8;
    const at = Math.max(rig.now, start);
    expect(rig.translate({ address, requester: RIDS[0] })).toMatchObject({
      output: PA + 0xab8,
      at: at + levels * READ_PS,
    });
    expect(rig.reads).toEqual([0, levels]);
    // The other endpoint shares domain and IOTLB entry; only its first request walks, before the unit knows its domain.
    expect(rig.output({ address, requester: RIDS[1] })).toBe(PA + 0xab8);
    expect(rig.output({ address, requester: RIDS[1] })).toBe(PA + 0xab8);
    expect(rig.reads).toEqual([0, 2 * levels]);
    expect(rig.unit.translations.iotlb.occupancy).toBe(1);
  });

  it('large mappings become large pages', () => {
    const rig = machine();
    expect(rig.status(map(5, 2 ** 31, 2 ** 22, 2 ** 34))).toBe(Status.Ok);
    expect(rig.output({ address: 2 ** 31 + 2 ** 21 + 64, requester: RIDS[0] })).toBe(2 ** 34 + 2 ** 21 + 64);
    expect(rig.reads[1]).toBe(3);
    expect(rig.output({ address: 2 ** 31 + 2 ** 22 - 64, requester: RIDS[0] })).toBe(2 ** 34 + 2 ** 22 - 64);
    expect(rig.reads[1]).toBe(3);
  });
});

describe('requests', () => {
  it('are refused as the specification says, and change nothing', () => {
    const rig = machine();
    const cases: [Encode, Status][] = [
      [map(6, IOVA, 4096), Status.NoEntry],
      [unmap(6, IOVA, 4096), Status.NoEntry],
      [detach(5, 0x999), Status.NoEntry],
      [detach(6, RIDS[0]), Status.Invalid],
      [attach(5, RIDS[1], true), Status.Invalid],
      [map(5, IOVA, 4096), Status.Invalid],
      [map(5, IOVA + 4096, 4096, PA, 8), Status.Invalid],
      [map(5, IOVA + 4096, 4096, PA, 0), Status.Invalid],
      [map(5, IOVA + 4096, 4096, PA + 64), Status.Range],
      [map(5, IOVA + 64, 4096), Status.Range],
      [map(5, IOVA + 4096, 100), Status.Range],
      [map(5, 2 ** 48, 4096), Status.Range],
      [map(5, IOVA + 4096, 4096, 2 ** 46), Status.Range],
      [(w) => (encodeDetach(w, 5, RIDS[0]), (w[0] = 9), 20), Status.Unsupported],
      [(w) => (encodeMap(w, 5, IOVA + 4096, 4096, PA, RW), 28), Status.Invalid],
      [unmap(5, IOVA + 2 ** 20, 4096), Status.Ok],
    ];
    for (const [encode, status] of cases) expect(rig.status(encode)).toBe(status);
    expect(rig.output({ address: IOVA, requester: RIDS[0] })).toBe(PA);
    expect(rig.output({ address: IOVA + 4096, requester: RIDS[0] })).toBe(-1);
  });

  it('UNMAP takes several whole mappings and stops at one it would split', () => {
    const rig = machine();
    expect(rig.status(map(5, IOVA + 4096, 8192, PA + 4096))).toBe(Status.Ok);
    expect(rig.status(map(5, IOVA + 12_288, 8192, PA + 12_288))).toBe(Status.Ok);
    expect(rig.status(unmap(5, IOVA, 16_384))).toBe(Status.Range);
    const reach = (page: number): number => rig.output({ address: IOVA + 4096 * page, requester: RIDS[0] });
    expect([0, 1, 2, 3, 4].map(reach)).toEqual([-1, -1, -1, PA + 12_288, PA + 16_384]);
  });

  it('an endpoint that attaches elsewhere leaves its domain; the last one takes the mappings with it', () => {
    const rig = machine();
    const inUse = rig.frames.inUse;
    expect(rig.status(attach(6, RIDS[0]))).toBe(Status.Ok);
    expect(rig.output({ address: IOVA, requester: RIDS[0] })).toBe(-1);
    expect(rig.output({ address: IOVA, requester: RIDS[1] })).toBe(PA);
    expect(rig.status(detach(5, RIDS[1]))).toBe(Status.Ok);
    expect(rig.status(map(5, IOVA, 4096))).toBe(Status.NoEntry);
    expect(rig.output({ address: IOVA, requester: RIDS[1] })).toBe(-1);
    // Tables of domain 5 (four levels) are given back, the root of domain 6 is new.
    expect(rig.frames.inUse).toBe(inUse - 4 + 1);
  });

  it('a bypass domain passes addresses through; so does no domain if the device is configured so', () => {
    const rig = new VirtioRig();
    expect(rig.output({ address: PA, requester: RIDS[0] })).toBe(-1);
    expect(rig.status(attach(1, RIDS[0], true))).toBe(Status.Ok);
    expect(rig.output({ address: PA + 8, requester: RIDS[0] })).toBe(PA + 8);
    expect(rig.status(map(1, IOVA, 4096))).toBe(Status.Invalid);
    expect(rig.output({ address: PA, requester: RIDS[1] })).toBe(-1);
    rig.write(Register.Bypass, 0, 1);
    expect(rig.output({ address: PA, requester: RIDS[1] })).toBe(PA);
  });
});

describe('the request queue', () => {
  it('executes in order, each request in its own time after its reads, and completes in the used ring', () => {
    const rig = new VirtioRig({ coherent: true });
    const [first] = rig.offer([attach(5, RIDS[0]), map(5, IOVA, 4096), unmap(5, IOVA, 4096)], false);
    const start = rig.now;
    rig.write(Register.Notify, 0, Queue.Request);
    rig.run();
    const at = rig.seen.map((each) => each.at - start);
    // Available ring, descriptors and buffer come from DRAM the first time; later requests share the lines of ring and descriptors.
    const cold = 7000 + 3 * READ_PS + 500 + 1000 + STORE_PS;
    near(at[0]!, cold);
    const line = STORE_PS;
    const second = cold + 2 * line + READ_PS + 500 + 2000 + line;
    near(at[1]!, second);
    near(at[2]!, second + line + READ_PS + READ_PS + 500 + 10_000 + line);
    expect(rig.usedIndex).toBe(3);
    const elements = new Int32Array(6);
    readDwords(rig.physical, rig.used + 4, elements, 6);
    expect([...elements]).toEqual([2 * first!, 4, 2 * first! + 2, 4, 2 * first! + 4, 4]);
    expect(rig.hardware.commands).toMatchObject({ context: 1, iotlbPage: 1 });
    expect(rig.hardware.commands.busyPs(rig.now)).toBe(at[2]);
  });

  it('an UNMAP is not done one tick before the translation is gone', () => {
    const rig = machine();
    rig.translate({ address: IOVA, requester: RIDS[0] });
    const start = rig.now;
    rig.offer([unmap(5, IOVA, 4096)]);
    const index = rig.usedIndex;
    rig.run();
    const end = rig.seen.at(-1)!.at - start;
    const again = machine();
    again.translate({ address: IOVA, requester: RIDS[0] });
    const states: number[][] = [];
    const look = (): number => states.push([again.unit.translations.iotlb.occupancy, again.usedIndex - index]);
    again.after(end - STORE_PS - 1, look);
    again.after(end - STORE_PS + 1, look);
    again.after(end - 1, look);
    again.after(end + 1, look);
    again.offer([unmap(5, IOVA, 4096)]);
    again.run();
    expect(states).toEqual([
      [1, 0],
      [0, 0],
      [0, 0],
      [0, 1],
    ]);
  });

  it('an UNMAP waits for requests that still use the translation', () => {
    const rig = machine();
    rig.translate({ address: IOVA, requester: RIDS[0] });
    rig.servicePs = 5e6;
    const start = rig.now;
    rig.send({ address: IOVA, requester: RIDS[0] });
    rig.after(1, () => rig.offer([unmap(5, IOVA, 4096)]));
    rig.run();
    near(rig.seen.at(-1)!.at, start + 5e6 + STORE_PS);
    expect(rig.hardware.commands.drains).toBe(1);
  });

  it('takes requests that come while it works, notified or not', () => {
    const rig = machine();
    const before = rig.usedIndex;
    rig.offer([map(5, IOVA + 4096, 4096)]);
    rig.after(10_000, () => rig.offer([map(5, IOVA + 8192, 4096)], false));
    rig.after(20_000, () => rig.offer([map(5, IOVA + 12_288, 4096)]));
    rig.run();
    expect(rig.usedIndex - before).toBe(3);
    rig.offer([map(5, IOVA + 16_384, 4096)], false);
    rig.run();
    expect(rig.usedIndex - before).toBe(3);
  });

  it('runs around the ring many times', () => {
    const rig = machine();
    for (let i = 1; i < 5 * SIZE; i++) expect(rig.status(map(5, IOVA + 4096 * i, 4096))).toBe(Status.Ok);
    for (let i = 1; i < 5 * SIZE; i++) expect(rig.status(unmap(5, IOVA + 4096 * i, 4096))).toBe(Status.Ok);
  });

  it('a boot request is executed in no time', () => {
    const rig = machine();
    const words = new Int32Array(REQUEST_WORDS);
    encodeMap(words, 5, IOVA + 4096, 4096, PA + 4096, RW);
    const at = rig.frames.allocate();
    writeDwords(rig.physical, at, words, 9);
    writeDword(rig.physical, at + 36, -1);
    const start = rig.now;
    rig.write(Register.Boot, 1, at | 0);
    expect([rig.now, readDword(rig.physical, at + 36)]).toEqual([start, Status.Ok]);
    expect(rig.output({ address: IOVA + 4096, requester: RIDS[0] })).toBe(PA + 4096);
  });
});

describe('what an UNMAP removes from the unit', () => {
  /** Table reads that each page needs afterwards. */
  function reads(changes: UnitChanges, request: Encode): number[] {
    const rig = machine(changes);
    for (let i = 1; i < 3; i++) rig.status(map(5, IOVA + 4096 * i, 4096, PA + 4096 * i));
    rig.status(map(5, 2 ** 31, 2 ** 21, 2 ** 34));
    rig.status(attach(6, RIDS[1]));
    rig.status(map(6, IOVA, 4096));
    const all = [
      ...[0, 1, 2].map((i) => ({ address: IOVA + 4096 * i, requester: RIDS[0] })),
      { address: 2 ** 31, requester: RIDS[0] },
      { address: IOVA, requester: RIDS[1] },
    ];
    for (const each of all) rig.translate(each);
    rig.status(request);
    return all.map((each) => {
      const before = rig.reads[1];
      rig.translate(each);
      return rig.reads[1] - before;
    });
  }

  it.each([
    ['one page: its leaf, upper entries stay', {}, unmap(5, IOVA, 4096), [1, 0, 0, 0, 0]],
    ['two pages', {}, unmap(5, IOVA + 4096, 8192), [0, 1, 1, 0, 0]],
    ['a large page: nothing of its neighbours', {}, unmap(5, 2 ** 31, 2 ** 21), [0, 0, 0, 1, 0]],
    ['one page, hint not honoured', { invalidation: { hintHonoured: false } }, unmap(5, IOVA, 4096), [4, 0, 0, 0, 0]],
    ['a detach: the domain', {}, detach(6, RIDS[1]), [0, 0, 0, 0, 0]],
  ] as [string, UnitChanges, Encode, number[]][])('%s', (_, changes, request, expected) => {
    expect(reads(changes, request)).toEqual(expected);
  });

  it('tables that become free go from the paging-structure caches too', () => {
    const rig = machine();
    expect(rig.status(unmap(5, 0, 2 ** 47))).toBe(Status.Ok);
    expect(rig.status(map(5, 2 ** 31, 4096, PA))).toBe(Status.Ok);
    rig.translate({ address: 2 ** 31, requester: RIDS[0] });
    expect(rig.unit.translations.structure.map((cache) => cache.occupancy)).toEqual([1, 1, 1, 0]);
    // 2 MiB over the table of the page: the empty table makes way, and the walker must not go through it.
    expect(rig.status(unmap(5, 2 ** 31, 4096))).toBe(Status.Ok);
    expect(rig.status(map(5, 2 ** 31, 2 ** 21, 2 ** 34))).toBe(Status.Ok);
    expect(rig.output({ address: 2 ** 31 + 64, requester: RIDS[0] })).toBe(2 ** 34 + 64);
  });
});

describe('faults', () => {
  const event = (rig: VirtioRig, index: number): Record<string, number> => {
    const words = new Int32Array(FAULT_BYTES / 4);
    readDwords(rig.physical, rig.events.buffers + FAULT_BYTES * index, words, words.length);
    const [reason, flags, endpoint, , lo, hi] = words as unknown as number[];
    return { reason: reason!, flags: flags!, endpoint: endpoint!, address: hi! * 2 ** 32 + (lo! >>> 0) };
  };

  it.each([
    ['no domain', FaultReason.Domain, 0x101, (rig: VirtioRig) => (rig.status(detach(5, RIDS[0])), { address: IOVA })],
    ['a PASID', FaultReason.Domain, 0x101, () => ({ address: IOVA, pasid: 1 })],
    ['no mapping', FaultReason.Mapping, 0x102, () => ({ address: IOVA + 4096, write: true })],
    ['beyond the input range', FaultReason.Mapping, 0x101, () => ({ address: 2 ** 48 })],
    [
      'write to a read-only mapping',
      FaultReason.Mapping,
      0x102,
      (rig: VirtioRig) => (
        rig.status(map(5, IOVA + 4096, 4096, PA, MapFlag.Read)), { address: IOVA + 4096, write: true }
      ),
    ],
  ] as [string, FaultReason, number, (rig: VirtioRig) => { address: number; write?: boolean }][])(
    '%s: an event with reason, kind of access, endpoint and address',
    (_, reason, flags, spoil) => {
      const rig = machine();
      const request = { requester: RIDS[0], ...spoil(rig) };
      expect(rig.output(request)).toBe(-1);
      expect(rig.hardware.faults.byCode[reason]).toBe(1);
      expect(event(rig, 0)).toEqual({ reason, flags, endpoint: RIDS[0], address: request.address });
      expect(readHalf(rig.physical, rig.events.used + 2)).toBe(1);
      expect(rig.unit.translations.iotlb.occupancy).toBe(0);
    },
  );

  it('are lost when the driver has posted no buffer', () => {
    const rig = machine();
    for (let i = 0; i < 6; i++) rig.translate({ address: IOVA + 2 ** 20, requester: RIDS[0] });
    expect([rig.hardware.faults.total, rig.hardware.faults.lost]).toEqual([6, 2]);
  });
});

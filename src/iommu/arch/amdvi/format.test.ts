import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Fault } from '../../../pagetable/fault.js';
import {
  Command,
  decodeCommand,
  DeviceTableEntry,
  deviceTableBytes,
  encodeCompletionWait,
  encodeDeviceTableBase,
  encodeEvent,
  encodeGcr3Entry,
  encodeInvalidateAll,
  encodeInvalidateDevice,
  encodeInvalidatePages,
  encodeRingBaseHi,
  EventCode,
  EventFlag,
  EVERYTHING,
  gcr3EntryOffset,
  Opcode,
  pageFaultFlags,
  pasidLimit,
  pointerHi,
  pointerLo,
  ringEntriesLg2,
  ringIndex,
} from './format.js';

/** Four or eight dwords as a number of 64 bits each. */
function qwords(words: Int32Array): bigint[] {
  return Array.from({ length: words.length / 2 }, (_, i) => {
    return (BigInt(words[2 * i + 1]! >>> 0) << 32n) | BigInt(words[2 * i]! >>> 0);
  });
}

const bits = (word: bigint, high: number, low: number): bigint =>
  (word >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);

const address = fc.bigInt(0n, 2n ** 40n - 1n).map((page) => Number(page) * 4096);

describe('device table entry', () => {
  const fields = fc.record({
    valid: fc.boolean(),
    translationValid: fc.boolean(),
    accessDirty: fc.constantFrom(0, 1, 3),
    mode: fc.nat(7),
    host: address,
    guestWithoutPasid: fc.boolean(),
    guestValid: fc.boolean(),
    gcr3LevelCode: fc.nat(3),
    gcr3: address,
    read: fc.boolean(),
    write: fc.boolean(),
    domain: fc.nat(0xffff),
    iotlb: fc.boolean(),
    suppressAfterFirst: fc.boolean(),
    suppressAll: fc.boolean(),
    guestLevelCode: fc.nat(3),
  });

  it('has every field at its bits, and reads back what it was given', () => {
    fc.assert(
      fc.property(fields, ({ host, gcr3, ...plain }) => {
        const entry = Object.assign(new DeviceTableEntry(), plain);
        entry.setHost(plain.mode, host);
        entry.gcr3RootHi = Math.floor(gcr3 / 2 ** 32);
        entry.gcr3RootLo = gcr3 | 0;
        const words = new Int32Array(8);
        entry.encode(words);
        const [q0, q1, q2, q3] = qwords(words) as [bigint, bigint, bigint, bigint];
        expect(bits(q0, 1, 0)).toBe(BigInt(plain.valid) | (BigInt(plain.translationValid) << 1n));
        expect([bits(q0, 8, 7), bits(q0, 11, 9)]).toEqual([BigInt(plain.accessDirty), BigInt(plain.mode)]);
        expect(bits(q0, 51, 12) << 12n).toBe(BigInt(host));
        expect(bits(q0, 55, 54)).toBe(BigInt(plain.guestWithoutPasid) | (BigInt(plain.guestValid) << 1n));
        expect(bits(q0, 57, 56)).toBe(BigInt(plain.gcr3LevelCode));
        expect(bits(q0, 62, 61)).toBe(BigInt(plain.read) | (BigInt(plain.write) << 1n));
        const root = (bits(q0, 60, 58) << 12n) | (bits(q1, 31, 16) << 15n) | (bits(q1, 63, 43) << 31n);
        expect(root).toBe(BigInt(gcr3));
        expect(bits(q1, 15, 0)).toBe(BigInt(plain.domain));
        expect(bits(q1, 32, 32)).toBe(BigInt(plain.iotlb));
        expect(bits(q1, 34, 33)).toBe(BigInt(plain.suppressAfterFirst) | (BigInt(plain.suppressAll) << 1n));
        expect(bits(q2, 55, 54)).toBe(BigInt(plain.guestLevelCode));
        expect(q3).toBe(0n);
        const back = new DeviceTableEntry();
        back.decode(words);
        expect(back).toEqual(entry);
      }),
    );
  });

  it.each([2, 3, 4, 5, 6, 63])('bit %i is reserved', (bit) => {
    const words = new Int32Array(8);
    words[bit >> 5] = 1 << (bit & 31);
    const entry = new DeviceTableEntry();
    entry.decode(words);
    expect(entry.reserved).toBe(true);
  });

  it('guest tables of the levels asked for', () => {
    const entry = new DeviceTableEntry();
    entry.setGuest(3, 0x12_3456_7000, 5);
    expect(entry).toMatchObject({ guestValid: true, gcr3LevelCode: 2, guestLevelCode: 1, gcr3RootHi: 0x12 });
  });
});

describe('GCR3 table', () => {
  it('nine bits of PASID a level', () => {
    expect([1, 2, 3].map(pasidLimit)).toEqual([512, 2 ** 18, 2 ** 27]);
    expect([1, 2, 3].map((level) => gcr3EntryOffset(0x8_4c0f, level))).toEqual([0xf * 8, 0x26 * 8, 2 * 8]);
  });

  it('entry: valid, and the address', () => {
    const words = new Int32Array(2);
    encodeGcr3Entry(words, 0xa_bcde_f123_4000);
    expect(qwords(words)).toEqual([0xa_bcde_f123_4001n]);
  });
});

describe('commands', () => {
  const words = new Int32Array(4);
  const command = new Command();

  it('COMPLETION_WAIT with a store', () => {
    encodeCompletionWait(words, 0, 0x12_3456_7898, 7, 9);
    expect(qwords(words)).toEqual([(1n << 60n) | 0x12_3456_7899n, (7n << 32n) | 9n]);
    expect(decodeCommand(words, command)).toBe(true);
    const { addressHi, addressLo, dataHi, dataLo, store, interrupt } = command;
    expect([addressHi, addressLo, dataHi, dataLo]).toEqual([0x12, 0x34567898, 7, 9]);
    expect([store, interrupt]).toEqual([true, false]);
  });

  it.each([
    // One page: no S. Blocks: ones below the bit that says how large.
    [0x5000, 0, 0x5000n],
    [0x6000, 1, 0x6001n],
    [0x8000, 3, 0xb001n],
    [2 ** 30, 18, 0x5ffff001n],
    [2 ** 45, 33, 0x2fff_ffff_f001n],
    [0, EVERYTHING, 0x7fff_ffff_ffff_f001n],
  ])('pages from 0x%x, 2^%i of them', (start, mask, coded) => {
    encodeInvalidatePages(words, 0, 0x1234, -1, Math.floor(start / 2 ** 32), start | 0, mask, false);
    expect(qwords(words)).toEqual([(3n << 60n) | (0x1234n << 32n), coded]);
    expect(decodeCommand(words, command)).toBe(true);
    expect(command).toMatchObject({ opcode: Opcode.InvalidatePages, domain: 0x1234, guest: false });
    expect([command.addressHi * 2 ** 32 + (command.addressLo >>> 0), command.addressMask]).toEqual([start, mask]);
  });

  it('every aligned block reads back', () => {
    fc.assert(
      fc.property(
        fc.bigInt(0n, 2n ** 52n - 1n),
        fc.nat(51),
        fc.nat(0xfffff),
        fc.boolean(),
        (page, mask, pasid, pde) => {
          const start = BigInt.asUintN(64, ((page >> BigInt(mask)) << BigInt(mask)) * 4096n);
          const [hi, lo] = [Number(start >> 32n) | 0, Number(start & 0xffffffffn) | 0];
          encodeInvalidatePages(words, 0, 5, pasid, hi, lo, mask, pde);
          expect(decodeCommand(words, command)).toBe(true);
          expect(command).toMatchObject({ pasid, domain: 5, guest: true, directories: pde });
          expect([command.addressHi | 0, command.addressLo, command.addressMask]).toEqual([hi, lo, mask]);
        },
      ),
    );
  });

  it('a size code without an end names everything', () => {
    words.set([0, Opcode.InvalidatePages << 28, ~0xfff | 1, -1]);
    expect(decodeCommand(words, command)).toBe(true);
    expect(command).toMatchObject({ addressMask: EVERYTHING, addressHi: 0, addressLo: 0 });
  });

  it('device entry, and all', () => {
    encodeInvalidateDevice(words, 0, 0x208);
    expect(qwords(words)).toEqual([(2n << 60n) | 0x208n, 0n]);
    expect(decodeCommand(words, command)).toBe(true);
    expect(command.device).toBe(0x208);
    encodeInvalidateAll(words, 0);
    expect(qwords(words)).toEqual([8n << 60n, 0n]);
    expect(decodeCommand(words, command)).toBe(true);
  });

  it('the PASID of a device TLB command lies in three places', () => {
    words.set([0x208 | (0xcd << 16), (4 << 28) | (0xa << 24) | (0xef << 16), 0, 0]);
    expect(decodeCommand(words, command)).toBe(true);
    expect(command).toMatchObject({ opcode: Opcode.InvalidateIotlbPages, device: 0x208, pasid: 0xacdef });
  });

  const clean = (opcode: number): Int32Array => Int32Array.of(0, opcode << 28, 0, 0);

  it.each([1, 2, 3, 4, 5, 7, 8])('opcode %i exists', (opcode) => {
    expect(decodeCommand(clean(opcode), command)).toBe(true);
  });

  it.each([0, 6, 9, 10, 11, 12, 13, 14, 15])('opcode %i is illegal', (opcode) => {
    expect(decodeCommand(clean(opcode), command)).toBe(false);
  });

  it.each([
    [1, [52, 59]],
    [2, [16, 59, 64, 127]],
    [3, [20, 31, 48, 59, 67, 75]],
    [4, [65, 67, 70, 75]],
    [5, [16, 59, 64, 127]],
    [8, [0, 59, 64, 127]],
  ] as const)('opcode %i with a reserved bit is illegal', (opcode, reserved) => {
    for (const bit of reserved) {
      const bad = clean(opcode);
      bad[bit >> 5]! |= 1 << (bit & 31);
      expect(decodeCommand(bad, command), `bit ${bit}`).toBe(false);
    }
  });
});

describe('events', () => {
  it('device, PASID in two places, flags, code and address', () => {
    const words = new Int32Array(4);
    const flags = EventFlag.Guest | EventFlag.Present | EventFlag.Write;
    encodeEvent(words, EventCode.IoPageFault, flags, 0x208, 0xabcde, 0x12, 0x3456_7890);
    const [q0, q1] = qwords(words) as [bigint, bigint];
    expect([bits(q0, 15, 0), bits(q0, 19, 16), bits(q0, 47, 32)]).toEqual([0x208n, 0xan, 0xbcden]);
    expect([bits(q0, 48, 48), bits(q0, 52, 52), bits(q0, 53, 53), bits(q0, 54, 54)]).toEqual([1n, 1n, 1n, 0n]);
    expect([bits(q0, 63, 60), q1]).toEqual([2n, 0x12_3456_7890n]);
  });

  it('what was at fault decides PR, PE and RZ', () => {
    expect(pageFaultFlags(Fault.NotPresent)).toBe(0);
    expect(pageFaultFlags(Fault.SkippedBits)).toBe(0);
    expect(pageFaultFlags(Fault.Level)).toBe(EventFlag.Present | EventFlag.Reserved);
    expect(pageFaultFlags(Fault.WriteDenied)).toBe(EventFlag.Present | EventFlag.Permission);
  });
});

describe('registers', () => {
  it('device table of 4 KiB to 2 MiB', () => {
    expect(deviceTableBytes(encodeDeviceTableBase(0x5000, 4096))).toBe(4096);
    const lo = encodeDeviceTableBase(0x5000, 2 ** 21);
    expect([deviceTableBytes(lo), pointerLo(lo)]).toEqual([2 ** 21, 0x5000]);
  });

  it('rings: entries in 59:56, offsets in 18:4', () => {
    const hi = encodeRingBaseHi(0xf_fff0_0000_0000, 15);
    expect([ringEntriesLg2(hi), pointerHi(hi)]).toEqual([15, 0xf_fff0]);
    expect(ringIndex(0x7fff0)).toBe(0x7fff);
  });
});

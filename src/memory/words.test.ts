import fc from 'fast-check';
import { expect, it } from 'vitest';
import { PhysicalMemory } from './physical.js';
import { readDword, readDwords, readHalf, writeDword, writeDwords, writeHalf } from './words.js';

const BASE = 2 ** 33;

it('halves and dwords are what a little-endian byte array holds', () => {
  const step = fc.record({ half: fc.boolean(), slot: fc.nat(31), value: fc.integer() });
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const memory = new PhysicalMemory();
      const bytes = new DataView(new ArrayBuffer(64));
      for (const { half, slot, value } of steps) {
        if (half) {
          writeHalf(memory, BASE + 2 * slot, value & 0xffff);
          bytes.setUint16(2 * slot, value & 0xffff, true);
        } else {
          const at = 4 * (slot & 15);
          writeDword(memory, BASE + at, value);
          bytes.setInt32(at, value, true);
        }
      }
      for (let i = 0; i < 32; i++) expect(readHalf(memory, BASE + 2 * i)).toBe(bytes.getUint16(2 * i, true));
      for (let i = 0; i < 16; i++) expect(readDword(memory, BASE + 4 * i)).toBe(bytes.getInt32(4 * i, true));
    }),
  );
});

it('arrays of dwords begin at any multiple of four', () => {
  const memory = new PhysicalMemory();
  const words = Int32Array.of(1, -2, 3, 0x7fffffff, 5);
  writeDwords(memory, BASE + 4, words, 5);
  const back = new Int32Array(5);
  readDwords(memory, BASE + 4, back, 5);
  expect(back).toEqual(words);
  memory.read(2, 8);
  expect([memory.wordHi, memory.wordLo]).toEqual([3, -2]);
});

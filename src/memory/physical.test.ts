import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PhysicalMemory } from './physical.js';

const hiOf = (address: number) => Math.floor(address / 2 ** 32);
const loOf = (address: number) => (address % 2 ** 32) | 0;

/** The obvious memory: a map from the byte address of a word to the word. */
class MapMemory {
  readonly words = new Map<number, bigint>();
  write(address: number, value: bigint): void {
    this.words.set(address, value);
  }
  read(address: number): bigint {
    return this.words.get(address) ?? 0n;
  }
  clearPage(address: number): void {
    const page = Math.floor(address / 4096) * 4096;
    for (let word = page; word < page + 4096; word += 8) this.words.delete(word);
  }
}

function readWord(memory: PhysicalMemory, address: number): bigint {
  memory.read(hiOf(address), loOf(address));
  return (BigInt(memory.wordHi >>> 0) << 32n) | BigInt(memory.wordLo >>> 0);
}

function writeWord(memory: PhysicalMemory, address: number, value: bigint): void {
  memory.write(hiOf(address), loOf(address), Number(value >> 32n) | 0, Number(value & 0xffffffffn) | 0);
}

/** Few regions, so that sequences meet the same lines and pages, among them the two ends of the address space and a 4 GiB border. */
const address = fc
  .tuple(
    fc.constantFrom(0, 2 ** 32 - 4096, 2 ** 38, 2 ** 52 - 8192),
    fc.nat(1),
    fc.constantFrom(0, 1, 2, 3, 4, 63),
    fc.nat(7),
  )
  .map(([region, page, line, word]) => region + page * 4096 + line * 64 + word * 8);

describe('PhysicalMemory', () => {
  it('agrees with a map of words under any sequence of stores, loads and page clears', () => {
    const operation = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant('write'), address, value: fc.bigInt(0n, 2n ** 64n - 1n) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('write'), address, value: fc.constant(0n) }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('read'), address, value: fc.constant(0n) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('clear'), address, value: fc.constant(0n) }) },
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200 }), (operations) => {
        const memory = new PhysicalMemory();
        const reference = new MapMemory();
        for (const step of operations) {
          if (step.kind === 'write') {
            writeWord(memory, step.address, step.value);
            reference.write(step.address, step.value);
          } else if (step.kind === 'clear') {
            memory.clearPage(hiOf(step.address), loOf(step.address));
            reference.clearPage(step.address);
          } else expect(readWord(memory, step.address)).toBe(reference.read(step.address));
        }
        for (const { address: touched } of operations) {
          const line = Math.floor(touched / 64) * 64;
          for (let word = line; word < line + 64; word += 8) expect(readWord(memory, word)).toBe(reference.read(word));
        }
        const nonZero = [...reference.words].filter(([, value]) => value !== 0n).map(([word]) => Math.floor(word / 64));
        expect(memory.lines).toBeGreaterThanOrEqual(new Set(nonZero).size);
        expect(memory.lines).toBeLessThanOrEqual(
          new Set([...reference.words.keys()].map((w) => Math.floor(w / 64))).size,
        );
      }),
    );
  });

  it('stores several words of a line, and one value in several halves, as single stores do', () => {
    const halves = fc.record({
      kind: fc.constant('fill'),
      address,
      count: fc.integer({ min: 1, max: 40 }),
      value: fc.integer(),
    });
    const words = fc.record({
      kind: fc.constant('words'),
      address,
      count: fc.integer({ min: 1, max: 8 }),
      value: fc.oneof(fc.constant(0), fc.integer()),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(halves, words), { maxLength: 40 }), (steps) => {
        const memory = new PhysicalMemory();
        const single = new PhysicalMemory();
        for (const { kind, address: at, count, value } of steps) {
          if (kind === 'fill') {
            memory.fillHalves(hiOf(at), loOf(at), count, value);
            for (let i = 0; i < count; i++) single.writeHalf(hiOf(at + 4 * i), loOf(at + 4 * i), value);
          } else {
            const inLine = Math.min(count, 8 - (Math.floor(at / 8) % 8));
            const source = Int32Array.from({ length: 20 }, (_, i) => (i % 3 === 0 ? 0 : value + i));
            memory.writeWords(hiOf(at), loOf(at), source, 2, 2 * inLine);
            for (let i = 0; i < inLine; i++) {
              single.write(hiOf(at + 8 * i), loOf(at + 8 * i), source[3 + 2 * i]!, source[2 + 2 * i]!);
            }
          }
          for (let i = 0; i < 24; i++) expect(readWord(memory, at + 8 * i)).toBe(readWord(single, at + 8 * i));
        }
        expect(memory.lines).toBe(single.lines);
      }),
    );
  });

  it('agrees with a map while it grows through many segments, shrinks to nothing and grows again', () => {
    const memory = new PhysicalMemory();
    const reference = new Map<number, number>();
    let state = 12345;
    const draw = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return state;
    };
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 40_000; i++) {
        const at = (draw() % 2 ** 14) * 2 ** 30 + (draw() >>> 20) * 4096 + (draw() >>> 25) * 32;
        const value = draw() | 1;
        reference.set(at, value);
        memory.write(hiOf(at), loOf(at), ~value, value);
        if ((draw() >>> 16) % 8 === 0) {
          const page = Math.floor(at / 4096) * 4096;
          memory.clearPage(hiOf(at), loOf(at));
          for (let word = page; word < page + 4096; word += 32) reference.delete(word);
        }
      }
      expect(memory.lines).toBe(new Set([...reference.keys()].map((word) => Math.floor(word / 64))).size);
      for (const [word, value] of reference) {
        memory.read(hiOf(word), loOf(word));
        if (memory.wordLo !== value || memory.wordHi !== ~value) throw new Error(`wrong word at ${word}`);
      }
      if (round === 1) {
        for (const word of reference.keys()) memory.clearPage(hiOf(word), loOf(word));
        reference.clear();
        expect(memory.lines).toBe(0);
      }
    }
  });

  it('never allocates on a read or on a store of zero', () => {
    const memory = new PhysicalMemory();
    const bytes = memory.bytes;
    for (let i = 0; i < 1000; i++) {
      expect(readWord(memory, i * 2 ** 40)).toBe(0n);
      memory.write(i << 8, 0, 0, 0);
    }
    expect(memory.lines).toBe(0);
    expect(memory.bytes).toBe(bytes);
  });

  it('hands a cleared line out as zeros', () => {
    const memory = new PhysicalMemory();
    for (let word = 0; word < 8; word++) writeWord(memory, 2 ** 40 + word * 8, 2n ** 64n - 1n);
    memory.clearPage(hiOf(2 ** 40), 0xff8);
    expect(memory.lines).toBe(0);
    writeWord(memory, 2 ** 40 + 8, 5n);
    expect(Array.from({ length: 8 }, (_, word) => readWord(memory, 2 ** 40 + word * 8))).toEqual([
      0n,
      5n,
      0n,
      0n,
      0n,
      0n,
      0n,
      0n,
    ]);
  });

  it('reuses the lines of cleared pages', () => {
    const memory = new PhysicalMemory();
    for (let page = 0; page < 20_000; page++) memory.write(1, page << 12, 0, 1);
    const bytes = memory.bytes;
    for (let round = 1; round < 20; round++) {
      for (let page = 0; page < 20_000; page++) memory.clearPage(round, page << 12);
      for (let page = 0; page < 20_000; page++) memory.write(round + 1, page << 12, 0, 1);
    }
    expect(memory.lines).toBe(20_000);
    expect(memory.bytes).toBe(bytes);
  });

  it('holds sparse four-level tables in at most about 600 bytes each at any number of them', () => {
    const memory = new PhysicalMemory();
    let worst = 0;
    for (let table = 0; table < 200_000; table++) {
      for (let level = 0; level < 4; level++) {
        const at = 2 ** 33 + (table * 4 + level) * 4096 + (Math.imul(table + level, 0x9e3779b1) >>> 23) * 8;
        memory.write(hiOf(at), loOf(at), 1, 1);
      }
      if (table > 20_000 && table % 100 === 0) worst = Math.max(worst, memory.bytes / (table + 1));
    }
    expect(worst).toBeLessThan(660);
    expect(memory.bytes / 200_000).toBeLessThan(600);
  });

  it('holds equally spaced lines at every power of two', () => {
    for (let lg2 = 6; lg2 < 37; lg2++) {
      const memory = new PhysicalMemory();
      for (let i = 0; i < 30_000; i++) memory.write(hiOf(i * 2 ** lg2), loOf(i * 2 ** lg2), 0, i + 1);
      expect(memory.bytes / memory.lines).toBeLessThan(300);
      expect(readWord(memory, 29_999 * 2 ** lg2)).toBe(30_000n);
    }
  });
});

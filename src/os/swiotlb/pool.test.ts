import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LARGEST_BOUNCE, SEGMENT_SLOTS, SLOT_BYTES, SlotPool } from './pool.js';

const KIB = 1024;
const PAGE = 4 * KIB;

describe('slots of the bounce pool', () => {
  it('has the sizes of the kernel: 64 MiB are 32768 slots of 2 KiB', () => {
    const pool = new SlotPool(64 * KIB * KIB, 16);
    expect([pool.slots, pool.areas, pool.areaSlots]).toEqual([32768, 16, 2048]);
  });

  it('rounds the size up to a power of two and has a segment for each area', () => {
    expect(new SlotPool(3 * LARGEST_BOUNCE, 1).slots).toBe(4 * SEGMENT_SLOTS);
    expect(new SlotPool(4 * LARGEST_BOUNCE, 64).areas).toBe(4);
    expect(() => new SlotPool(LARGEST_BOUNCE - 1, 1)).toThrow('at least');
  });

  it('goes on where the last search ended, and only then comes back', () => {
    const pool = new SlotPool(LARGEST_BOUNCE, 1);
    expect(pool.allocate(0, SLOT_BYTES)).toBe(0);
    pool.free(0);
    expect(pool.allocate(0, SLOT_BYTES)).toBe(1);
    // One looked at, one taken, and the free one below it has a new count.
    expect(pool.visits).toBe(3);
  });

  it('begins mappings of a page and more at a page', () => {
    const pool = new SlotPool(LARGEST_BOUNCE, 1);
    pool.allocate(0, 100);
    expect(pool.allocate(0, PAGE)).toBe(2);
    expect(pool.allocate(0, SLOT_BYTES)).toBe(4);
    expect(pool.allocate(0, 2 * SLOT_BYTES + 1)).toBe(6);
  });

  it('begins mappings where they are asked to', () => {
    const pool = new SlotPool(LARGEST_BOUNCE, 1);
    pool.allocate(0, SLOT_BYTES);
    expect(pool.allocate(0, SLOT_BYTES, 16 * KIB)).toBe(8);
  });

  it('gives out 128 slots at most in one piece, and none when only smaller pieces are left', () => {
    const pool = new SlotPool(2 * LARGEST_BOUNCE, 1);
    expect(pool.allocate(0, LARGEST_BOUNCE)).toBe(0);
    expect(pool.allocate(0, SLOT_BYTES)).toBe(128);
    // 127 slots are free.
    expect(pool.allocate(0, LARGEST_BOUNCE)).toBe(-1);
    pool.free(128);
    expect(pool.allocate(0, LARGEST_BOUNCE)).toBe(128);
    expect(pool.allocate(0, SLOT_BYTES)).toBe(-1);
  });

  it('keeps areas apart', () => {
    const pool = new SlotPool(2 * LARGEST_BOUNCE, 2);
    expect(pool.allocate(1, LARGEST_BOUNCE)).toBe(128);
    expect(pool.allocate(1, SLOT_BYTES)).toBe(-1);
    expect(pool.allocate(0, SLOT_BYTES)).toBe(0);
    expect([pool.usedIn(0), pool.usedIn(1)]).toEqual([1, 128]);
  });

  it('refuses to free what begins no mapping', () => {
    const pool = new SlotPool(LARGEST_BOUNCE, 1);
    pool.allocate(0, PAGE);
    expect(() => pool.free(1)).toThrow('begins no mapping');
    pool.free(0);
    expect(() => pool.free(0)).toThrow('begins no mapping');
  });

  it('hands out what a plain search of a map of slots would find, and everything comes back', () => {
    const step = fc.oneof(
      fc.record({ bytes: fc.integer({ min: 1, max: LARGEST_BOUNCE }) }),
      fc.record({ bytes: fc.integer({ min: 1, max: 6 * SLOT_BYTES }) }),
      fc.record({ free: fc.nat(1000) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const pool = new SlotPool(4 * LARGEST_BOUNCE, 2);
        const inUse = new Uint8Array(pool.slots);
        const live: [slot: number, count: number][] = [];
        const next = [0, 0];
        for (const [turn, action] of steps.entries()) {
          const area = turn % 2;
          if ('free' in action) {
            const [entry] = live.splice(action.free % Math.max(1, live.length), 1);
            if (entry === undefined) continue;
            pool.free(entry[0]);
            inUse.fill(0, entry[0], entry[0] + entry[1]);
            continue;
          }
          const count = Math.ceil(action.bytes / SLOT_BYTES);
          const stride = action.bytes >= PAGE ? 2 : 1;
          const fits = (slot: number): boolean =>
            slot % stride === 0 &&
            Math.floor(slot / SEGMENT_SLOTS) === Math.floor((slot + count - 1) / SEGMENT_SLOTS) &&
            inUse.subarray(slot, slot + count).every((used) => used === 0);
          let expected = -1;
          for (let i = 0; i < pool.areaSlots && expected < 0; i++) {
            const slot = area * pool.areaSlots + ((next[area]! + i) % pool.areaSlots);
            if (fits(slot)) expected = slot;
          }
          const slot = pool.allocate(area, action.bytes);
          expect(slot).toBe(expected);
          if (slot < 0) continue;
          inUse.fill(1, slot, slot + count);
          live.push([slot, count]);
          next[area] = (slot + count) % pool.areaSlots;
        }
        for (const [slot] of live) pool.free(slot);
        expect(pool.usedIn(0) + pool.usedIn(1)).toBe(0);
        for (let area = 0; area < 2; area++) {
          for (let i = 0; i < 2; i++) expect(pool.allocate(area, LARGEST_BOUNCE)).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 100 },
    );
  });
});

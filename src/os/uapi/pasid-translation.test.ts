import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameAllocator } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { PASID_LIMIT, PasidTranslation } from './pasid-translation.js';

function setUp() {
  const memory = new PhysicalMemory();
  const frames = new FrameAllocator(2 ** 33, 2 ** 30);
  return { memory, frames, translation: new PasidTranslation(memory, frames) };
}

const pasid = fc.oneof(fc.integer({ min: 0, max: PASID_LIMIT - 1 }), fc.integer({ min: 0, max: 3 }));

describe('the PASID translation table', () => {
  it('is a dictionary', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(pasid, fc.option(pasid)), { maxLength: 40 }), fc.array(pasid), (changes, asked) => {
        const { translation } = setUp();
        const known = new Map<number, number>();
        for (const [guest, host] of changes) {
          if (host === null) {
            translation.clear(guest);
            known.delete(guest);
          } else {
            translation.set(guest, host);
            known.set(guest, host);
          }
        }
        for (const guest of [...asked, ...changes.map(([each]) => each)]) {
          expect(translation.translate(guest)).toBe(known.get(guest) ?? -1);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('lies in memory as the processor reads it', () => {
    const { memory, translation, frames } = setUp();
    expect(frames.inUse).toBe(2);
    const guest = (1 << 19) | (5 << 10) | 3;
    translation.set(guest, 0xabcde);
    expect(frames.inUse).toBe(3);
    const entry = translation.directories[1] + 5 * 8;
    memory.read(Math.floor(entry / 2 ** 32), entry | 0);
    expect(memory.wordLo & 1).toBe(1);
    const table = memory.wordHi * 2 ** 32 + ((memory.wordLo & ~0xfff) >>> 0);
    memory.read(Math.floor(table / 2 ** 32), (table + 8) | 0);
    expect([memory.wordHi >>> 0, memory.wordLo]).toEqual([0x800abcde, 0]);
  });

  it('takes 20 bits', () => {
    const { translation } = setUp();
    for (const wrong of [-1, PASID_LIMIT, 1.5]) {
      expect(() => translation.translate(wrong)).toThrow(RangeError);
      expect(() => translation.set(1, wrong)).toThrow(RangeError);
    }
  });
});

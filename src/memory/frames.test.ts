import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameAllocator, InvalidFree, OutOfMemory } from './frames.js';

const BASE = 2 ** 32;

describe('FrameAllocator', () => {
  it('never hands a frame out twice, stays in its range, and uses all of it, under any sequence', () => {
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.constant({ kind: 'allocate', n: 0, align: 4096 }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('free'), n: fc.nat(1000), align: fc.constant(4096) }) },
      {
        weight: 2,
        arbitrary: fc.record({
          kind: fc.constant('block'),
          n: fc.integer({ min: 1, max: 5 }),
          align: fc.constantFrom(4096, 8192, 16384, 12288),
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('freeBlock'), n: fc.nat(1000), align: fc.constant(4096) }),
      },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const frames = new FrameAllocator(BASE, 24 * 4096);
        const held = new Set<number>();
        const singles: number[] = [];
        const blocks: { address: number; n: number }[] = [];
        const take = (address: number, n: number) => {
          for (let frame = address; frame < address + n * 4096; frame += 4096) {
            expect(held.has(frame)).toBe(false);
            expect(frame >= BASE && frame < BASE + 24 * 4096).toBe(true);
            held.add(frame);
          }
        };
        for (const { kind, n, align } of steps) {
          if (kind === 'allocate') {
            if (held.size === 24) expect(() => frames.allocate()).toThrow(OutOfMemory);
            else {
              const address = frames.allocate();
              take(address, 1);
              singles.push(address);
            }
          } else if (kind === 'block') {
            let possible = false;
            for (let a = Math.ceil(BASE / align) * align; a + n * 4096 <= BASE + 24 * 4096; a += align) {
              if (Array.from({ length: n }, (_, i) => a + i * 4096).every((frame) => !held.has(frame))) possible = true;
            }
            if (!possible) expect(() => frames.allocateContiguous(n * 4096, align)).toThrow(OutOfMemory);
            else {
              const address = frames.allocateContiguous(n * 4096 - 100, align);
              expect(address % align).toBe(0);
              take(address, n);
              blocks.push({ address, n });
            }
          } else if (kind === 'free' && singles.length > 0) {
            const [address] = singles.splice(n % singles.length, 1);
            frames.free(address!);
            held.delete(address!);
            expect(() => frames.free(address!)).toThrow(InvalidFree);
          } else if (kind === 'freeBlock' && blocks.length > 0) {
            const [block] = blocks.splice(n % blocks.length, 1);
            frames.freeContiguous(block!.address, block!.n * 4096);
            for (let i = 0; i < block!.n; i++) held.delete(block!.address + i * 4096);
            expect(() => frames.freeContiguous(block!.address, block!.n * 4096)).toThrow(InvalidFree);
          }
          expect(frames.inUse).toBe(held.size);
        }
      }),
    );
  });

  it('reuses the last freed frame first, otherwise the lowest never used', () => {
    const frames = new FrameAllocator(BASE, 2 ** 20);
    const [a, b, c] = [frames.allocate(), frames.allocate(), frames.allocate()];
    expect([a, b, c]).toEqual([BASE, BASE + 4096, BASE + 8192]);
    frames.free(a);
    frames.free(c);
    expect([frames.allocate(), frames.allocate(), frames.allocate()]).toEqual([c, a, BASE + 12288]);
  });

  it('frees single frames of a contiguous block', () => {
    const frames = new FrameAllocator(BASE, 2 ** 20);
    const block = frames.allocateContiguous(4 * 4096, 16384);
    frames.free(block + 4096);
    expect(frames.inUse).toBe(3);
    expect(frames.allocate()).toBe(block + 4096);
    frames.free(block);
    expect(() => frames.freeContiguous(block, 4 * 4096)).toThrow(/was freed before/);
  });

  it('names what is wrong', () => {
    const frames = new FrameAllocator(BASE, 2 * 4096);
    expect(() => frames.free(BASE)).toThrow(/0x100000000: it is not allocated/);
    expect(() => frames.free(BASE + 1)).toThrow(/not 4 KiB aligned/);
    expect(() => frames.free(BASE - 4096)).toThrow(/outside/);
    expect(() => frames.free(BASE + 8192)).toThrow(/outside/);
    frames.allocate();
    expect(() => frames.allocateContiguous(8192)).toThrow(/8192 contiguous bytes aligned to 4096; 1 of 2 frames/);
    expect(() => frames.allocateContiguous(0)).toThrow(RangeError);
    expect(() => frames.allocateContiguous(4096, 100)).toThrow(RangeError);
    frames.allocate();
    expect(() => frames.allocate()).toThrow(/a 4 KiB frame; 2 of 2 frames are in use/);
    expect(() => new FrameAllocator(5, 4096)).toThrow(RangeError);
    expect(() => new FrameAllocator(0, 2 ** 53)).toThrow(RangeError);
  });

  it('serves terabytes', () => {
    const frames = new FrameAllocator(BASE, 2 ** 50);
    const big = frames.allocateContiguous(2 ** 44, 2 ** 30);
    expect(big).toBe(BASE);
    const frame = frames.allocate();
    expect(frame).toBe(BASE + 2 ** 44);
    frames.free(frame);
    frames.freeContiguous(big, 2 ** 44);
    expect(frames.inUse).toBe(0);
    expect(frames.allocateContiguous(2 ** 50, 4096)).toBe(BASE);
  });
});

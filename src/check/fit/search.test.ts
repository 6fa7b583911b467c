import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RandomStream } from '../../kernel/random.js';
import { type Cost, patternSearch, dimension } from './search.js';

const bowl =
  (centre: readonly number[]): Cost =>
  async (candidates) =>
    candidates.map((at) => at.reduce((sum, value, i) => sum + (value - centre[i]!) ** 2, 0));

const range = { start: 0, step: 64, min: -500, max: 500 };

describe('pattern search', () => {
  test('finds the minimum of a bowl to the grid, from any centre', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: -400, max: 400 }), { minLength: 1, maxLength: 4 }),
        async (centre) => {
          const dimensions = centre.map((_, i) => dimension(`d${i}`, 1, range));
          const result = await patternSearch(dimensions, new RandomStream(1, 'test'), bowl(centre));
          expect(result.values).toEqual(centre.map((value) => value + 0));
          expect(result.cost).toBe(0);
        },
      ),
    );
  });

  test('stays inside the bounds and on the grid', async () => {
    const seen: number[] = [];
    const dimensions = [dimension('d', 0.5, { start: 10, step: 8, min: 4, max: 12 })];
    const result = await patternSearch(dimensions, new RandomStream(1, 'test'), async (candidates) =>
      candidates.map(([value]) => {
        seen.push(value!);
        return value!;
      }),
    );
    expect(result.values).toEqual([4]);
    expect(Math.min(...seen)).toBe(4);
    expect(Math.max(...seen)).toBe(12);
    expect(seen.every((value) => Number.isInteger(value * 2))).toBe(true);
  });

  test('visits the same points when it is repeated, others with another seed', async () => {
    const visit = async (seed: number): Promise<string> => {
      const seen: string[] = [];
      const dimensions = ['a', 'b', 'c'].map((name) => dimension(name, 1, range));
      const cost = bowl([17, -230, 99]);
      await patternSearch(dimensions, new RandomStream(seed, 'test'), (candidates) => {
        seen.push(JSON.stringify(candidates));
        return cost(candidates);
      });
      return seen.join();
    };
    expect(await visit(1)).toBe(await visit(1));
    expect(await visit(1)).not.toBe(await visit(2));
  });

  test('a plateau ends the search', async () => {
    const dimensions = [dimension('d', 1, range)];
    const result = await patternSearch(dimensions, new RandomStream(1, 'test'), async (all) => all.map(() => 5));
    expect(result).toMatchObject({ values: [0], cost: 5 });
  });
});

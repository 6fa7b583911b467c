import { expect, test } from 'vitest';
import { derivedInputs, derivedValue } from './derived.js';
import { publishedPcieBench } from './published.js';

/** Published curves in place of simulated ones give the published derived figures, up to the rounding of the curves. */
test.each(['BDW', 'HSW', 'IVB'])('derived figures of %s follow from its published curves', (label) => {
  const published = publishedPcieBench();
  const derived = published.filter((s) => s.use === 'CAL' && /-(MISS|NEFF|WALKPAR)$/.test(s.row));
  const own = derived.filter((s) => s.row.includes(`-${label}-`));
  expect(own.map((s) => s.test).sort()).toEqual(['MISS', 'NEFF', 'WALKPAR']);
  for (const { test: name, host, points } of own) {
    for (const { window, value } of points) {
      const inputs = derivedInputs(name, window).map((input) => {
        const curve = published.find(
          (s) => s.host === host && s.test === input.test && s.hostCache === input.hostCache && s.iommu === input.iommu,
        );
        return curve!.points.find((p) => p.window === input.window)!.value;
      });
      expect(Math.abs(derivedValue(name, window, inputs) / value - 1), `${name} ${window}`).toBeLessThan(0.03);
    }
  }
});

test('NEFF at all misses is zero', () => {
  expect(derivedValue('NEFF', '65536KiB', [780, 490, 780, 490])).toBe(0);
});

/** The simulator and the plain reference walker agree on everything an answer states, in every mode. */
import { describe, expect, it } from 'vitest';
import { amdviReference } from '../reference/amdvi.js';
import { amdviGenerator } from './amdvi.js';
import { compareOver } from './compare.js';
import { SIMULATOR } from './simulate.js';

const ACCESSES = 1500;

describe('AMD-Vi: simulator against reference', () => {
  it.each(Object.keys(amdviGenerator.modes))('%s', (mode) => {
    const comparison = compareOver(amdviGenerator, mode, 7, ACCESSES, [
      { name: 'simulator', responder: SIMULATOR },
      { name: 'reference', responder: amdviReference },
    ]);
    expect(comparison.disagreement).toBeNull();
    expect(comparison.accesses).toBe(ACCESSES);
    expect(comparison.faults).toBeGreaterThan(ACCESSES / 4);
  });
});

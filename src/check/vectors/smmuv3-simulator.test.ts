/** The timed unit against the plain reference of Arm SMMUv3, all modes: answers, faults, page sizes and every memory access. */
import { describe, expect, it } from 'vitest';
import { SMMUV3_REFERENCE } from '../reference/smmuv3.js';
import { compareOver } from './compare.js';
import { SIMULATOR } from './simulate.js';
import { SMMUV3_GENERATOR } from './smmuv3.js';

const ACCESSES = 700;

describe('SMMUv3: simulator and reference agree', () => {
  it.each(Object.keys(SMMUV3_GENERATOR.modes))('%s', (mode) => {
    const sides = [
      { name: 'simulator', responder: SIMULATOR },
      { name: 'reference', responder: SMMUV3_REFERENCE },
    ] as const;
    const { disagreement, accesses, faults } = compareOver(SMMUV3_GENERATOR, mode, 11, ACCESSES, sides);
    expect(disagreement).toBeNull();
    expect(accesses).toBe(ACCESSES);
    expect(faults).toBeGreaterThan(ACCESSES / 5);
  });
});

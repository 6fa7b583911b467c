/** Every vector generator that ships, by architecture, and the vectors of a seed. */
import { RandomStream } from '../../kernel/random.js';
import { amdviGenerator } from './amdvi.js';
import { riscvGenerator } from './riscv.js';
import { SMMUV3_GENERATOR } from './smmuv3.js';
import type { Architecture, Generator, Vector } from './vector.js';
import { VTD_GENERATOR } from './vtd.js';

export const GENERATORS: Readonly<Record<Architecture, Generator>> = {
  vtd: VTD_GENERATOR,
  amdvi: amdviGenerator,
  smmuv3: SMMUV3_GENERATOR,
  riscv: riscvGenerator,
};

/**
 * Vectors of one mode with `count` accesses in all, the last one cut short. Accesses are numbered through from 0. Vector k depends on
 * generator, mode, seed and k alone.
 */
export function* vectorsOf(generator: Generator, mode: string, seed: number, count: number): Iterable<Vector> {
  let made = 0;
  for (let k = 0; made < count; k++) {
    const random = new RandomStream(seed, `vectors/${generator.architecture}/${mode}/${k}`);
    const vector = generator.generate(random, mode);
    const first = made;
    const accesses = vector.accesses.slice(0, count - made).map((access, i) => ({ ...access, id: first + i }));
    made += accesses.length;
    yield { ...vector, accesses };
  }
}

/** Modes that ask for what the simulator does not have (second stages of translated requests): only the plain reference answers them. */
const REFERENCE_ONLY: Readonly<Partial<Record<Architecture, readonly string[]>>> = { riscv: ['t2gpa'] };

/** Modes of a generator that the simulator answers. */
export function simulatedModes({ architecture, modes }: Generator): string[] {
  return Object.keys(modes).filter((mode) => REFERENCE_ONLY[architecture]?.includes(mode) !== true);
}

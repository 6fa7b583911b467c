/** What one VT-d vector is about: the unit and the kinds of devices, address spaces and requests that occur in it. */
import type { AccessKind } from './vector.js';
import type { Image } from './vtd-image.js';
import type { SpaceType } from './vtd-space.js';

/** Modes of the VT-d generator, the one that emulators can take first. */
export const VTD_MODES = {
  common: 'legacy mode, and scalable mode with first stage, second stage and pass-through, as QEMU 10 emulates them',
  nested: 'first stage over second stage: first-stage tables, their root included, and pages are guest addresses',
  'five-level': 'five-level first and second stages and 57-bit addresses, also nested and in legacy mode',
  permissions: 'atomic, execute and privileged requests; SRE, WPE, RID_PRIV, EAFE, SSADE and PWSNP',
  directory:
    'root, context, PASID directory and PASID entries with every flaw; RID_PASID, 20-bit PASIDs, FPD everywhere',
  ats: 'ATS translation requests, to read or to write, and translated requests in both modes, with and without PASID; DTE and TT on and off',
} as const;

export interface Traits {
  readonly strict: boolean;
  readonly width: 39 | 48 | 57;
  /** `cfg scalable`. */
  readonly scalableUnit: boolean;
  /** RTADDR_REG.TTM. */
  readonly rootMode: 0 | 1 | 2 | 3;
  readonly types: readonly SpaceType[];
  readonly firstLevels: readonly number[];
  readonly secondLevels: readonly number[];
  readonly kinds: readonly AccessKind[];
  readonly privileges: boolean;
  /** Flaws in directory structures that only the specification decides. */
  readonly directoryFlaws: boolean;
  /** Translation requests and translated requests. */
  readonly ats: boolean;
  /** Percentage of the accesses that are meant to be granted; some of the others turn out to be. */
  readonly soundShare: number;
  /** Percentage of the accesses meant to be refused that go to a device that is refused as such. */
  readonly directoryShare: number;
}

const PLAIN = {
  strict: true,
  width: 48,
  scalableUnit: true,
  rootMode: 1,
  types: ['first', 'second', 'pass'],
  firstLevels: [4],
  secondLevels: [3, 4],
  kinds: ['r', 'w'],
  privileges: false,
  directoryFlaws: false,
  ats: false,
  soundShare: 52,
  directoryShare: 40,
} as const satisfies Traits;

function common(image: Image): Traits {
  const die = image.random.below(100);
  const base: Traits = { ...PLAIN, strict: false };
  const narrow = image.chance(40);
  const second: Traits = narrow ? { ...base, width: 39, secondLevels: [3] } : base;
  const types = ['second', 'second', 'second', 'pass'] as const;
  if (die < 32) return { ...second, scalableUnit: false, rootMode: 0, types };
  // A unit that could do scalable mode, programmed for legacy mode.
  if (die < 38) return { ...second, rootMode: 0, types };
  if (die < 68) return { ...second, types };
  return { ...base, types: ['first', 'first', 'first', 'pass'] };
}

/** Throws on an unknown mode. */
export function chooseTraits(image: Image, mode: string): Traits {
  switch (mode) {
    case 'common':
      return common(image);
    case 'nested':
      return {
        ...PLAIN,
        types: ['nested', 'nested', 'nested', 'nested', 'first', 'second'],
        soundShare: 58,
        directoryShare: 10,
      };
    case 'five-level': {
      const wide = {
        ...PLAIN,
        width: 57,
        firstLevels: [4, 5, 5],
        secondLevels: [3, 4, 5, 5],
        directoryShare: 15,
      } as const;
      if (image.chance(20)) return { ...wide, rootMode: 0, types: ['second', 'second', 'pass'] };
      return { ...wide, types: ['first', 'second', 'nested', 'nested', 'pass'] };
    }
    case 'permissions': {
      const types = ['first', 'first', 'second', 'nested', 'nested', 'pass'] as const;
      return { ...PLAIN, types, kinds: ['r', 'w', 'rw', 'x'], privileges: true, soundShare: 60, directoryShare: 10 };
    }
    case 'directory': {
      const rootMode = image.chance(8) ? image.pick([2, 3] as const) : image.chance(15) ? 0 : 1;
      const types = rootMode === 0 ? (['second', 'pass'] as const) : (['first', 'second', 'nested', 'pass'] as const);
      return { ...PLAIN, rootMode, types, directoryFlaws: true, soundShare: 62, directoryShare: 80 };
    }
    case 'ats': {
      const rootMode = image.chance(6) ? image.pick([2, 3] as const) : image.chance(35) ? 0 : 1;
      const types = rootMode === 0 ? (['second', 'pass'] as const) : (['first', 'second', 'nested', 'pass'] as const);
      return { ...PLAIN, rootMode, types, directoryFlaws: true, ats: true, soundShare: 70, directoryShare: 55 };
    }
    default:
      throw new Error(`VT-d has no mode ${mode}: ${Object.keys(VTD_MODES).join(', ')}`);
  }
}

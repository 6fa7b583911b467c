/**
 * Page-table formats of a VT-d unit (VT-d specification 3.6 to 3.8, 9.7, 9.8): second stage and first stage, each as the fields of PASID
 * entries modify it. Compiled when an entry asks for one.
 */
import { compileFormat, type Format } from '../../../pagetable/format.js';
import { vtdSecondStage } from '../../../pagetable/formats/vtdss.js';
import { x86FirstStage } from '../../../pagetable/formats/x86_64.js';
import type { IommuSpec } from '../../spec.js';

/** How a first stage differs from the plain one. */
export const enum FirstVariant {
  /** EAFE. */
  ExtendedAccessed = 1,
  /** PWSNP clear. */
  NoUpdates = 2,
  /** All requests are privileged. */
  Privileged = 4,
  /** All requests are privileged, and WPE is clear. */
  Unprotected = 8,
  /** Nested: levels of the second stage, in bits 6:4. */
  SecondLevels = 16,
}

/** How a second stage differs from the plain one. */
export const enum SecondVariant {
  /** SSADE. */
  AccessedDirty = 1,
  /** PWSNP clear. */
  NoUpdates = 2,
}

const FIRST = 256;

export class Tables {
  /** By the `format` of an address space. */
  readonly formats: Format[] = [];
  /** ECAP.SC. To be set before the first entry is read. */
  snoopControl = true;
  private readonly known = new Map<number, number>();
  private readonly largestPageLg2: number;

  constructor(private readonly spec: IommuSpec) {
    this.largestPageLg2 = spec.largestPage >= 2 ** 30 ? 30 : spec.largestPage >= 2 ** 21 ? 21 : 12;
  }

  /** Number of the format for SecondVariant bits. */
  second(variant: number): number {
    const { spec, largestPageLg2, snoopControl } = this;
    return this.numberOf(variant, () =>
      vtdSecondStage({
        hostAddressWidth: spec.hostAddressWidth,
        guestAddressWidth: 12 + 9 * Math.max(spec.levels, spec.secondLevels),
        largestPageLg2,
        scalable: spec.mode === 'scalable',
        snoopControl,
        accessedDirty: (variant & SecondVariant.AccessedDirty) !== 0,
        updates: (variant & SecondVariant.NoUpdates) === 0 ? 'hardware' : 'fault',
      }),
    );
  }

  /** Number of the format for FirstVariant bits. */
  first(variant: number): number {
    const { hostAddressWidth } = this.spec;
    const privileged = (variant & FirstVariant.Unprotected) !== 0 ? 'unprotected' : 'protected';
    const secondLevels = (variant / FirstVariant.SecondLevels) & 7;
    return this.numberOf(FIRST | variant, () =>
      x86FirstStage({
        hostAddressWidth,
        largestPageLg2: Math.max(this.largestPageLg2, 21),
        executeDisable: false,
        extendedAccessed: (variant & FirstVariant.ExtendedAccessed) !== 0,
        updates: (variant & FirstVariant.NoUpdates) === 0 ? 'hardware' : 'fault',
        ...((variant & (FirstVariant.Privileged | FirstVariant.Unprotected)) !== 0 && { privileged }),
        ...(secondLevels !== 0 && { guestAddressWidth: 12 + 9 * secondLevels }),
      }),
    );
  }

  private numberOf(key: number, describe: () => Parameters<typeof compileFormat>[0]): number {
    let number = this.known.get(key);
    if (number === undefined) {
      number = this.formats.push(compileFormat(describe())) - 1;
      this.known.set(key, number);
    }
    return number;
  }
}

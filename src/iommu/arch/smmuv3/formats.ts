/** Page-table formats of an SMMUv3 unit: one for every combination of granule, output size and update rules that a stream uses. */
import { compileFormat, type Format } from '../../../pagetable/format.js';
import { armv8, type Armv8Options } from '../../../pagetable/formats/armv8.js';

export type Granule = Armv8Options['granuleLg2'];
export type Updates = Armv8Options['updates'];

export interface Wanted {
  readonly stage: 1 | 2;
  readonly granuleLg2: Granule;
  /** Effective IPS or S2PS. */
  readonly outputLg2: number;
  readonly updates: Updates;
  readonly ignoreTableAttributes: boolean;
}

export class Formats {
  /** Grows while stream table entries and context descriptors are read. */
  readonly list: Format[] = [];
  private readonly known = new Map<string, number>();

  /** Index of the format; `unitOutputLg2`: IDR5.OAS. */
  indexOf({ stage, granuleLg2, outputLg2, updates, ignoreTableAttributes }: Wanted, unitOutputLg2: number): number {
    const wideAddresses = granuleLg2 === 16 && unitOutputLg2 === 52;
    const key = `${stage} ${granuleLg2} ${outputLg2} ${updates} ${ignoreTableAttributes} ${wideAddresses}`;
    let index = this.known.get(key);
    if (index === undefined) {
      const hostAddressWidth = wideAddresses ? outputLg2 : Math.min(outputLg2, 48);
      const options = { stage, granuleLg2, hostAddressWidth, updates, ignoreTableAttributes, wideAddresses };
      index = this.list.push(compileFormat(armv8({ ...options, contiguous: true }))) - 1;
      this.known.set(key, index);
    }
    return index;
  }
}

/** log2 of the bytes of a start table of `levels` levels; with 52-bit addresses at least 64 bytes. */
export function rootLg2(granuleLg2: number, levels: number, inputLg2: number, outputLg2: number): number {
  const entriesLg2 = inputLg2 - granuleLg2 - (levels - 1) * (granuleLg2 - 3);
  return Math.max(entriesLg2 + 3, outputLg2 === 52 ? 6 : 0);
}

/** The bits of an address (its upper dword `hi`) from bit `lg2` (at least 32) up are zero. */
export function fits(hi: number, lg2: number): boolean {
  return lg2 >= 64 || hi >>> (lg2 - 32) === 0;
}

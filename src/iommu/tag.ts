/**
 * One cached translation or table entry as the invalidation rules of all architectures see it (arch/NAME/invalidation.ts), whatever
 * key words it is stored under: `LeafTags` reads those of the IOTLB and the second-stage TLB, `TableTags` those of a
 * paging-structure cache (translations.ts says what is where).
 */
import type { Stage } from './address-space.js';
import type { SetAssociativeCache } from '../tlb/cache.js';
import type { PageRange } from './page-range.js';
import { meets } from './page-range.js';

export class Tag {
  did = 0;
  /** PASID, ASID or PSCID; 0 for second-stage entries. */
  pasid = 0;
  stage: Stage = 0;
  global = false;
  /** Number of the region of 2^spanLg2 bytes that the entry covers, as a double. */
  region = 0;
  spanLg2 = 12;
  /** 1 leaf; otherwise level of the table entry. */
  level = 1;

  /** The region lies in the range, or contains it. */
  meets(range: PageRange): boolean {
    return meets(range, this.region, this.spanLg2);
  }
}

export interface TagReader {
  /** Fills `tag` with what the entry says. */
  read(entry: number, tag: Tag): void;
}

export class LeafTags implements TagReader {
  /** `sizeLg2`: of each size class. `global`: by entry; null for the second-stage TLB. */
  constructor(
    private readonly cache: SetAssociativeCache,
    private readonly sizeLg2: readonly number[],
    private readonly global: Uint8Array | null,
  ) {}

  read(entry: number, tag: Tag): void {
    const { cache, global } = this;
    const k1 = cache.k1[entry]!;
    const k2 = cache.k2[entry]!;
    const second = global === null;
    tag.did = k1 >>> 16;
    tag.pasid = second ? 0 : k2 & 0xfffff;
    tag.stage = second ? 0 : (k2 >>> 24) & 3;
    tag.global = !second && global[entry] === 1;
    tag.spanLg2 = this.sizeLg2[second ? k2 : (k2 >>> 20) & 15]!;
    // The number of a 4 KiB page may have 52 bits; the top four are in the third key word.
    const top = tag.spanLg2 < 16 && !second ? ((k2 >>> 26) & 0xf) << (28 - tag.spanLg2) : 0;
    tag.region = ((k1 & 0xffff) | top) * 4294967296 + (cache.k0[entry]! >>> 0);
    tag.level = 1;
  }
}

export class TableTags implements TagReader {
  /** `span`: log2 of the bytes that an entry covers, by entry. */
  constructor(
    private readonly cache: SetAssociativeCache,
    private readonly level: number,
    private readonly span: Uint8Array,
  ) {}

  read(entry: number, tag: Tag): void {
    const { cache } = this;
    const k1 = cache.k1[entry]!;
    const k2 = cache.k2[entry]!;
    tag.did = k1 >>> 16;
    tag.pasid = k2 & 0xfffff;
    tag.stage = (k2 >>> 22) & 3;
    tag.global = false;
    tag.region = (k1 & 0xffff) * 4294967296 + (cache.k0[entry]! >>> 0);
    tag.spanLg2 = this.span[entry]!;
    tag.level = this.level;
  }
}

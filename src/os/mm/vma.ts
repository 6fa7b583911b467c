/**
 * The regions of a process address space (struct vm_area_struct), sorted and never overlapping. Linux keeps them in a maple tree; here it is
 * an array, as simulated processes have few. Not modelled: merging of neighbours, stacks that grow, PROT_NONE, shared mappings.
 */
import { Access } from '../../protocol/access.js';

/**
 * `anonymous`: pages begin as zeros. `file`: pages come from storage at the first touch. `cached`: a file whose pages are in the page cache
 * until they are paged out.
 */
export type VmaKind = 'anonymous' | 'file' | 'cached';

/** Byte range [start, end). */
export class Vma {
  constructor(
    public start: number,
    public end: number,
    /** VM_READ, VM_WRITE, VM_EXEC; always readable. */
    public access: Access,
    readonly kind: VmaKind,
    /** Large pages where 2 MiB fit (MADV_HUGEPAGE). */
    readonly huge: boolean,
  ) {}

  /** Cuts the region in two at `address` inside it; returns the upper part. */
  split(address: number): Vma {
    const upper = new Vma(address, this.end, this.access, this.kind, this.huge);
    this.end = address;
    return upper;
  }
}

/** Index of the first region that ends above the address. */
export function regionFrom(regions: readonly Vma[], address: number): number {
  let low = 0;
  let high = regions.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (regions[middle]!.end > address) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** vma_lookup: the region that contains the address, null if none does. */
export function findRegion(regions: readonly Vma[], address: number): Vma | null {
  const found = regions[regionFrom(regions, address)];
  return found !== undefined && found.start <= address ? found : null;
}

/** Adds a region. Throws RangeError if it overlaps another or cannot be read. */
export function addRegion(regions: Vma[], region: Vma): void {
  const at = regionFrom(regions, region.start);
  const next = regions[at];
  if (next !== undefined && next.start < region.end) {
    throw new RangeError(`0x${region.start.toString(16)}: a region is mapped there already`);
  }
  if ((region.access & Access.Read) === 0) throw new RangeError('a region must be readable');
  regions.splice(at, 0, region);
}

/** Cuts regions at both ends of [start, end), and returns the index of the first inside and that of the first behind. */
export function isolateRegions(regions: Vma[], start: number, end: number): [first: number, behind: number] {
  for (const address of [start, end]) {
    const at = regionFrom(regions, address);
    const region = regions[at];
    if (region !== undefined && region.start < address) regions.splice(at + 1, 0, region.split(address));
  }
  const first = regionFrom(regions, start);
  let behind = first;
  while (behind < regions.length && regions[behind]!.start < end) behind++;
  return [first, behind];
}

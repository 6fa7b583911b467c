/** Where the buffers of a driver lie in physical memory. */

/** One block of memory, or segments with a page of somebody else between any two. */
export const PLACEMENTS = ['contiguous', 'scattered'] as const;
export type Placement = (typeof PLACEMENTS)[number];

const PAGE = 4096;

/** `count` segments of `bytes` bytes, each at the beginning of a page. `allocate` returns the address of a block of memory. */
export function placeSegments(
  count: number,
  bytes: number,
  placement: Placement,
  allocate: (bytes: number) => number,
): [pa: number, bytes: number][] {
  const room = Math.ceil(bytes / PAGE) * PAGE;
  if (placement === 'contiguous') {
    const base = allocate(count * room);
    return Array.from({ length: count }, (_, i) => [base + i * room, bytes]);
  }
  return Array.from({ length: count }, () => {
    const pa = allocate(room);
    allocate(PAGE);
    return [pa, bytes];
  });
}

/** log2 of the smallest power of two that is not less. Exact, unlike Math.log2, which may differ between engines. */
export function log2(size: number): number {
  let bits = 0;
  while (2 ** bits < size) bits++;
  return bits;
}

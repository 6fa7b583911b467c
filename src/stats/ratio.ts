/** A metric that is a quotient: NaN, an empty cell, when nothing was observed to divide by. */
export function ratio(value: number, by: number): number {
  return by === 0 ? Number.NaN : value / by;
}

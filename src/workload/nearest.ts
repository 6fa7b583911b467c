/** The name a user most likely meant. */

/** Edits (insert, delete, replace, swap of neighbours) from `a` to `b`; `limit + 1` when there are more than `limit`. */
export function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) {
    return limit + 1;
  }
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1;
      let best = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + cost);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        best = Math.min(best, before[j - 2]! + 1);
      }
      current.push(best);
    }
    before = previous;
    previous = current;
  }
  return Math.min(previous[b.length]!, limit + 1);
}

/** The candidate closest to `name`, or null when none is close. Ties go to the earlier candidate; case does not count. */
export function nearest(name: string, candidates: Iterable<string>): string | null {
  const wanted = name.toLowerCase().slice(0, 100);
  let limit = Math.max(1, Math.min(4, Math.floor(wanted.length / 2.5)));
  let found: string | null = null;
  for (const candidate of candidates) {
    const distance = editDistance(wanted, candidate.toLowerCase(), limit);
    if (distance <= limit) {
      found = candidate;
      limit = distance - 1;
      if (limit < 0) {
        break;
      }
    }
  }
  return found;
}

/**
 * The path closest to `path`: by spelling, or else the shortest one that contains the given keys in their order
 * (`walkers.count` finds `machine.iommus.iommu0.walkers.count`).
 */
export function nearestPath(path: string, candidates: readonly string[]): string | null {
  const direct = nearest(path, candidates);
  if (direct !== null) {
    return direct;
  }
  const wanted = path.toLowerCase().slice(0, 200).split('.');
  let found: string | null = null;
  for (const candidate of candidates) {
    if ((found === null || candidate.length < found.length) && contains(candidate.toLowerCase().split('.'), wanted)) {
      found = candidate;
    }
  }
  return found;
}

function contains(keys: readonly string[], wanted: readonly string[]): boolean {
  let at = 0;
  for (const key of keys) {
    if (at < wanted.length && editDistance(key, wanted[at]!, 2) <= Math.min(2, Math.floor(key.length / 3))) {
      at++;
    }
  }
  return at === wanted.length;
}

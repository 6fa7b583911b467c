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

/**
 * The candidate closest to `name` by spelling, or else the shortest that contains its letters and digits in one piece (`iotlb_hit`
 * finds `iommu.iotlb.hit_rate`); null when there is none. Ties go to the earlier candidate; case does not count.
 */
export function nearest(name: string, candidates: Iterable<string>): string | null {
  const all = [...candidates];
  return closest(name, all) ?? containing(name, all);
}

/** Shortest name that is worth looking for inside others. */
const SHORTEST_PIECE = 3;

function containing(name: string, candidates: readonly string[]): string | null {
  const letters = (text: string): string => text.toLowerCase().replace(/[^a-z0-9]/g, '');
  const wanted = letters(name.slice(0, 100));
  if (wanted.length < SHORTEST_PIECE) return null;
  let found: string | null = null;
  for (const candidate of candidates) {
    if ((found === null || candidate.length < found.length) && letters(candidate).includes(wanted)) found = candidate;
  }
  return found;
}

function closest(name: string, candidates: readonly string[]): string | null {
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

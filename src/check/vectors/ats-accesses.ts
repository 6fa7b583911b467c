/**
 * Accesses of devices with Address Translation Services (PCI Express Base Specification 6.0, 10.2): of the plain ones that a generator has made, some become
 * translation requests, some requests whose address is translated already. Execution and privilege are left out: R and W of a completion are all that is stated.
 */
import type { Random, VectorAccess } from './vector.js';

const UNTRANSLATED_PERCENT = 38;
const REQUEST_PERCENT = 42;

/** `target`: a physical byte address that an access of the same length stays in the page of. */
export function withAts(random: Random, access: VectorAccess, target: () => bigint): VectorAccess {
  if ((access.kind !== 'r' && access.kind !== 'w') || access.privileged === true) return access;
  const die = random.below(100);
  if (die < UNTRANSLATED_PERCENT) return access;
  if (die < UNTRANSLATED_PERCENT + REQUEST_PERCENT) return { ...access, at: 'ats' };
  return { ...access, at: 'translated', iova: target() };
}

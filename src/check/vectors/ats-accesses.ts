/**
 * Accesses of devices with Address Translation Services (PCI Express Base Specification 6.0, 10.2): of the plain ones that a generator has made, some become
 * translation requests, some requests whose address is translated already. Execution and privilege come with a PASID, and are no matter of translated requests here.
 */
import type { Random, VectorAccess } from './vector.js';

const UNTRANSLATED_PERCENT = 38;
const REQUEST_PERCENT = 42;

/** `target`: a physical byte address that an access of the same length stays in the page of. */
export function withAts(random: Random, access: VectorAccess, target: () => bigint): VectorAccess {
  const { kind, pasid, privileged } = access;
  const plain = (kind === 'r' || kind === 'w') && privileged !== true;
  if (kind === 'rw' || (!plain && pasid === null)) return access;
  const die = random.below(100);
  if (die < UNTRANSLATED_PERCENT) return access;
  if (die < UNTRANSLATED_PERCENT + REQUEST_PERCENT) return { ...access, at: 'ats' };
  return plain ? { ...access, at: 'translated', iova: target() } : access;
}

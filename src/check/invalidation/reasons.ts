/** Published invalidation costs that are not scored, and those that no value of a parameter is bent to meet, each with the reason. */
import type { InvalidationPoint } from './published.js';

const UNSCORED: Readonly<Record<string, string>> = {
  'SMMU-DMB-t1-unmap-before 512KiB before':
    'a misprint in the source: the value for half the size is 14.8 us, for twice the size 53.9 us',
};

const THREADS =
  'from 16 to 32 CPUs the source grows by 2.5, another of this machine (SMMU-RATE) by 3.2, a loop whose line goes by lot by 3.3';
const FIRST_CALL =
  'the source takes 0.4 us more before than after, besides a time for each call and except at 2 MiB; the patches change no other code of an unmap';
const SECOND_BLOCK =
  'the source takes 0.3 us for a second block, 0.2 us after; its entry lies beside the first, in the same cache line';

const MISSED: Readonly<Record<string, string>> = {
  'SMMU-WAYS-UNMAP 32': THREADS,
  'SMMU-WAYS-CMDLIST 32': THREADS,
  'SMMU-DMB-t1-unmap-before 4KiB before': FIRST_CALL,
  'SMMU-DMB-t1-unmap-before 8KiB before': FIRST_CALL,
  'SMMU-DMB-t1-unmap-before 16KiB before': FIRST_CALL,
  'SMMU-DMB-t1-unmap-before 4MiB before': FIRST_CALL,
  'SMMU-DMB-t1-map-before 4MiB before': SECOND_BLOCK,
};

/** Why the point is not scored, or why it is missed; empty when neither, or not known. */
export function reasonOf({ row, point, use }: InvalidationPoint, ok: boolean): string {
  const name = `${row} ${point}`;
  if (use !== 'CAL') return UNSCORED[name] ?? '';
  return ok ? '' : (MISSED[name] ?? '');
}

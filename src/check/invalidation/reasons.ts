/** Published invalidation costs that are not scored, and those that no value of a parameter is bent to meet, each with the reason. */
import type { InvalidationPoint } from './published.js';

const UNSCORED: Readonly<Record<string, string>> = {
  'SMMU-DMB-t1-unmap-before 512KiB before':
    'a misprint in the source: the value for half the size is 14.8 us, for twice the size 53.9 us',
};

const THREADS =
  'from 16 to 32 CPUs the source grows by 2.5, another of this machine by 3.2 (SMMU-RATE); the loop by lot grows faster than both';
const FIRST_PAGE =
  'the source takes 0.4 us more before than after besides a time for each page; the kernel code of one page is the same';
const SAME_BLOCK =
  'the source has the same figures before and after for this size alone; one block is one call, as one page is';
const SECOND_BLOCK =
  'the source takes 0.2 us and more for a second block; its entry lies beside the first, in the same cache line';

const MISSED: Readonly<Record<string, string>> = {
  'SMMU-WAYS-UNMAP 16': THREADS,
  'SMMU-WAYS-UNMAP 32': THREADS,
  'SMMU-WAYS-CMDLIST 16': THREADS,
  'SMMU-WAYS-CMDLIST 32': THREADS,
  'SMMU-WAYS-SYNC 16': THREADS,
  'SMMU-WAYS-SYNC 32': THREADS,
  'SMMU-DMB-t1-unmap-before 4KiB before': FIRST_PAGE,
  'SMMU-DMB-t1-unmap-before 8KiB before': FIRST_PAGE,
  'SMMU-DMB-t1-unmap-before 16KiB before': FIRST_PAGE,
  'SMMU-DMB-t1-map-before 2MiB before': SAME_BLOCK,
  'SMMU-DMB-t1-unmap-before 2MiB before': SAME_BLOCK,
  'SMMU-DMB-t1-map-before 4MiB before': SECOND_BLOCK,
  'SMMU-DMB-t1-map-after 4MiB after': SECOND_BLOCK,
};

/** Why the point is not scored, or why it is missed; empty when neither, or not known. */
export function reasonOf({ row, point, use }: InvalidationPoint, ok: boolean): string {
  const name = `${row} ${point}`;
  if (use !== 'CAL') return UNSCORED[name] ?? '';
  return ok ? '' : (MISSED[name] ?? '');
}

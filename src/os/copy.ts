/**
 * What a CPU's memcpy takes: so many cache lines, each with its time, longer where one side is another socket's memory. Bounce buffers, shadow
 * buffers and the copy of the map benchmark all pay this. Not modelled: that source or destination may already be in the CPU's own caches.
 */
import type { CostSpec } from './spec.js';

const LINE = 64;

/** Time to copy `bytes` to or from memory that begins `offset` bytes into its first line, ps. */
export function copyTime(
  { copyLine, copyLineRemote }: Pick<CostSpec, 'copyLine' | 'copyLineRemote'>,
  bytes: number,
  offset = 0,
  remote = false,
): number {
  return Math.ceil(((offset % LINE) + bytes) / LINE) * (remote ? copyLineRemote : copyLine);
}

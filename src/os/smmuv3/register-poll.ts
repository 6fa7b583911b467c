/**
 * When Linux looks at CMDQ_CONS (queue_poll, arm-smmu-v3.c): rounds of ten reads, each but the first round begun by a delay of 1, 2, 4,
 * ... us after the last look of the round before it.
 */

/** ARM_SMMU_POLL_SPIN_COUNT. */
const SPINS = 10;
const FIRST_DELAY = 1e6;

/** What lies before read number `read` besides the reads before it, ps. */
export function delayBefore(read: number): number {
  return read > 0 && read % SPINS === 0 ? FIRST_DELAY * 2 ** (read / SPINS - 1) : 0;
}

/** Time from the start of polling to the end of the first read that ends at `waited` or later, for reads of `readPs`. */
export function pollEnd(waited: number, readPs: number): number {
  let end = 0;
  for (let read = 0; ; read++) {
    end += delayBefore(read) + readPs;
    if (end >= waited) return end;
  }
}

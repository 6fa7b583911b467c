/** What each strategy is and which protection it gives: for messages, documentation and tests. */
import type { StrategyKind } from '../../spec.js';

/**
 * When a device can no longer reach a buffer. `strict`: before the unmap returns. `burst`: before the driver may reuse the buffer, at the end
 * of the burst. `coarse`: never. Strategies that follow `os.dma.mode` are `strict` or, in lazy mode, deferred: some time after reuse.
 */
export type Protection = 'mode' | 'strict' | 'burst' | 'coarse';

export interface StrategyDescription {
  readonly protection: Protection;
  readonly sentence: string;
}

export const STRATEGIES: Readonly<Record<StrategyKind, StrategyDescription>> = {
  linux: {
    protection: 'mode',
    sentence: "The kernel's own way today: a range per mapping, one invalidation per unmap or a flush queue.",
  },
  'linux-before': {
    protection: 'mode',
    sentence:
      'The kernel before: a walk per leaf, an invalidation per page, never the invalidation hint, older page-table code.',
  },
  batched: {
    protection: 'burst',
    sentence: 'Unmaps clear entries at once; one flush of the whole domain at the end of a burst.',
  },
  ranged: {
    protection: 'burst',
    sentence: 'Buffers of a burst with neighbouring I/O addresses are unmapped and invalidated as one range.',
  },
  contiguous: {
    protection: 'burst',
    sentence:
      'I/O addresses come in order from per-CPU chunks; a chunk is invalidated as one range and tables stay (Fast & Safe).',
  },
  shadow: {
    protection: 'strict',
    sentence: 'Devices reach only permanently mapped shadows; buffers are copied to and from them, byte by byte.',
  },
  pool: {
    protection: 'coarse',
    sentence: 'Buffers stay mapped for good; a map is a look-up and nothing is ever invalidated (DAMN).',
  },
  ring: {
    protection: 'burst',
    sentence:
      'Ring slots with fixed I/O addresses: one leaf written and cleared, one invalidation per burst (rIOMMU in software).',
  },
  'per-cpu-queues': {
    protection: 'mode',
    sentence: 'As linux, with a command queue for each CPU on units that have several (SMMUv3 with ECMDQ or CMDQV).',
  },
};

const PROTECTIONS: Readonly<Record<Protection, string>> = {
  mode: 'as os.dma.mode says (strict, or deferred in lazy mode)',
  strict: 'strict, from the return of an unmap',
  burst: 'strict for the driver: from the end of the burst, before a buffer is reused',
  coarse: 'coarse: buffers stay reachable for good',
};

/** Protection in words. */
export function protectionOf(kind: StrategyKind): string {
  return PROTECTIONS[STRATEGIES[kind].protection];
}

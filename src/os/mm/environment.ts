/** What the parts of memory management share. */
import type { Scheduler } from '../scheduler.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { Mm } from './mm.js';
import type { ResidentPages } from './pages.js';
import type { MmSpec } from './spec.js';
import type { MmStatistics } from './statistics.js';
import { MmStep } from './step.js';
import type { Storage } from './storage.js';
import type { ProcessTables } from './tables.js';

export interface MmEnvironment {
  readonly scheduler: Scheduler;
  readonly spec: MmSpec;
  readonly tables: ProcessTables;
  readonly pages: ResidentPages;
  readonly storage: Storage;
  readonly statistics: MmStatistics;
  /** The page of zeros that untouched anonymous pages are read from; nobody owns it. */
  readonly zeroPage: number;
}

/**
 * flush_tlb_mm_range: the CPUs first, then everybody else who translates by the table, all in the context of the caller. Returns when the
 * translations of [start, end) are gone everywhere.
 */
export function* flushRange(
  thread: Thread,
  { spec, statistics }: MmEnvironment,
  mm: Mm,
  start: number,
  end: number,
): Call<void> {
  thread.charge(MmStep.Shootdown, spec.costs.shootdown);
  yield Wait.Run;
  const { notifiers } = mm;
  if (notifiers === null) return;
  // A notifier may leave while another one waits.
  for (const notifier of [...notifiers]) {
    statistics.invalidations++;
    yield* notifier.invalidate(thread, start, end);
  }
  if (thread.debt !== 0) yield Wait.Run;
}

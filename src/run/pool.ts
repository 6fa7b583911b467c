/**
 * Executes points on a pool of worker threads, also when one thread is asked for: the calling thread stays free for progress,
 * for storing results and for Ctrl-C in the middle of a long point. Points shorter than about 5 ms travel in batches.
 * Results do not depend on the number of threads; only the order in which they arrive does.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import { estimatePoints } from '../workload/estimate.js';
import type { PointSpec } from '../workload/spec.js';
import { type Batch, type Outcome, type PointRunner, reason } from './batch.js';
import { computeInline, oneStep } from './inline.js';
import type { PointOptions } from './result.js';
import { setRunFlags } from './run-flags.js';

export interface ComputeOptions extends PointOptions {
  /** Worker threads, at least 1. */
  readonly threads: number;
  /** Stops the computation; points in flight are dropped. */
  readonly signal?: AbortSignal | undefined;
  /** Executes points in the calling thread instead of the pool. */
  readonly runner?: PointRunner | undefined;
  /** Worker module other than the simulator's own. */
  readonly worker?: URL | undefined;
  /** Workers that are there already, for callers with many short lists of points; they are kept for the next list. */
  readonly pool?: Piscina | undefined;
}

const BATCH_MILLISECONDS = 5;
/** One batch is computed by each thread while another one waits or is being stored. */
const LANES_PER_THREAD = 2;

/** The compiled worker; a worker thread cannot load TypeScript, so code that runs from source uses the last build. */
function defaultWorker(): URL {
  const compiled = import.meta.url.endsWith('.ts') ? '../../dist/run/worker.js' : '../run/worker.js';
  const url = new URL(compiled, import.meta.url);
  if (!existsSync(url)) throw new Error(`${fileURLToPath(url)} is missing: build the program first (npm run build)`);
  return url;
}

/** Points a lane takes next: a few milliseconds of work, but never so many that other lanes run dry. */
export function batchSize(meanMilliseconds: number, remaining: number, lanes: number): number {
  const fair = Math.ceil(remaining / lanes);
  const wanted = meanMilliseconds > 0 ? Math.ceil(BATCH_MILLISECONDS / meanMilliseconds) : 1;
  return Math.max(1, Math.min(fair, wanted));
}

/**
 * Computes every spec and hands each outcome to `finished` (index into `specs`), in order of completion. Waits for
 * `finished`; when it throws, the computation stops and its error is thrown.
 * @throws Error when the workers cannot start.
 * @returns false when the signal stopped the computation, true when every point has an outcome.
 */
export async function computePoints(
  specs: readonly PointSpec[],
  options: ComputeOptions,
  finished: (index: number, outcome: Outcome) => Promise<void>,
): Promise<boolean> {
  if (specs.length === 0) return true;
  if (options.signal?.aborted === true) return false;
  const { everyEvent, audit, runner } = options;
  if (runner !== undefined) return (await computeInline(specs, options, oneStep(runner), finished)) === specs.length;
  const threads = Math.min(options.threads, specs.length);
  const lanes = Math.min(threads * LANES_PER_THREAD, specs.length);
  const seconds = (): number =>
    options.worker === undefined ? estimatePoints(specs).seconds / threads : Number.POSITIVE_INFINITY;
  const pool = options.pool ?? startPool(threads, options.worker, seconds());
  let next = 0;
  let measured = 0;
  let milliseconds = 0;
  let stopped = false;
  let fatal: Error | null = null;

  const stop = (): void => {
    stopped = true;
    void pool.destroy();
  };
  const lane = async (): Promise<void> => {
    while (!stopped && next < specs.length) {
      const first = next;
      const mean = measured === 0 ? 0 : milliseconds / measured;
      const size = batchSize(mean, specs.length - first, lanes);
      const batch: Batch = { specs: specs.slice(first, first + size), options: { everyEvent, audit } };
      next += size;
      let outcomes: Outcome[];
      try {
        outcomes = (await pool.run(batch)) as Outcome[];
      } catch (error) {
        if (stopped) return;
        const message = `the worker stopped: ${reason(error)}`;
        outcomes = batch.specs.map(() => ({ text: null, error: message, milliseconds: 0 }));
      }
      for (const [i, outcome] of outcomes.entries()) {
        measured++;
        milliseconds += outcome.milliseconds;
        await finished(first + i, outcome);
      }
    }
  };

  const onError = (error: unknown): void => {
    fatal = new Error(`the worker threads cannot start: ${reason(error)}`);
    stop();
  };
  pool.on('error', onError);
  options.signal?.addEventListener('abort', stop, { once: true });
  try {
    const ends = await Promise.allSettled(
      Array.from({ length: lanes }, () =>
        lane().catch((error: unknown) => {
          stop();
          throw error;
        }),
      ),
    );
    const failed = ends.find((end) => end.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    if (fatal !== null) throw fatal;
    return !stopped;
  } finally {
    options.signal?.removeEventListener('abort', stop);
    // A pool of our own keeps its listener: the other workers may fail to start after the first has.
    if (options.pool === undefined) await pool.destroy();
    else options.pool.off('error', onError);
  }
}

/** Starts worker threads; `destroy` ends them. `seconds`: how long each will simulate, about. */
export function startPool(
  threads: number,
  worker: URL = defaultWorker(),
  seconds: number = Number.POSITIVE_INFINITY,
): Piscina {
  setRunFlags(seconds);
  return new Piscina({
    filename: worker.href,
    minThreads: threads,
    maxThreads: threads,
    idleTimeout: Number.POSITIVE_INFINITY,
  });
}

/** The option --threads. */
import { availableParallelism } from 'node:os';
import { inputError } from '../workload/errors.js';

/** @throws InputError for anything but a whole number from 1 to 1024. */
export function readThreads(text: string | undefined): number {
  if (text === undefined) {
    return availableParallelism();
  }
  const threads = Number(text);
  if (!Number.isInteger(threads) || threads < 1 || threads > 1024) {
    throw inputError('E503', `--threads expects a whole number from 1 to 1024, got "${text}"`);
  }
  return threads;
}

/** Reads and expands the workload file a command names. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { decodeText } from '../workload/document.js';
import { type InputError, inputError } from '../workload/errors.js';
import { nearest } from '../workload/nearest.js';
import type { RunPlan } from '../workload/plan.js';
import { resolveWorkload } from '../workload/resolve.js';

/** Options that change a workload, shared by the commands that take a file. */
export interface WorkloadOptions {
  readonly set: readonly string[];
  readonly seeds?: string;
}

export interface LoadedWorkload {
  readonly plan: RunPlan;
  /** SHA-256 of the file. */
  readonly sha256: string;
}

/** @throws InputError */
export function loadWorkload(file: string, options: WorkloadOptions): LoadedWorkload {
  const bytes = readWorkload(file);
  const plan = resolveWorkload(decodeText(bytes, file), file, options.set, options.seeds ?? null);
  return { plan, sha256: createHash('sha256').update(bytes).digest('hex') };
}

function readWorkload(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch (error) {
    throw unreadable(file, error as NodeJS.ErrnoException);
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EISDIR: 'it is a folder, not a workload file',
  EACCES: 'permission denied',
};

function unreadable(file: string, error: NodeJS.ErrnoException): InputError {
  const reason = REASONS[error.code ?? ''] ?? error.message;
  const close = error.code === 'ENOENT' ? nearest(basename(file), siblings(file)) : null;
  return inputError('E001', reason, file, close === null ? null : join(dirname(file), close));
}

function siblings(file: string): string[] {
  try {
    return readdirSync(dirname(file)).filter((name) => /\.ya?ml$/.test(name));
  } catch {
    return [];
  }
}

/** Collects a repeatable option. */
export function collect(value: string, before: readonly string[]): string[] {
  return [...before, value];
}

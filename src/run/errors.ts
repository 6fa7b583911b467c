/** Errors of a run that are the user's to fix: an output folder that does not work, and points that failed. */

export type OutputErrorCode =
  /** The device that holds the folder is full or a quota is used up. */
  | 'output-full'
  /** The folder cannot be created or written: permissions, read-only file system, a file in its place. */
  | 'output-unwritable'
  /** The folder holds the results of another run. */
  | 'output-other-run'
  /** The folder holds files that no run wrote. */
  | 'output-not-empty'
  /** Any other failure of the file system. */
  | 'output-failed';

export class OutputError extends Error {
  constructor(
    readonly code: OutputErrorCode,
    message: string,
    readonly path: string,
  ) {
    super(message);
    this.name = 'OutputError';
  }
}

/** At least one point threw. Finished points are stored; the message names the first failed point in plan order. */
export class PointError extends Error {
  readonly code = 'point-failed';

  constructor(
    message: string,
    /** Id of the point the message is about. */
    readonly point: string,
    /** How many points failed in all. */
    readonly failures: number,
  ) {
    super(message);
    this.name = 'PointError';
  }
}

const REASONS: Readonly<Record<string, readonly [OutputErrorCode, string]>> = {
  ENOSPC: ['output-full', 'the disk is full'],
  EDQUOT: ['output-full', 'the disk quota is used up'],
  EACCES: ['output-unwritable', 'permission denied'],
  EPERM: ['output-unwritable', 'operation not permitted'],
  EROFS: ['output-unwritable', 'the file system is read-only'],
  ENOTDIR: ['output-unwritable', 'a part of the path is a file, not a folder'],
  EEXIST: ['output-unwritable', 'it is a file, not a folder'],
  EISDIR: ['output-unwritable', 'it is a folder'],
  ENOENT: ['output-unwritable', 'no such folder, and it cannot be created here'],
};

/** The error of a failed file operation as the user should see it. `action` is what was tried: `write`, `create`. */
export function outputError(action: string, path: string, error: unknown): OutputError {
  if (error instanceof OutputError) return error;
  const errno = errorCode(error);
  const [code, text] = REASONS[errno] ?? ['output-failed', error instanceof Error ? error.message : String(error)];
  return new OutputError(code, `cannot ${action} ${path}: ${text}`, path);
}

/** errno name of a system error, or an empty string. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}

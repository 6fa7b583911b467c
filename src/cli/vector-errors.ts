/** What is wrong with a file of vectors, as the user is told. */
import { VectorConfigError } from '../check/vectors/config.js';
import { VectorSyntaxError } from '../check/vectors/text-line.js';
import { InputError, inputError } from '../workload/errors.js';

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  ENOTDIR: 'no such file',
  EISDIR: 'it is a folder, not a file of vectors',
  EACCES: 'permission denied',
};

/** An error met while reading `file` or simulating what it holds; others are returned as they are. */
export function vectorError(error: unknown, file: string): unknown {
  if (error instanceof VectorSyntaxError) {
    const { line, column, problem: message } = error;
    return new InputError([{ code: 'E701', file, line, column, path: '', message, suggestion: null }]);
  }
  if (error instanceof VectorConfigError) return inputError('E702', error.message, file);
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    return inputError('E001', REASONS[String(error.code)] ?? error.message, file);
  }
  return error;
}

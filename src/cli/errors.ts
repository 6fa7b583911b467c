/** Prints an error the way its reader needs it and gives the exit status that goes with it. */
import { OutputError, PointError } from '../run/errors.js';
import { InputError, inputError } from '../workload/errors.js';
import type { Output } from './context.js';

export const ExitCode = { Ok: 0, Internal: 1, BadInput: 2, Interrupted: 130 } as const;

/** Bad input: one line for each problem. A point that failed: its message. Anything else is a defect and shows its stack. */
export function printError(error: unknown, output: Output): number {
  if (error instanceof InputError) {
    output.err(`${error.message}\n`);
    return ExitCode.BadInput;
  }
  if (error instanceof OutputError) return printError(inputError('E007', error.message), output);
  if (error instanceof PointError) {
    output.err(`error: ${error.message}\n`);
    return ExitCode.Internal;
  }
  output.err(`internal error: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return ExitCode.Internal;
}

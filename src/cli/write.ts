/** Writes a file a user named: complete under its final name, or not at all. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { outputError } from '../run/errors.js';

/** @throws OutputError */
export function writeAtomically(path: string, text: string): void {
  const temporary = join(dirname(path), `.tmp-${process.pid}-${basename(path)}`);
  try {
    writeFileSync(temporary, text);
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw outputError('write', path, error);
  }
}

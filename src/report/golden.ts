/** SHA-256 of the files of a results folder that must not change from host to host: what a golden test compares. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MANIFEST } from '../run/store.js';

/**
 * Name and SHA-256 of every report file in `folder`, by name. Left out: the manifest (host facts), the point files (they
 * carry the fingerprint of the code) and hidden files.
 */
export function deterministicFiles(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => name !== MANIFEST && !name.startsWith('.'));
  const files = names.filter((name) => statSync(join(folder, name)).isFile()).sort();
  return Object.fromEntries(
    files.map((name) => [
      name,
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest('hex'),
    ]),
  );
}

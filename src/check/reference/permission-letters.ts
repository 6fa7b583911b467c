/** R, W and Exe of a translation completion as vectors state them. */
import type { TranslationPermissions } from '../vectors/vector.js';

/** Something is granted, and execution only with reads. */
export function lettersOf(granted: {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}): TranslationPermissions {
  if (!granted.read) return 'w';
  if (granted.execute) return granted.write ? 'rwx' : 'rx';
  return granted.write ? 'rw' : 'r';
}

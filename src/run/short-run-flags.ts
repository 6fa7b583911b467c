/**
 * V8 flags for a run of a fraction of a second, which ends before deeply inlined code has paid for its compilation: with the
 * flags of `flags.ts` the first 50,000 events take 1.4 times as long. A worker that starts later sets its own.
 */
import { setFlagsFromString } from 'node:v8';

export function setShortRunFlags(): void {
  for (const flag of ['--no-use-osr', '--max-inlined-bytecode-size-cumulative=0']) {
    setFlagsFromString(flag);
  }
}

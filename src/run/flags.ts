/**
 * V8 flags for simulation code. Imported before anything else by each worker: without them a hot function
 * can stay in a lower tier (on-stack replacement) or lose its inlined callees, which costs a factor of 1.1 to 4.
 */
import { setFlagsFromString } from 'node:v8';

for (const flag of [
  '--no-use-osr',
  '--max-inlined-bytecode-size=1000',
  '--max-inlined-bytecode-size-cumulative=4000',
  '--max-inlined-bytecode-size-small=150',
  '--max-inlined-bytecode-size-absolute=10000',
]) {
  setFlagsFromString(flag);
}

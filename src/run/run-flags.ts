/**
 * V8 flags for simulation code, by how long a thread will run it. Deep inlining makes events cheaper (6 % against V8's defaults) but
 * costs each thread some 0.6 s of compilation instead of 0.4 s, and none at all is best for a run of a fraction of a second.
 * On-stack replacement is always off: it can leave a hot function in a lower tier, which costs a factor of 2 to 4.
 * V8 has one set of flags for the process, so workers take those that hold when they start.
 */
import { setFlagsFromString } from 'node:v8';

/** Estimated seconds of simulation per thread from which deep inlining pays. */
const LONG_SECONDS = 20;
const SHORT_SECONDS = 0.2;

interface Inlining {
  readonly size: number;
  readonly cumulative: number;
  readonly small: number;
  readonly absolute: number;
}

const DEEP: Inlining = { size: 1000, cumulative: 6000, small: 200, absolute: 15_000 };
/** V8's defaults. */
const NORMAL: Inlining = { size: 460, cumulative: 920, small: 27, absolute: 4600 };
const NONE: Inlining = { ...NORMAL, cumulative: 0 };

/** To be called before the simulation code runs. `seconds`: estimated time of simulation in each thread. */
export function setRunFlags(seconds: number): void {
  const { size, cumulative, small, absolute } = seconds > LONG_SECONDS ? DEEP : seconds > SHORT_SECONDS ? NORMAL : NONE;
  for (const flag of [
    '--no-use-osr',
    `--max-inlined-bytecode-size=${size}`,
    `--max-inlined-bytecode-size-cumulative=${cumulative}`,
    `--max-inlined-bytecode-size-small=${small}`,
    `--max-inlined-bytecode-size-absolute=${absolute}`,
  ]) {
    setFlagsFromString(flag);
  }
}

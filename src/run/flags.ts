/** V8 flags for a program that simulates for long in its own thread: imported before anything else. */
import { setRunFlags } from './run-flags.js';

setRunFlags(Number.POSITIVE_INFINITY);

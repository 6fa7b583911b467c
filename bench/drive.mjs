// Runs one machine the way run/point does, in slices, for benchmarks that look at it between slices.
import { Machine } from '../dist/system/machine.js';

const BATCH = 4096;

export class Drive {
  constructor(spec, options = { everyEvent: false, audit: false }) {
    this.machine = new Machine(spec, options);
    /** Events of the boot (register writes under way). */
    this.bootEvents = this.machine.kernel.pending;
    this.machine.start();
  }

  /** Simulates until `operations` more DMAs are complete. */
  run(operations) {
    const { meter, dispatcher } = this.machine;
    meter.start(operations);
    while (meter.open && dispatcher.alive) dispatcher.batch(BATCH);
    if (!dispatcher.alive) throw new Error('the machine has fallen idle');
  }

  get events() {
    return this.machine.kernel.dispatched;
  }

  get nowPs() {
    return this.machine.kernel.clock[0];
  }
}

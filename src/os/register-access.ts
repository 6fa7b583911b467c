/**
 * Reads of a unit's registers by a driver, which arrive behind all writes to the unit, and posted writes. A record that its owner uses again.
 * Hot path: bench/faults.mjs.
 */
import { Step } from './step.js';
import { DONE, Routine, RUN, type Thread, type Wait } from './thread.js';
import type { UnitDriverEnvironment } from './unit-environment.js';

class Access extends Routine {
  thread: Thread | null = null;
  /** -1: a read. */
  offset = -1;
  hi = 0;
  lo = 0;
  private charged = false;

  constructor(
    private readonly registers: RegisterAccess,
    private readonly environment: UnitDriverEnvironment,
  ) {
    super();
  }

  next(): IteratorResult<Wait, void> {
    const { registers, thread } = this;
    if (!this.charged) {
      this.charged = true;
      if (!this.environment.scheduler.passes(thread!)) return RUN;
    }
    this.charged = false;
    registers.end(this);
    return DONE;
  }
}

export class RegisterAccess {
  private readonly idle: Access[] = [];

  constructor(
    private readonly unit: number,
    private readonly environment: UnitDriverEnvironment,
  ) {}

  /** Returns when `count` registers have been read. */
  read(thread: Thread, count: number): Routine {
    const { costs, distance } = this.environment;
    thread.charge(Step.Completion, count * Math.max(costs.mmioRead, distance.flight(thread, this.unit)));
    return this.access(thread, -1, 0, 0);
  }

  /** Returns when the CPU goes on; the write arrives later. */
  write(thread: Thread, offset: number, hi: number, lo: number): Routine {
    thread.charge(Step.Doorbell, this.environment.costs.mmioWrite);
    return this.access(thread, offset, hi, lo);
  }

  private access(thread: Thread, offset: number, hi: number, lo: number): Routine {
    const access = this.idle.pop() ?? new Access(this, this.environment);
    access.thread = thread;
    access.offset = offset;
    access.hi = hi;
    access.lo = lo;
    return access;
  }

  /** The time of the access has passed. */
  end(access: Access): void {
    const { thread, offset, hi, lo } = access;
    this.idle.push(access);
    if (offset < 0) return;
    const { registers, distance } = this.environment;
    registers.write(this.unit, offset, hi, lo, distance.flight(thread!, this.unit));
  }
}

/**
 * One pass of arm_smmu_evtq_thread (drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c): reads EVTQ_PROD until it finds nothing new, handles each record,
 * and acknowledges an overflow. A record that its driver uses again: its interrupt has one thread.
 * Hot path: bench/faults.mjs.
 */
import type { Scheduler } from '../scheduler.js';
import { type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { StallDriver } from './faults.js';

const enum State {
  Begin,
  /** EVTQ_PROD has been read. */
  Read,
  /** Takes the next record, or ends. */
  Record,
  /** Time to give a record's place back. */
  Release,
  Reported,
  /** Time to acknowledge an overflow. */
  Acknowledge,
}

export class EventPass extends Routine {
  private state = State.Begin;
  private thread: Thread | null = null;
  /** What EVTQ_PROD said. */
  private producer = 0;
  private report: Call<void> = NOTHING;

  constructor(
    private readonly driver: StallDriver,
    private readonly scheduler: Scheduler,
  ) {
    super();
  }

  begin(thread: Thread): void {
    this.thread = thread;
    this.state = State.Begin;
  }

  next(): IteratorResult<Wait, void> {
    const { driver, scheduler } = this;
    const thread = this.thread!;
    for (;;) {
      switch (this.state) {
        case State.Begin:
          driver.readProducer(thread);
          this.state = State.Read;
          if (!scheduler.passes(thread)) return RUN;
          break;
        case State.Read:
          this.producer = driver.producer;
          if (!driver.behind(this.producer) && !driver.overflown(this.producer)) return DONE;
          this.state = State.Record;
          break;
        case State.Record:
          if (driver.behind(this.producer)) {
            driver.take(thread);
            this.state = State.Release;
          } else if (driver.overflown(this.producer)) {
            driver.acknowledge(thread, this.producer);
            this.state = State.Acknowledge;
          } else {
            this.state = State.Begin;
            break;
          }
          if (!scheduler.passes(thread)) return RUN;
          break;
        case State.Release:
          driver.writeConsumer(thread);
          this.report = driver.report(thread);
          this.state = State.Reported;
          break;
        case State.Reported: {
          const turn = this.report.next();
          if (turn.done !== true) return turn;
          this.report = NOTHING;
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          driver.recordDone();
          this.state = State.Record;
          break;
        }
        case State.Acknowledge:
          driver.writeConsumer(thread);
          this.state = State.Begin;
          break;
      }
    }
  }
}

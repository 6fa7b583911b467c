/**
 * One pass of the thread behind a page request queue: takes the records out that are there, gives them back to hardware, and deals with an
 * overflow. A record that its reader uses again: there is one thread.
 * Hot path: bench/faults.mjs.
 */
import type { PageRequestReader } from './page-requests.js';
import type { Scheduler } from './scheduler.js';
import { type Call, DONE, NOTHING, Routine, RUN, type Thread, type Wait } from './thread.js';

const enum State {
  Begin,
  /** Hardware will interrupt for what comes from now on. */
  Acknowledged,
  /** The register that says where the ring ends has been read. */
  First,
  Again,
  Record,
  Taken,
  /** The records are given back. */
  Returned,
  Recovered,
}

export class RequestPass extends Routine {
  private state = State.Begin;
  private thread: Thread | null = null;
  /** What is done before the present state. */
  private inner: Call<void> = NOTHING;
  private tail = 0;

  constructor(
    private readonly reader: PageRequestReader,
    private readonly scheduler: Scheduler,
  ) {
    super();
  }

  begin(thread: Thread): void {
    this.thread = thread;
    this.state = State.Begin;
  }

  next(): IteratorResult<Wait, void> {
    const { reader } = this;
    const thread = this.thread!;
    for (;;) {
      if (this.inner !== NOTHING) {
        const turn = this.inner.next();
        if (turn.done !== true) return turn;
        this.inner = NOTHING;
      }
      switch (this.state) {
        case State.Begin:
          this.inner = reader.acknowledge(thread);
          this.state = State.Acknowledged;
          break;
        case State.Acknowledged:
          this.inner = reader.readTail(thread);
          this.state = State.First;
          break;
        case State.First:
          this.tail = reader.tail;
          this.state = State.Record;
          break;
        case State.Again:
          this.tail = reader.tail;
          this.state = State.Record;
          if (reader.reached(this.tail)) this.recover(thread);
          break;
        case State.Record:
          if (reader.reached(this.tail)) {
            this.inner = reader.releaseAll(thread);
            this.state = State.Returned;
          } else {
            this.inner = reader.take(thread);
            this.state = State.Taken;
          }
          break;
        case State.Taken:
          if (reader.reporting && thread.debt !== 0 && !this.scheduler.passes(thread)) return RUN;
          this.inner = reader.releaseOne(thread);
          this.state = State.Record;
          break;
        case State.Returned:
          if (reader.untilEmpty) {
            // A device that goes on asking must not keep those waiting who look at what was there.
            reader.wakeWaiting();
            this.inner = reader.readTail(thread);
            this.state = State.Again;
          } else this.recover(thread);
          break;
        case State.Recovered:
          reader.wakeWaiting();
          return DONE;
      }
    }
  }

  private recover(thread: Thread): void {
    this.inner = this.reader.recover(thread);
    this.state = State.Recovered;
  }
}

/**
 * A cache line that CPUs share: atomic operations, stores and loads of its words, each of which needs the line in the CPU's own cache. The
 * line moves from the CPU that had it last, one access after the other in order of asking, and takes longer between sockets. A
 * compare-and-exchange loop (cmpxchg) succeeds when nobody has stored since its last look; otherwise it has a new look and tries again: with n CPUs
 * in the loop one of n attempts succeeds. Not modelled: copies shared for reading (a load moves the line as a store does), atomics executed at the memory.
 */
import type { Scheduler } from './scheduler.js';
import type { CostSpec } from './spec.js';
import { Step } from './step.js';
import { type Call, type Cpu, type Thread, Wait } from './thread.js';

/** Counters of all shared lines of the command queues. */
export class LineStatistics {
  /** Loads, stores and atomics, attempts of loops included; and those for which the line had to move. */
  accesses = 0;
  moves = 0;
  /** Compare-and-exchange operations, and those that failed. */
  attempts = 0;
  failures = 0;
  /** [0] = time spent waiting for other CPUs' accesses, retries included, ps. */
  readonly wait: Float64Array = new Float64Array(1);

  reset(): void {
    this.accesses = 0;
    this.moves = 0;
    this.attempts = 0;
    this.failures = 0;
    this.wait[0] = 0;
  }
}

/** A CPU in a compare-and-exchange loop. */
class Contender {
  /** Value number that it has seen. */
  expected = 0;
  /** When the access under way is over, ps. */
  at = -0;
  /** Its thread is due at `at`. */
  due = false;
  succeeded = false;

  constructor(readonly thread: Thread) {}
}

export class SharedLine {
  /** [0] = when the accesses asked for so far are over, ps. */
  private readonly freeAt = new Float64Array(1);
  private holder: Cpu | null = null;
  /** Number of the value: counts the stores asked for so far. */
  private version = 0;
  /** In order of their accesses, the failed ones behind again. */
  private readonly contenders: Contender[] = [];

  constructor(
    private readonly scheduler: Scheduler,
    private readonly costs: CostSpec,
    private readonly statistics: LineStatistics,
  ) {}

  /** One load, store or atomic. Its effect counts from now on; the thread has paid for it at its next `Wait.Run`. */
  *access(thread: Thread, stores: boolean): Call<void> {
    // Between accesses of one CPU nobody can tell when exactly they were made.
    if (thread.debt !== 0 && (this.holder !== thread.cpu || this.contenders.length > 0)) yield Wait.Run;
    const now = this.scheduler.now();
    this.advance(now, null);
    const asked = now + thread.debt;
    const begin = Math.max(asked, this.freeAt[0]!);
    const end = this.book(thread.cpu, begin);
    if (stores) this.version++;
    this.pay(thread, begin - asked, end - begin);
    this.schedule(now);
  }

  /** A load and the compare-and-exchange loop that follows it; returns when its own store counts. */
  *exchange(thread: Thread): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    let now = this.scheduler.now();
    this.advance(now, null);
    if (this.holder === thread.cpu && this.contenders.length === 0 && this.freeAt[0]! <= now) {
      this.statistics.attempts++;
      this.version++;
      this.pay(thread, 0, this.book(thread.cpu, now) - now);
      return;
    }
    const self = new Contender(thread);
    self.at = this.book(thread.cpu, Math.max(now, this.freeAt[0]!));
    self.expected = this.version;
    this.contenders.push(self);
    this.schedule(now);
    const asked = now;
    for (;;) {
      this.scheduler.block(thread, Step.LockWait);
      if (self.due) this.scheduler.wake(thread, self.at - now);
      yield Wait.Block;
      now = this.scheduler.now();
      self.due = false;
      this.advance(now, self);
      if (self.succeeded) break;
      this.schedule(now);
    }
    const wait = this.statistics.wait;
    wait[0] = wait[0]! + now - asked;
    thread.charge(Step.Lock, self.at - now);
    this.schedule(now);
  }

  /** The line comes to the CPU and is used; returns when that is over. */
  private book(cpu: Cpu, begin: number): number {
    const { costs, statistics, holder } = this;
    statistics.accesses++;
    let time = costs.atomic;
    if (holder !== null && holder !== cpu) {
      statistics.moves++;
      time += holder.socket === cpu.socket ? costs.lineTransfer : costs.lineTransferRemote;
    }
    this.holder = cpu;
    this.freeAt[0] = begin + time;
    return begin + time;
  }

  private pay(thread: Thread, wait: number, own: number): void {
    if (wait > 0) {
      const waited = this.statistics.wait;
      waited[0] = waited[0]! + wait;
      thread.chargeExactly(Step.LockWait, wait);
    }
    thread.charge(Step.Lock, own);
  }

  /**
   * Catches up with the attempts that have failed meanwhile: nobody needs to run for those. The attempt of a thread other than `self` that
   * would succeed at this instant waits for the thread, which is due now.
   */
  private advance(now: number, self: Contender | null): void {
    const { contenders, statistics } = this;
    while (contenders.length > 0) {
      const first = contenders[0]!;
      if (first.at > now) return;
      const current = first.expected === this.version;
      if (current && first !== self) return;
      contenders.shift();
      statistics.attempts++;
      first.at = this.book(first.thread.cpu, Math.max(first.at, this.freeAt[0]!));
      if (current) {
        this.version++;
        first.succeeded = true;
        return;
      }
      statistics.failures++;
      first.expected = this.version;
      contenders.push(first);
    }
  }

  /** Whoever succeeds next if nobody interferes must run when its attempt is due; when all must look again, the first one. */
  private schedule(now: number): void {
    const { contenders } = this;
    if (contenders.length === 0) return;
    const next = contenders.find(({ expected }) => expected === this.version) ?? contenders[0]!;
    if (next.due) return;
    next.due = true;
    // The thread that runs at the moment blocks first and then wakes itself.
    if (next.thread.waitStep >= 0) this.scheduler.wake(next.thread, next.at - now);
  }
}

/**
 * The virtual machine monitor (QEMU on KVM): an access to an emulated register leaves the guest for user space on the same CPU, takes
 * the monitor's lock, is emulated, and re-enters. What the emulation asks of the host's kernel runs on the same CPU, with the lock
 * held, and its steps are accounted apart: for the guest they are one step. Not modelled: exits that the host's kernel handles alone,
 * interrupts of the host, vCPUs that are not running.
 */
import { LatencyLedger } from '../../stats/latency-ledger.js';
import { InvalidationStatistics } from '../invalidation-statistics.js';
import { LockStatistics } from '../lock.js';
import type { Scheduler } from '../scheduler.js';
import { STEP_NAMES, Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import { MonitorLock } from './lock.js';
import type { GuestSpec } from './spec.js';
import { GuestStatistics } from './statistics.js';

export class Monitor {
  readonly statistics = new GuestStatistics();
  /** Steps of the calls into the host's kernel. */
  readonly calls: LatencyLedger;
  /** What the queues of the host count. */
  readonly host = { statistics: new InvalidationStatistics(), locks: new LockStatistics() } as const;
  private readonly lock: MonitorLock;

  constructor(
    readonly spec: GuestSpec,
    private readonly scheduler: Scheduler,
  ) {
    // One slot a thread: every CPU has a thread and a soft-interrupt context.
    this.calls = new LatencyLedger(2 * scheduler.cpus.length, STEP_NAMES);
    this.lock = new MonitorLock(scheduler, spec, this.statistics);
  }

  /** A trapped access of the guest that the monitor emulates by `emulate`; returns when the guest goes on. */
  *trap(thread: Thread, emulate: Call<void>): Call<void> {
    const { scheduler, spec, statistics } = this;
    if (thread.debt !== 0) yield Wait.Run;
    const left = scheduler.now();
    const wayIn = Math.floor(spec.exit / 2);
    statistics.exits++;
    thread.charge(Step.Exit, wayIn);
    if (thread.debt !== 0) yield Wait.Run;
    if (!this.lock.take(thread)) yield Wait.Block;
    yield* emulate;
    if (thread.debt !== 0) yield Wait.Run;
    this.lock.release(thread);
    thread.charge(Step.Exit, spec.exit - wayIn);
    if (thread.debt !== 0) yield Wait.Run;
    statistics.exit.add(scheduler.now() - left);
  }

  /** The monitor's own work on a command or a register. */
  emulate(thread: Thread): void {
    this.statistics.emulated++;
    thread.charge(Step.Emulation, this.spec.emulation);
  }

  /** A system call of the monitor whose work in the host's kernel is `work`. */
  *call(thread: Thread, work: Call<void>): Call<void> {
    const { scheduler, calls } = this;
    if (thread.debt !== 0) yield Wait.Run;
    const guest = thread.ledger;
    calls.start(thread.id, scheduler.now());
    thread.ledger = calls;
    thread.charge(Step.Syscall, this.spec.call);
    yield* work;
    if (thread.debt !== 0) yield Wait.Run;
    const latency = calls.finish(thread.id, scheduler.now());
    thread.ledger = guest;
    this.statistics.call.add(latency);
    if (guest !== null) guest.chargeFor(thread.id, Step.HostCall, latency);
  }

  resetStatistics(): void {
    this.calls.reset();
    this.host.statistics.reset();
    this.host.locks.reset();
    this.statistics.reset();
  }
}

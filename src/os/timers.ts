/**
 * Kernel timers (kernel/time/timer.c): a timeout counts in ticks from the last tick, is rounded up, and expires one tick later
 * still so that it is never early; far timeouts are coarser, as the levels of the timer wheel are. The callback runs in
 * soft-interrupt context of the CPU that armed it.
 */
import { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import { Op } from '../protocol/op.js';
import type { SoftWork } from './thread.js';
import type { Scheduler } from './scheduler.js';

/** Timeouts of fewer ticks than this sit in the finest level of the wheel (LVL_START(1)); each further level is 8 times coarser. */
const FINEST_LEVEL = 63;

/** Absolute time, ps, at which a timer armed at `now` with `timeout` expires. */
export function timerExpiry(now: number, timeout: number, tick: number): number {
  const jiffies = Math.floor(now / tick);
  const ticks = Math.ceil(timeout / tick);
  let granularity = 1;
  while (ticks >= FINEST_LEVEL * granularity) granularity *= 8;
  return (Math.floor((jiffies + ticks) / granularity) + 1) * granularity * tick;
}

export class Timers {
  private readonly armed: (SoftWork | null)[] = [];
  private readonly events: Event[] = [];
  private readonly unused: number[] = [];

  constructor(
    private readonly kernel: Kernel,
    private readonly scheduler: Scheduler,
    private readonly tick: number,
  ) {}

  /** Runs `work` on the CPU when the timeout (ps) has expired. */
  after(timeout: number, cpu: number, work: SoftWork): void {
    const now = this.scheduler.now();
    this.arm(timerExpiry(now, timeout, this.tick) - now, cpu, work);
  }

  /** The same after exactly `delay` (a high-resolution timer). */
  afterExactly(delay: number, cpu: number, work: SoftWork): void {
    this.arm(delay, cpu, work);
  }

  private arm(delay: number, cpu: number, work: SoftWork): void {
    let id = this.unused.pop();
    if (id === undefined) {
      id = this.events.length;
      const event = new Event();
      event.id = id;
      this.events.push(event);
    }
    this.armed[id] = work;
    const event = this.events[id]!;
    event.source = cpu;
    this.kernel.after(delay, event, Op.Timer);
  }

  /** `Op.Timer`. */
  expired(event: { readonly id: number; readonly source: number }): void {
    const work = this.armed[event.id]!;
    this.armed[event.id] = null;
    this.unused.push(event.id);
    this.scheduler.raise(this.scheduler.cpus[event.source]!, work);
  }
}

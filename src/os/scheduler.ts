/**
 * Runs the programs of all CPUs on the event kernel: pays their charged time, parks and wakes them, and interleaves soft
 * interrupts with the thread of the same CPU: they start at once when the thread has interrupts enabled, else when it
 * enables them, and prolong what the thread was doing by exactly their own length. Threads that share a CPU take turns in order of their
 * wake-ups (kernel/sched/core.c, without its classes and slices).
 */
import type { Kernel } from '../kernel/kernel.js';
import { RandomStream } from '../kernel/random.js';
import { Op } from '../protocol/op.js';
import { Cpu, type Program, type SoftWork, Thread, ThreadState, Wait } from './thread.js';

const enum CpuTime {
  /** Start of the active period of the soft-interrupt context. */
  SoftStart,
  /** When the thread became due during that period. */
  PreemptedAt,
  /** Time taken from the thread's pending run by periods that are over. */
  Stolen,
  /** Total time in soft-interrupt context since the last reset. */
  Total,
  /** Of a CPU that threads share: time it has worked or spun since the last reset, switches of context included. */
  Used,
  Count,
}

export interface CpuDescription {
  readonly socket: number;
  readonly frequency: number;
}

/** What it costs to give a CPU to a thread that slept, ps. */
export interface TurnCosts {
  /** From the wake-up to the start on an idle CPU: wake-up interrupt, leaving the idle loop, scheduler. */
  readonly wakeLatency: number;
  /** Switching the CPU from one thread, or from the idle loop, to another. */
  readonly contextSwitch: number;
}

/** Times that a thread goes on without an event of its own before it lets the loop of events look around. */
const PASSES = 256;

const FREE_TURNS: TurnCosts = { wakeLatency: 0, contextSwitch: 0 };

export class Scheduler {
  readonly cpus: readonly Cpu[];
  private readonly threads: Thread[] = [];
  private readonly times: Float64Array;
  /** The thread whose event is being dispatched, and how often it may still go on in place (`passes`). */
  private stepping: Thread | null = null;
  private passesLeft = 0;
  /** `passes` has just found that other things come first: the thread that yields because of it need not ask again. */
  private refused = false;
  /** Per thread: when it blocked. */
  private blockedAt: Float64Array = new Float64Array(16);

  constructor(
    private readonly kernel: Kernel,
    descriptions: readonly CpuDescription[],
    private readonly seed = 0,
    /** OsSpec.jitter. */
    private readonly jitter = 0,
    private readonly turns: TurnCosts = FREE_TURNS,
  ) {
    this.cpus = descriptions.map((d, id) => new Cpu(id, d.socket, d.frequency));
    this.times = new Float64Array(this.cpus.length * CpuTime.Count);
    for (const cpu of this.cpus) cpu.soft = this.create(`softirq/${cpu.id}`, cpu, true);
  }

  /** Absolute time, ps. */
  now(): number {
    return this.kernel.clock[0]!;
  }

  /** Pins a new thread to the CPU; it starts with `start`. One thread per CPU. */
  spawn(name: string, cpu: Cpu, program: (thread: Thread) => Program): Thread {
    if (cpu.thread !== null)
      throw new Error(`CPU ${cpu.id} already runs ${cpu.thread.name}; ${name} needs a CPU of its own`);
    const thread = this.create(name, cpu, false);
    cpu.thread = thread;
    thread.program = program(thread);
    return thread;
  }

  /**
   * A new thread that shares the CPU with others spawned so. It sleeps; the first `wakeUp` begins its program. Throws if a pinned thread
   * has the CPU, which would starve it.
   */
  spawnSleeper(name: string, cpu: Cpu, program: (thread: Thread) => Program): Thread {
    if (cpu.thread !== null && !cpu.shared)
      throw new Error(`CPU ${cpu.id} belongs to ${cpu.thread.name}; ${name} cannot take turns with it`);
    const thread = this.create(name, cpu, false);
    cpu.shared = true;
    cpu.thread ??= thread;
    thread.program = program(thread);
    thread.state = ThreadState.Sleeping;
    return thread;
  }

  start(thread: Thread, delayPs = 0): void {
    thread.state = ThreadState.Running;
    this.kernel.after(delayPs, thread.event, Op.ThreadStep);
  }

  private create(name: string, cpu: Cpu, soft: boolean): Thread {
    const thread = new Thread(
      this.threads.length,
      name,
      cpu,
      soft,
      this.jitter,
      this.jitter > 0 ? new RandomStream(this.seed, `os/thread/${name}`) : null,
    );
    this.threads.push(thread);
    if (this.threads.length > this.blockedAt.length) {
      const larger = new Float64Array(this.blockedAt.length * 2);
      larger.set(this.blockedAt);
      this.blockedAt = larger;
    }
    return thread;
  }

  /** Marks the thread waiting; its next yield must be `Wait.Block`. The wait is charged to `step` when it ends. */
  block(thread: Thread, step: number): void {
    if (thread.debt !== 0) throw new Error(`${thread.name} waits with ${thread.debt} ps of unsettled time`);
    thread.waitStep = step;
    thread.state = ThreadState.Blocked;
    this.blockedAt[thread.id] = this.now();
  }

  /** Marks the thread asleep; its next yield must be `Wait.Block` and leaves the CPU to others. The wait is charged to `step` when it ends. */
  sleep(thread: Thread, step: number): void {
    if (thread.soft || thread.irqOff !== 0) throw new Error(`${thread.name} sleeps with interrupts off`);
    this.block(thread, step);
    thread.state = ThreadState.Sleeping;
  }

  /** `sleep` that ends by itself: a timer or a device's completion wakes the thread `ps` from now. Nobody else may wake it. */
  sleepFor(thread: Thread, step: number, ps: number): void {
    this.sleep(thread, step);
    this.kernel.after(ps, thread.event, Op.ThreadStep);
  }

  /**
   * Ends the sleep of a thread: it runs after the wake-up latency and a context switch if its CPU is idle, else after a context switch
   * when its turn comes.
   */
  wakeUp(thread: Thread): void {
    if (thread.state !== ThreadState.Sleeping) throw new Error(`${thread.name} is woken but does not sleep`);
    const { cpu } = thread;
    const { wakeLatency, contextSwitch } = this.turns;
    if (cpu.idle) this.takeTurn(thread, wakeLatency + contextSwitch);
    else {
      thread.state = ThreadState.Runnable;
      cpu.runQueue.push(thread);
    }
  }

  /** How long the thread has been blocked or asleep, ps. */
  blockedFor(thread: Thread): number {
    return this.now() - this.blockedAt[thread.id]!;
  }

  /** Ends the wait of a blocked thread `delayPs` from now. */
  wake(thread: Thread, delayPs: number): void {
    if (thread.state !== ThreadState.Blocked) throw new Error(`${thread.name} is woken but does not wait`);
    thread.state = ThreadState.Running;
    thread.stretches = false;
    if (thread.cpu.shared === true) this.use(thread.cpu, this.blockedFor(thread) + delayPs);
    this.kernel.after(delayPs, thread.event, Op.ThreadStep);
  }

  /**
   * Ends the wait of a thread that polls every `periodPs` since it blocked: it sees a change made now at its next poll, a poll
   * at this very instant included.
   */
  wakePoller(thread: Thread, periodPs: number): void {
    const waited = this.blockedFor(thread);
    const late = periodPs === 0 ? 0 : waited % periodPs;
    this.wake(thread, late === 0 ? 0 : periodPs - late);
  }

  /** `Op.ThreadStep`. */
  threadStep(event: { readonly id: number }): void {
    const thread = this.threads[event.id]!;
    const cpu = thread.cpu;
    if (thread.state === ThreadState.Sleeping) {
      this.wakeUp(thread);
      return;
    }
    if (!thread.soft) {
      const at = cpu.id * CpuTime.Count;
      if (cpu.active) {
        thread.state = ThreadState.Preempted;
        this.times[at + CpuTime.PreemptedAt] = this.now();
        return;
      }
      const stolen = this.times[at + CpuTime.Stolen]!;
      this.times[at + CpuTime.Stolen] = 0;
      if (stolen !== 0 && thread.stretches) {
        this.prolong(thread, stolen);
        this.kernel.after(stolen, thread.event, Op.ThreadStep);
        return;
      }
    }
    this.stepping = thread;
    this.passesLeft = PASSES;
    this.resume(thread);
    this.stepping = null;
  }

  /**
   * Instead of `yield Wait.Run`: true if the time charged has passed, because nothing else would happen before it has
   * (`Kernel.pass`); else the program must yield. Spares the way through all of its subroutines.
   */
  passes(thread: Thread): boolean {
    const { cpu } = thread;
    if (!thread.soft && (cpu.active || cpu.pending.length > 0)) return false;
    if (thread.debt === 0) return true;
    // A thread that runs inside another's event returns to it.
    if (thread !== this.stepping || this.passesLeft === 0 || !this.kernel.pass(thread.debt)) {
      this.refused = true;
      return false;
    }
    this.passesLeft--;
    if (cpu.shared === true) this.use(cpu, thread.debt);
    thread.debt = 0;
    return true;
  }

  /** Work for the soft-interrupt context of a CPU. */
  raise(cpu: Cpu, work: SoftWork): void {
    cpu.pending.push(work);
    if (cpu.open) this.startSoft(cpu);
  }

  /** Time the CPU has spent in soft-interrupt context since the last reset, ps. */
  softTime(cpu: Cpu): number {
    return this.times[cpu.id * CpuTime.Count + CpuTime.Total]!;
  }

  /** Time that a CPU which threads share has worked or spun since the last reset, ps. What is under way counts whole when it begins; a spin when it ends. */
  usedTime(cpu: Cpu): number {
    return this.times[cpu.id * CpuTime.Count + CpuTime.Used]!;
  }

  private use(cpu: Cpu, ps: number): void {
    const at = cpu.id * CpuTime.Count + CpuTime.Used;
    this.times[at] = this.times[at]! + ps;
  }

  resetStatistics(): void {
    for (const { id } of this.cpus) {
      this.times[id * CpuTime.Count + CpuTime.Total] = 0;
      this.times[id * CpuTime.Count + CpuTime.Used] = 0;
    }
  }

  private prolong(thread: Thread, ps: number): void {
    if (thread.ledger !== null) thread.ledger.chargeFor(thread.id, thread.interruptStep, ps);
  }

  private resume(thread: Thread): void {
    const { retry } = thread;
    if (retry !== null) {
      if (retry.again(thread)) {
        thread.state = ThreadState.Blocked;
        retry.waits();
        return;
      }
      thread.retry = null;
    }
    if (thread.waitStep >= 0) {
      if (thread.ledger !== null) thread.ledger.charge(thread.id, thread.waitStep, this.now());
      thread.waitStep = -1;
    }
    const program = thread.program!;
    for (;;) {
      const turn = program.next();
      if (turn.done === true) {
        this.finish(thread);
        return;
      }
      const cpu = thread.cpu;
      const interrupted = !thread.soft && cpu.pending.length > 0 && cpu.open;
      if (turn.value === Wait.Block) {
        if (thread.waitStep < 0) throw new Error(`${thread.name} blocks without saying what for`);
        if (interrupted) this.startSoft(cpu);
        if (thread.state === ThreadState.Sleeping) this.endTurn(cpu);
        return;
      }
      if (this.refused) this.refused = false;
      else if (this.passes(thread)) continue;
      const debt = thread.debt;
      if (debt === 0 && !interrupted) continue;
      if (cpu.shared === true) this.use(cpu, debt);
      thread.debt = 0;
      thread.state = ThreadState.Running;
      thread.stretches = turn.value === Wait.Run;
      this.kernel.after(debt, thread.event, Op.ThreadStep);
      if (interrupted) this.startSoft(cpu);
      return;
    }
  }

  private finish(thread: Thread): void {
    if (thread.debt !== 0 || thread.irqOff !== 0)
      throw new Error(`${thread.name} ends with unsettled time or interrupts off`);
    thread.state = ThreadState.Done;
    if (thread.soft) this.endSoft(thread.cpu);
    else this.endTurn(thread.cpu);
  }

  /** The CPU goes to the thread that has waited longest for it. */
  private endTurn(cpu: Cpu): void {
    const next = cpu.runQueue.shift();
    if (next !== undefined) this.takeTurn(next, this.turns.contextSwitch);
  }

  private takeTurn(thread: Thread, delayPs: number): void {
    thread.cpu.thread = thread;
    thread.state = ThreadState.Running;
    thread.stretches = false;
    this.use(thread.cpu, this.turns.contextSwitch);
    this.kernel.after(delayPs, thread.event, Op.ThreadStep);
  }

  private startSoft(cpu: Cpu): void {
    cpu.active = true;
    this.times[cpu.id * CpuTime.Count + CpuTime.SoftStart] = this.now();
    this.runNextSoft(cpu);
  }

  private runNextSoft(cpu: Cpu): void {
    const soft = cpu.soft!;
    soft.program = cpu.pending.shift()!.run(soft);
    this.resume(soft);
  }

  private endSoft(cpu: Cpu): void {
    if (cpu.pending.length > 0) {
      this.runNextSoft(cpu);
      return;
    }
    cpu.active = false;
    const at = cpu.id * CpuTime.Count;
    const length = this.now() - this.times[at + CpuTime.SoftStart]!;
    this.times[at + CpuTime.Total] = this.times[at + CpuTime.Total]! + length;
    const thread = cpu.thread;
    if (thread === null) return;
    if (thread.state === ThreadState.Preempted) {
      thread.state = ThreadState.Running;
      const due = this.times[at + CpuTime.PreemptedAt]!;
      let delay = 0;
      if (thread.stretches) {
        // What it had left when the period began still lies before it, and may be prolonged again.
        this.prolong(thread, length);
        delay = due - this.times[at + CpuTime.SoftStart]!;
      } else if (thread.waitStep < 0) {
        this.prolong(thread, this.now() - due);
      }
      this.kernel.after(delay, thread.event, Op.ThreadStep);
    } else if (thread.state === ThreadState.Running && thread.stretches) {
      this.times[at + CpuTime.Stolen] = this.times[at + CpuTime.Stolen]! + length;
    }
  }
}

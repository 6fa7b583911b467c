/**
 * One CPU: the thread pinned to it, its soft-interrupt context and the work waiting for that context (timer callbacks, deferred
 * work). Hardware interrupt entry is part of the work's cost.
 */
import type { Program, Thread } from './thread.js';

/** Deferred work: makes the program that the soft-interrupt context of `context.cpu` runs. */
export interface SoftWork {
  run(context: Thread): Program;
}

export class Cpu {
  thread: Thread | null = null;
  soft: Thread | null = null;
  /** Soft-interrupt context is active. */
  active = false;
  readonly pending: SoftWork[] = [];

  constructor(
    readonly id: number,
    readonly socket: number,
    /** Core clock, Hz. */
    readonly frequency: number,
  ) {}

  /** Whether soft interrupts may start now. */
  get open(): boolean {
    return !this.active && (this.thread === null || this.thread.irqOff === 0);
  }
}

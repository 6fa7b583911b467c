/** Carries posted register writes from software to the units: one event each from a pool, in order of writing. */
import { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import { Op } from '../protocol/op.js';
import type { RegisterBus } from '../protocol/registers.js';

export class RegisterFabric implements RegisterBus {
  private free: Event | null = null;

  constructor(private readonly kernel: Kernel) {}

  write(unit: number, offset: number, hi: number, lo: number, flightPs: number): void {
    const event = this.free ?? new Event();
    this.free = event.next;
    event.next = null;
    event.unit = unit;
    event.addressLo = offset;
    event.outHi = hi;
    event.outLo = lo;
    this.kernel.after(flightPs, event, Op.MmioWrite);
  }

  /** The write has taken effect; its record can carry another. */
  recycle(event: Event): void {
    event.next = this.free;
    this.free = event;
  }
}

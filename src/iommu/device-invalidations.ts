/**
 * Invalidations of device TLBs under way from one unit (PCI Express Base Specification 6.0, 10.3): Invalidate Requests carry one of the 32 ITags of their
 * device, and are over when the device has answered, or has not answered for too long. Translations on their way to the device are its own business: it does
 * not use those it had asked for before. Who issues invalidations (`CommandQueue`) asks again when something has changed.
 */
import { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import { type AtsEndpoint, type AtsPort, INVALIDATE_BYTES, ITAGS } from '../protocol/ats.js';
import { Op } from '../protocol/op.js';
import { Histogram } from '../stats/histogram.js';

/** One device. */
class Target {
  /** By ITag: the message, and when it was sent (-1: the ITag is free). */
  readonly messages: Event[];
  readonly sentAt: Float64Array = new Float64Array(ITAGS).fill(-1);
  used = 0;

  constructor(
    readonly requester: number,
    readonly port: AtsPort,
    private readonly device: number,
    private readonly firstSlot: number,
  ) {
    this.messages = Array.from({ length: ITAGS }, (_, itag) => this.message(itag));
  }

  message(itag: number): Event {
    const event = new Event();
    event.id = this.firstSlot + itag;
    event.source = this.device;
    event.value = itag;
    return event;
  }
}

export class DeviceInvalidations {
  /** From the request to its answer. */
  readonly latency = new Histogram();
  requests = 0;
  timeouts = 0;
  /** Times an invalidation found no free ITag. */
  itagWaits = 0;
  /** Not answered yet. */
  pending = 0;
  /** An invalidation has been answered, or given up. */
  onProgress: (() => void) | null = null;
  /** A device has not answered for too long. Called before `onProgress`. */
  onTimeout: ((requester: number) => void) | null = null;
  /** By device number. */
  private readonly targets: (Target | null)[] = [];
  private readonly timer = new Event();
  private armed = false;

  constructor(
    private readonly kernel: Kernel,
    unit: number,
    private readonly timeoutPs: number,
  ) {
    this.timer.unit = unit;
  }

  add({ device, port, firstSlot }: AtsEndpoint, requester: number): void {
    while (this.targets.length <= device) this.targets.push(null);
    this.targets[device] = new Target(requester, port, device, firstSlot);
  }

  /**
   * Sends a request for the region of 2^sizeLg2 bytes at hi:lo; `most`: unanswered ones that the device takes, 0 for all ITags. False: no ITag is free,
   * and `onProgress` will be called. A requester id without a device TLB has nothing to forget.
   */
  send(
    requester: number,
    most: number,
    pasid: number,
    everyPasid: boolean,
    hi: number,
    lo: number,
    sizeLg2: number,
  ): boolean {
    const target = this.targets.find((known) => known?.requester === requester) ?? null;
    if (target === null) return true;
    if (target.used >= (most === 0 ? ITAGS : most)) {
      this.itagWaits++;
      return false;
    }
    const itag = target.sentAt.indexOf(-1);
    const event = target.messages[itag]!;
    event.context = pasid;
    event.state = everyPasid ? 1 : 0;
    event.addressHi = hi;
    event.addressLo = lo;
    event.level = sizeLg2;
    target.used++;
    this.pending++;
    this.requests++;
    target.sentAt[itag] = this.kernel.clock[0]!;
    target.port.message(event, INVALIDATE_BYTES);
    if (!this.armed) this.arm(this.timeoutPs);
    return true;
  }

  /** The device has answered; an answer to a request that was given up is dropped. */
  answered(event: Event): void {
    const target = this.targets[event.source]!;
    target.port.returnCredits(event);
    if (target.messages[event.value] !== event) return;
    this.latency.add(this.kernel.clock[0]! - target.sentAt[event.value]!);
    this.end(target, event.value);
    this.onProgress?.();
  }

  private end(target: Target, itag: number): void {
    target.sentAt[itag] = -1;
    target.used--;
    this.pending--;
  }

  private arm(delayPs: number): void {
    this.armed = true;
    this.kernel.after(delayPs, this.timer, Op.AtsTimeout);
  }

  /** Op.AtsTimeout: gives up what was sent long enough ago, and waits for the oldest of the rest. */
  expire(): void {
    const now = this.kernel.clock[0]!;
    this.armed = false;
    let oldest = now;
    for (const target of this.targets) {
      if (target === null) continue;
      let late = false;
      for (let itag = 0; itag < ITAGS; itag++) {
        const sentAt = target.sentAt[itag]!;
        if (sentAt < 0) continue;
        if (sentAt + this.timeoutPs <= now) {
          late = true;
          this.timeouts++;
          this.end(target, itag);
          // The device may have the old message still.
          target.messages[itag] = target.message(itag);
        } else if (sentAt < oldest) oldest = sentAt;
      }
      if (late) this.onTimeout?.(target.requester);
    }
    if (this.pending > 0 && !this.armed) this.arm(oldest + this.timeoutPs - now);
    this.onProgress?.();
  }

  resetCounters(): void {
    this.requests = 0;
    this.timeouts = 0;
    this.itagWaits = 0;
    this.latency.reset();
  }
}

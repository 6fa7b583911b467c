/**
 * The way of 64-byte writes from a core to the portals of a device: uncore, link, device; for a deferrable memory write the device's completion comes
 * back the same way, and the core waits for it (ENQCMD). Writes stay in order. Not modelled: flow control towards the device,
 * the intermediate completers of switches.
 */
import { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import { Op } from '../protocol/op.js';
import { DESCRIPTOR_BYTES, type WorkDescriptor } from '../protocol/portal.js';
import type { Link } from './link.js';

/** What is behind the portals. */
export interface PortalTarget {
  shared(queue: number): boolean;
  arrive(queue: number, tag: number, descriptor: WorkDescriptor): boolean;
  clientOf(queue: number): { answered(tag: number, accepted: boolean): void };
}

/** A write under way; its event's `id` is its index. */
interface Write {
  readonly event: Event;
  queue: number;
  tag: number;
  descriptor: WorkDescriptor | null;
  /** ps, each way. */
  flight: number;
  accepted: boolean;
}

export class Portal {
  private readonly writes: Write[] = [];
  private readonly spare: Write[] = [];

  constructor(
    private readonly kernel: Kernel,
    private readonly unit: number,
    private readonly link: Link,
    private readonly target: PortalTarget,
  ) {}

  /** `flightPs`: from the core to the root complex, and back. */
  submit(queue: number, tag: number, descriptor: WorkDescriptor, flightPs: number): void {
    const write = this.spare.pop() ?? this.create();
    write.queue = queue;
    write.tag = tag;
    write.descriptor = descriptor;
    write.flight = flightPs;
    this.kernel.after(flightPs, write.event, Op.PortalEnter);
  }

  /** Op.PortalEnter: at the root complex. */
  enter(event: Event): void {
    this.link.deliver(event, DESCRIPTOR_BYTES, Op.PortalArrive);
  }

  /** Op.PortalArrive: at the device. */
  arrive(event: Event): void {
    const write = this.writes[event.id]!;
    const { queue, tag, descriptor } = write;
    write.accepted = this.target.arrive(queue, tag, descriptor!);
    write.descriptor = null;
    if (this.target.shared(queue)) this.link.acknowledge(event, Op.PortalReturn);
    else this.spare.push(write);
  }

  /** Op.PortalReturn: the completion is at the root complex. */
  return(event: Event): void {
    this.kernel.after(this.writes[event.id]!.flight, event, Op.PortalAnswer);
  }

  /** Op.PortalAnswer: the core goes on. */
  answer(event: Event): void {
    const write = this.writes[event.id]!;
    this.spare.push(write);
    this.target.clientOf(write.queue).answered(write.tag, write.accepted);
  }

  private create(): Write {
    const event = new Event();
    event.unit = this.unit;
    event.id = this.writes.length;
    const write: Write = { event, queue: 0, tag: 0, descriptor: null, flight: 0, accepted: false };
    this.writes.push(write);
    return write;
  }
}

/**
 * The host's worker for the request queue: woken by a notification (a VM exit), it takes one request after the other, reads descriptors and
 * structure from memory, executes it in its time, and puts status and used entry into memory, until the ring is empty. After an unmap it
 * waits for requests that still use the old translation. Completion is what the driver finds in the used ring; no interrupts.
 */
import { Event } from '../../../kernel/event.js';
import type { Kernel } from '../../../kernel/kernel.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { MemorySystem } from '../../../memory/system.js';
import { readDwords, writeDword } from '../../../memory/words.js';
import { Op } from '../../../protocol/op.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import { CommandCounters, Removes } from '../../command-counters.js';
import type { InvalidationSpec } from '../../spec.js';
import type { IommuUnit } from '../../unit.js';
import { decodeRequest, Request, REQUEST_WORDS, RequestBytes, RequestType, Status, tailOffset } from './format.js';
import type { Host } from './host.js';
import type { Virtqueue } from './virtqueue.js';

const enum State {
  Idle,
  /** The exit is being handled. */
  Start,
  /** Reading the available ring and the descriptors. */
  Descriptors,
  /** Reading the request. */
  Fetch,
  Execute,
  Drain,
  /** Writing status and used entry. */
  Complete,
}

export class Requests {
  readonly counters: CommandCounters;
  private state: State = State.Idle;
  private status: Status = Status.Ok;
  private readonly event = new Event();
  private readonly request = new Request();
  private readonly words = new Int32Array(REQUEST_WORDS);
  private watch: StoreWatch | null = null;

  constructor(
    readonly queue: Virtqueue,
    private readonly kernel: Kernel,
    private readonly unit: IommuUnit,
    private readonly spec: InvalidationSpec,
    private readonly host: Host,
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
  ) {
    this.event.unit = unit.index;
    this.counters = new CommandCounters(unit.translations);
    unit.onDrained = () => this.drained();
  }

  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  /** The driver has notified. */
  notify(): void {
    if (this.state !== State.Idle || this.queue.empty) return;
    this.counters.busy(this.kernel.clock[0]!);
    this.after(State.Start, this.spec.start);
  }

  /** Executes the request at the address at once and writes its status. */
  executeNow(address: number): void {
    readDwords(this.physical, address, this.words, REQUEST_WORDS);
    decodeRequest(this.words, RequestBytes.Map, this.request);
    writeDword(this.physical, address + tailOffset(this.request.type), this.host.execute(this.request));
  }

  /** Op.InvalidationStep. */
  step(): void {
    switch (this.state) {
      case State.Start:
        this.next();
        break;
      case State.Descriptors:
        this.queue.take();
        this.after(State.Fetch, this.read(this.queue.readAddress, this.queue.readBytes));
        break;
      case State.Fetch:
        this.after(State.Execute, this.decode());
        break;
      case State.Execute:
        this.execute();
        break;
      case State.Complete:
        this.complete();
        break;
      default:
        break;
    }
  }

  private next(): void {
    const { queue } = this;
    if (queue.empty) {
      this.state = State.Idle;
      this.counters.idle(this.kernel.clock[0]!);
      return;
    }
    const ring = this.read(queue.nextEntry, 2);
    this.after(State.Descriptors, ring + this.read(queue.nextDescriptor(), 32));
  }

  /** Returns the time of the request. */
  private decode(): number {
    const { queue, request, words, spec } = this;
    words.fill(0);
    readDwords(this.physical, queue.readAddress, words, Math.min(REQUEST_WORDS, Math.floor(queue.readBytes / 4)));
    const whole = decodeRequest(words, queue.readBytes, request);
    if (!whole) request.type = 0;
    this.status = whole ? Status.Ok : Status.Invalid;
    const now = this.kernel.clock[0]!;
    this.counters.begins(now, now);
    return spec.wait + timeOf(request.type, spec);
  }

  private execute(): void {
    const { request, counters } = this;
    const type = request.type as RequestType;
    counters.executes(this.kernel.clock[0]!);
    if (type === RequestType.Attach || type === RequestType.Detach) counters.context++;
    else if (type === RequestType.Unmap) {
      const first = Math.floor(request.start / 4096);
      const pages = { first, count: Math.ceil((request.end + 1) / 4096) - first };
      counters.removes(pages.count === 1 ? Removes.Page : Removes.Range, pages);
    }
    if (this.status === Status.Ok) this.status = this.host.execute(request);
    const removes = type === RequestType.Unmap || type === RequestType.Detach;
    if (removes && this.spec.drain && this.unit.beginDrain() > 0) {
      this.state = State.Drain;
      counters.drainBegins(this.kernel.clock[0]!);
    } else this.write();
  }

  private drained(): void {
    if (this.state !== State.Drain) return;
    this.counters.drainEnds(this.kernel.clock[0]!);
    this.write();
  }

  /** The stores of status and used entry are on their way. */
  private write(): void {
    const { queue, memory, socket } = this;
    const store = (address: number, bytes: number): number =>
      memory.hardwareWrite(socket, Math.floor(address / 2 ** 32), address | 0, bytes);
    this.after(State.Complete, Math.max(store(queue.writeAddress, RequestBytes.Tail), store(queue.nextUsed, 8)));
  }

  private complete(): void {
    const { queue } = this;
    if (queue.writeBytes >= RequestBytes.Tail) writeDword(this.physical, queue.writeAddress, this.status);
    queue.give(RequestBytes.Tail);
    this.counters.served(this.kernel.clock[0]!);
    this.watch?.stored(Math.floor(queue.used / 2 ** 32), queue.used | 0);
    this.next();
  }

  /** The host's CPU reads through its caches, line after line. */
  private read(address: number, bytes: number): number {
    const { memory, socket } = this;
    let time = 0;
    const end = address + Math.max(bytes, 1);
    for (let line = address - (address % 64); line < end; line += 64) {
      time += memory.walkerRead(socket, Math.floor(line / 2 ** 32), line | 0, true);
    }
    return time;
  }

  private after(state: State, delayPs: number): void {
    this.state = state;
    this.kernel.after(delayPs, this.event, Op.InvalidationStep);
  }
}

function timeOf(type: number, spec: InvalidationSpec): number {
  switch (type as RequestType) {
    case RequestType.Attach:
    case RequestType.Detach:
      return spec.context;
    case RequestType.Map:
      return spec.pasid;
    case RequestType.Unmap:
      return spec.iotlbPage;
    default:
      return 0;
  }
}

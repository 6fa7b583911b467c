/**
 * Hardware side of a command queue in memory (VT-d queued invalidation, AMD command buffer, SMMUv3 and RISC-V command queues): fetches
 * commands from a ring, a cache line at a time, executes them in order, each with its own time, waits for requests that still use
 * old translations where a command asks for it, and performs the store of a completion command. What a command means is the
 * architecture's `CommandSet`. A malformed command stops the queue until software repairs it. A unit with several rings (SMMUv3: ECMDQ, virtual
 * command queues) serves them in turn, one command each; one that waits for a drain or a store makes the others wait.
 */
import { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import type { DeviceWait } from '../protocol/ats.js';
import { Op } from '../protocol/op.js';
import type { StoreWatch } from '../protocol/watch.js';
import type { CommandCounters } from './command-counters.js';
import type { IommuUnit } from './unit.js';

const LINE = 64;

/** Where the ring is and how far it has got; registers change it. */
export class Ring {
  hi = 0;
  lo = 0;
  /** log2 of the number of commands, and of the bytes of each. */
  entriesLg2 = 0;
  bytesLg2 = 4;
  /** Next command to execute and first free slot, in commands; `wraps`: with one more bit, so that a full ring differs from an empty one. */
  head = 0;
  tail = 0;
  wraps = false;
  enabled = false;
  /** Stopped by an error. */
  stopped = false;
  /** Line read last, and the commands that it holds: slots [bufferFirst, bufferEnd). */
  readonly line: Int32Array = new Int32Array(LINE / 4);
  bufferFirst = 0;
  bufferEnd = 0;
  /** When the doorbell announced each slot, ps; `announced`: the slot that will be next. */
  stamps: Float64Array = new Float64Array(0);
  private announced = 0;

  constructor(
    /** Number of the ring among those of its unit. */
    readonly index = 0,
  ) {}

  /** A command could be executed. */
  get ready(): boolean {
    return this.enabled && !this.stopped && this.head !== this.tail;
  }

  /** What software has added is announced now. */
  stamp(now: number): void {
    const size = 1 << this.entriesLg2;
    if (this.stamps.length !== size) {
      this.stamps = new Float64Array(size);
      this.announced = this.slotOf(this.head);
    }
    const end = this.slotOf(this.tail);
    while (this.announced !== end) {
      this.stamps[this.announced] = now;
      this.announced = this.slotOf(this.announced + 1);
    }
  }

  /** Slot of a head or tail. */
  slotOf(position: number): number {
    return position & ((1 << this.entriesLg2) - 1);
  }

  /** Commands between two positions, or a position after another. */
  distance(from: number, to: number): number {
    return (to - from) & ((1 << (this.entriesLg2 + (this.wraps ? 1 : 0))) - 1);
  }
}

/** What has to happen after a command has taken effect. */
export const enum After {
  Next,
  /** Wait until requests translated before have been served. */
  Drain,
  /** Store `statusBytes` at `statusHi:statusLo`, then go on. */
  Store,
  /** Drain, then Store. */
  DrainStore,
  /** Stop: the command is not legal, or tells of an error. */
  Stop,
  /** Devices have to answer first: the command is executed again at each answer. */
  Hold,
}

export interface CommandSet {
  /** Address and length of the store that completes a command (After.Store). */
  readonly statusHi: number;
  readonly statusLo: number;
  readonly statusBytes: number;
  /** Decodes the command in `words`; returns its execution time in ps, or -1 if it is malformed. */
  decode(words: Int32Array): number;
  /** The command decoded last takes effect. */
  execute(): After;
  /** Memory has taken the store: writes the status words. */
  store(): void;
  /** The command at the head is complete; called before the head moves. */
  completed(ring: Ring): void;
}

const enum State {
  Idle,
  /** The doorbell has been heard. */
  Start,
  Fetch,
  Execute,
  Drain,
  Store,
  Hold,
}

export class CommandQueue implements DeviceWait {
  readonly rings: Ring[] = [new Ring()];
  /** The ring whose command is executed. */
  private current: Ring = this.rings[0]!;
  private state: State = State.Idle;
  private readonly event = new Event();
  private readonly words = new Int32Array(LINE / 4);
  private watch: StoreWatch | null = null;
  /** An event is being dispatched (`begin`), and how long the next step comes after it, ps; -1 = none does. */
  private stepping = false;
  private delay = -1;
  /** The drain under way is followed by a store. */
  private storesNext = false;
  /** [0] time spent holding before the present hold, [1] when that began, ps. */
  private readonly held = new Float64Array(2);

  /** `startPs`: from the doorbell reaching the unit to the first fetch. */
  constructor(
    private readonly kernel: Kernel,
    private readonly unit: IommuUnit,
    private readonly startPs: number,
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
    private readonly commands: CommandSet,
    private readonly counters: CommandCounters,
  ) {
    this.event.unit = unit.index;
    unit.onDrained = () => this.drained();
    unit.onAnswered = () => this.progress();
  }

  /** The first ring; the only one of most units. */
  get ring(): Ring {
    return this.rings[0]!;
  }

  /** One more ring, with its own registers. */
  addRing(): Ring {
    const ring = new Ring(this.rings.length);
    this.rings.push(ring);
    return ring;
  }

  /** Who polls for status words. */
  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  /** The tail has moved, or the queue has been enabled. */
  doorbell(): void {
    for (const ring of this.rings) ring.stamp(this.kernel.clock[0]!);
    if (this.state !== State.Idle || !this.anyReady()) return;
    this.counters.busy(this.kernel.clock[0]!);
    this.state = State.Start;
    this.next(this.startPs);
  }

  private anyReady(): boolean {
    for (const ring of this.rings) if (ring.ready) return true;
    return false;
  }

  /** Op.InvalidationStep. */
  step(): void {
    this.begin();
    this.take();
    this.end();
  }

  /** A dispatched event begins that may make the queue work; `end` is the last that it does. */
  begin(): void {
    this.stepping = true;
    this.delay = -1;
  }

  /** What has been begun goes on in place as long as it would be next anyway. */
  end(): void {
    while (this.delay >= 0) {
      const delay = this.delay;
      if (!this.kernel.pass(delay)) {
        this.stepping = false;
        this.kernel.after(delay, this.event, Op.InvalidationStep);
        return;
      }
      this.delay = -1;
      this.take();
    }
    this.stepping = false;
  }

  /** The next step comes in `ps`. */
  private next(ps: number): void {
    if (this.stepping) this.delay = ps;
    else this.kernel.after(ps, this.event, Op.InvalidationStep);
  }

  private take(): void {
    switch (this.state) {
      case State.Start:
        this.fetch();
        break;
      case State.Fetch:
        this.loadLine();
        this.decode();
        break;
      case State.Execute:
        this.execute();
        break;
      case State.Store:
        this.commands.store();
        this.watch?.stored(this.commands.statusHi, this.commands.statusLo);
        this.advance();
        break;
      default:
        break;
    }
  }

  private fetch(): void {
    if (!this.choose()) {
      this.idle();
      return;
    }
    const ring = this.current;
    const { head, hi, lo, bytesLg2 } = ring;
    const slot = ring.slotOf(head);
    if (slot >= ring.bufferFirst && slot < ring.bufferEnd) {
      this.decode();
      return;
    }
    this.state = State.Fetch;
    const delay = this.memory.walkerRead(this.socket, hi, (lo + (slot << bytesLg2)) | 0, true);
    this.next(delay);
  }

  /** The next ring that has a command, the current one last. */
  private choose(): boolean {
    const { rings } = this;
    const start = this.current.index;
    let i = start;
    do {
      i = i + 1 < rings.length ? i + 1 : 0;
      if (rings[i]!.ready) {
        this.current = rings[i]!;
        return true;
      }
    } while (i !== start);
    return false;
  }

  private idle(): void {
    this.state = State.Idle;
    this.counters.idle(this.kernel.clock[0]!);
    for (const ring of this.rings) {
      ring.bufferFirst = 0;
      ring.bufferEnd = 0;
    }
  }

  /** The line with the command at the head has arrived; it is good for what software had queued by now. */
  private loadLine(): void {
    const ring = this.current;
    const { head, tail, hi, entriesLg2, bytesLg2 } = ring;
    const perLine = LINE >> bytesLg2;
    const slot = ring.slotOf(head);
    ring.bufferFirst = slot - (slot % perLine);
    ring.bufferEnd = Math.min(slot + ring.distance(head, tail), ring.bufferFirst + perLine, 1 << entriesLg2);
    const lo = ring.lo + (ring.bufferFirst << bytesLg2);
    this.physical.readLine(hi, lo | 0, ring.line);
  }

  private decode(): void {
    const ring = this.current;
    const size = 1 << (ring.bytesLg2 - 2);
    const at = (ring.slotOf(ring.head) - ring.bufferFirst) * size;
    for (let i = 0; i < size; i++) this.words[i] = ring.line[at + i]!;
    const time = this.commands.decode(this.words);
    if (time < 0) {
      this.stop();
      return;
    }
    this.counters.begins(this.kernel.clock[0]!, ring.stamps[ring.slotOf(ring.head)]!);
    this.state = State.Execute;
    this.next(time);
  }

  /** The ring stops; others go on. */
  private stop(): void {
    this.current.stopped = true;
    this.fetch();
  }

  /** A device has answered an invalidation, or will not. */
  progress(): void {
    if (this.state !== State.Hold) return;
    this.held[0] = this.heldPs();
    this.perform();
  }

  /** The ring that waits for devices; null: none does. */
  get holding(): Ring | null {
    return this.state === State.Hold ? this.current : null;
  }

  /** The command that waits for devices is not executed: it is skipped, or comes again. Its ring stops until software lets it go on. */
  abandon(skip: boolean): void {
    const ring = this.current;
    this.held[0] = this.heldPs();
    if (skip) this.pass(ring);
    this.stop();
  }

  heldPs(): number {
    return this.held[0]! + (this.state === State.Hold ? this.kernel.clock[0]! - this.held[1]! : 0);
  }

  private execute(): void {
    this.counters.executes(this.kernel.clock[0]!);
    this.perform();
  }

  private perform(): void {
    const after = this.commands.execute();
    switch (after) {
      case After.Drain:
      case After.DrainStore:
        this.storesNext = after === After.DrainStore;
        if (this.unit.beginDrain() > 0) {
          this.state = State.Drain;
          this.counters.drainBegins(this.kernel.clock[0]!);
        } else this.afterDrain();
        return;
      case After.Store:
        this.beginStore();
        return;
      case After.Stop:
        this.stop();
        return;
      case After.Hold:
        this.state = State.Hold;
        this.held[1] = this.kernel.clock[0]!;
        return;
      default:
        this.advance();
    }
  }

  private beginStore(): void {
    const { statusHi, statusLo, statusBytes } = this.commands;
    this.state = State.Store;
    this.next(this.memory.hardwareWrite(this.socket, statusHi, statusLo, statusBytes));
  }

  private drained(): void {
    if (this.state !== State.Drain) return;
    this.counters.drainEnds(this.kernel.clock[0]!);
    this.afterDrain();
  }

  private afterDrain(): void {
    if (this.storesNext) this.beginStore();
    else this.advance();
  }

  /** The command at the head is complete. */
  private advance(): void {
    const ring = this.current;
    this.commands.completed(ring);
    this.counters.served(this.kernel.clock[0]!);
    this.pass(ring);
    this.fetch();
  }

  private pass(ring: Ring): void {
    ring.head = ring.distance(0, ring.head + 1);
    if (ring.slotOf(ring.head) === 0) ring.bufferEnd = 0;
  }
}

/**
 * Hardware side of a command queue in memory (VT-d queued invalidation, AMD command buffer, SMMUv3 and RISC-V command queues): fetches
 * commands from a ring, a cache line at a time, executes them in order, each with its own time, waits for requests that still use
 * old translations where a command asks for it, and performs the store of a completion command. What a command means is the
 * architecture's `CommandSet`. A malformed command stops the queue until software repairs it.
 */
import { Event } from '../kernel/event.js';
import type { Kernel } from '../kernel/kernel.js';
import type { PhysicalMemory } from '../memory/physical.js';
import type { MemorySystem } from '../memory/system.js';
import { Op } from '../protocol/op.js';
import type { StoreWatch } from '../protocol/watch.js';
import type { CommandCounters } from './command-counters.js';
import type { IommuUnit } from './unit.js';

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
  /** Stop: the command is not legal. */
  Stop,
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
  completed(): void;
}

const enum State {
  Idle,
  /** The doorbell has been heard. */
  Start,
  Fetch,
  Execute,
  Drain,
  Store,
}

const LINE = 64;

export class CommandQueue {
  readonly ring = new Ring();
  private state: State = State.Idle;
  private readonly event = new Event();
  private readonly line = new Int32Array(LINE / 4);
  /** Commands of the ring that `line` holds: [bufferFirst, bufferEnd). */
  private bufferFirst = 0;
  private bufferEnd = 0;
  private readonly words = new Int32Array(LINE / 4);
  private watch: StoreWatch | null = null;
  /** When the doorbell announced each slot, ps; positions before `announced` have been. */
  private stamps = new Float64Array(0);
  private announced = 0;
  /** The drain under way is followed by a store. */
  private storesNext = false;

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
  }

  /** Who polls for status words. */
  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  /** The tail has moved, or the queue has been enabled. */
  doorbell(): void {
    const { ring } = this;
    this.stamp();
    if (this.state !== State.Idle || !ring.enabled || ring.stopped || ring.head === ring.tail) return;
    this.counters.busy(this.kernel.clock[0]!);
    this.state = State.Start;
    this.kernel.after(this.startPs, this.event, Op.InvalidationStep);
  }

  private stamp(): void {
    const { ring } = this;
    const size = 1 << ring.entriesLg2;
    if (this.stamps.length !== size) {
      this.stamps = new Float64Array(size);
      this.announced = ring.head;
    }
    const now = this.kernel.clock[0]!;
    while (ring.slotOf(this.announced) !== ring.slotOf(ring.tail)) {
      this.stamps[ring.slotOf(this.announced)] = now;
      this.announced = ring.distance(0, this.announced + 1);
    }
  }

  /** Op.InvalidationStep. */
  step(): void {
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
    const { ring } = this;
    const { head, tail, hi, lo, bytesLg2 } = ring;
    if (head === tail) {
      this.idle();
      return;
    }
    const slot = ring.slotOf(head);
    if (slot >= this.bufferFirst && slot < this.bufferEnd) {
      this.decode();
      return;
    }
    this.state = State.Fetch;
    const delay = this.memory.walkerRead(this.socket, hi, (lo + (slot << bytesLg2)) | 0, true);
    this.kernel.after(delay, this.event, Op.InvalidationStep);
  }

  private idle(): void {
    this.state = State.Idle;
    this.counters.idle(this.kernel.clock[0]!);
    this.bufferFirst = 0;
    this.bufferEnd = 0;
  }

  /** The line with the command at the head has arrived; it is good for what software had queued by now. */
  private loadLine(): void {
    const { ring } = this;
    const { head, tail, hi, entriesLg2, bytesLg2 } = ring;
    const perLine = LINE >> bytesLg2;
    const slot = ring.slotOf(head);
    this.bufferFirst = slot - (slot % perLine);
    this.bufferEnd = Math.min(slot + ring.distance(head, tail), this.bufferFirst + perLine, 1 << entriesLg2);
    const lo = this.ring.lo + (this.bufferFirst << bytesLg2);
    for (let i = 0; i < LINE; i += 8) {
      this.physical.read(hi, (lo + i) | 0);
      this.line[i / 4] = this.physical.wordLo;
      this.line[i / 4 + 1] = this.physical.wordHi;
    }
  }

  private decode(): void {
    const { ring } = this;
    const size = 1 << (ring.bytesLg2 - 2);
    const at = (ring.slotOf(ring.head) - this.bufferFirst) * size;
    for (let i = 0; i < size; i++) this.words[i] = this.line[at + i]!;
    const time = this.commands.decode(this.words);
    if (time < 0) {
      this.stop();
      return;
    }
    this.state = State.Execute;
    this.counters.begins(this.kernel.clock[0]!, this.stamps[ring.slotOf(ring.head)]!);
    this.kernel.after(time, this.event, Op.InvalidationStep);
  }

  private stop(): void {
    this.ring.stopped = true;
    this.idle();
  }

  private execute(): void {
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
      default:
        this.advance();
    }
  }

  private beginStore(): void {
    const { statusHi, statusLo, statusBytes } = this.commands;
    this.state = State.Store;
    const delay = this.memory.hardwareWrite(this.socket, statusHi, statusLo, statusBytes);
    this.kernel.after(delay, this.event, Op.InvalidationStep);
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
    const { ring } = this;
    this.commands.completed();
    this.counters.served(this.kernel.clock[0]!);
    ring.head = ring.distance(0, ring.head + 1);
    if (ring.slotOf(ring.head) === 0) this.bufferEnd = 0;
    this.fetch();
  }
}

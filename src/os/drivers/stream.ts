/**
 * The inner loop of a driver that keeps buffers posted to its device, like a NIC's receive ring: map, post; when the device
 * reports buffers, unmap them, recycle them (first in, first out), map them again, post them. Completions are polled, up to a burst of
 * them in one turn of the loop (a NAPI budget; nobody waits for a burst to fill), by the same threads or, as when transmit and interrupt
 * CPUs differ, by threads of their own. Optionally the device misbehaves and touches buffers again after it reported them: a lazily
 * unmapped buffer is still reachable then.
 */
import { Event } from '../../kernel/event.js';
import type { RandomStream } from '../../kernel/random.js';
import { Access } from '../../protocol/access.js';
import { Op } from '../../protocol/op.js';
import { DmaStatus } from '../../protocol/queue.js';
import { Turn } from '../step.js';
import { type Call, type Cpu, type Program, type Thread, ThreadState, Wait } from '../thread.js';
import { DEFAULT_LIMITS } from '../dma/limits.js';
import { ScatterList } from '../dma/scatter-list.js';
import { Driver, type DriverEnvironment } from './driver.js';
import { type Placement, placeSegments } from './segments.js';

/** Shape of a stream job of a workload; times in ps. */
export interface StreamSpec {
  readonly threads: number;
  /** Buffers each thread keeps posted. */
  readonly depth: number;
  /** Completions that one turn of the loop handles at most. */
  readonly burst: number;
  /** Bytes of a buffer, or of one segment of it. */
  readonly size: number;
  /** Segments of a buffer; more than one: it is mapped as a scatter list. */
  readonly segments: number;
  readonly placement: Placement;
  /** Most bytes of a mapped segment of a list, and so of a DMA. */
  readonly maxSegment: number;
  /** Threads on further CPUs that unmap what the device reports; 0: each thread unmaps its own buffers. */
  readonly completers: number;
  readonly direction: 'to-device' | 'from-device';
  /** Percent of buffers touched again `lateAfter` ps after their completion. */
  readonly lateAccess: number;
  readonly lateAfter: number;
}

/** Tag of an access that no driver asked for. */
export const LATE_TAG = -1;

/** First in, first out among the buffers of one thread. */
class BufferFifo {
  private readonly ring: Int32Array;
  private head = 0;
  length = 0;

  constructor(capacity: number) {
    this.ring = new Int32Array(capacity);
  }

  push(buffer: number): void {
    this.ring[(this.head + this.length++) % this.ring.length] = buffer;
  }

  shift(): number {
    const buffer = this.ring[this.head]!;
    this.head = (this.head + 1) % this.ring.length;
    this.length--;
    return buffer;
  }
}

interface Lane {
  readonly thread: Thread;
  /** Not posted: not mapped yet, or given back by the device and unmapped. */
  readonly unmapped: BufferFifo;
}

/** Handles what the device reports: the thread of a lane, or one that does nothing else. */
interface Completer {
  readonly thread: Thread;
  /** Reported by the device, not yet handled. */
  readonly completed: BufferFifo;
  /** Unmapped in this turn, still held back by the DMA API. */
  readonly held: BufferFifo;
}

export class Stream extends Driver {
  readonly tags: number;
  /** DMAs that the device reported as not translated. */
  faults = 0;
  lateAccesses = 0;
  private readonly access: Access;
  private readonly lanes: Lane[] = [];
  private readonly completers: Completer[] = [];
  /** Buffers that are one piece of memory, and those that are lists; by buffer. */
  private readonly physical: Float64Array;
  private readonly lists: (ScatterList | null)[] = [];
  /** DMA address, of a list that of its first mapped segment. */
  private readonly mapped: Float64Array;
  /** DMAs of each buffer that have not completed. */
  private readonly pending: Int32Array;
  private readonly startedAt: Float64Array;
  private readonly late: Event[] = [];
  private readonly latePending: Uint8Array;

  /**
   * `firstTag`: buffers carry the tags from it on. `random` decides about late accesses. `cpus`: of the threads, then of those that only
   * handle completions.
   */
  constructor(
    name: string,
    private readonly spec: StreamSpec,
    private readonly firstTag: number,
    private readonly random: RandomStream,
    cpus: readonly Cpu[],
    environment: DriverEnvironment,
  ) {
    super(name, environment);
    const { threads, depth, segments, placement, maxSegment, size, completers } = spec;
    this.access = spec.direction === 'to-device' ? Access.Read : Access.Write;
    this.tags = threads * depth;
    this.physical = new Float64Array(this.tags);
    this.mapped = new Float64Array(this.tags);
    this.pending = new Int32Array(this.tags);
    this.startedAt = new Float64Array(this.tags);
    this.latePending = new Uint8Array(this.tags);
    for (let i = 0; i < this.tags; i++) {
      const pieces = placeSegments(segments, size, placement, (bytes) => environment.buffer(bytes));
      this.physical[i] = pieces[0]![0];
      this.lists.push(segments > 1 ? new ScatterList(pieces, { ...DEFAULT_LIMITS, maxSegment }) : null);
      this.late.push(new Event());
    }
    for (let i = 0; i < threads; i++) {
      const program = completers === 0 ? () => this.program(i) : () => this.mapping(i);
      const thread = environment.scheduler.spawn(`${name}/${i}`, cpus[i]!, program);
      const lane = { thread, unmapped: new BufferFifo(depth) };
      for (let buffer = i * depth; buffer < (i + 1) * depth; buffer++) lane.unmapped.push(buffer);
      this.lanes.push(lane);
      this.threads.push(thread);
      if (completers === 0) this.completers.push(completerOf(thread, depth));
    }
    for (let i = 0; i < completers; i++) {
      const cpu = cpus[threads + i]!;
      const thread = environment.scheduler.spawn(`${name}/completer/${i}`, cpu, () => this.completing(i));
      this.completers.push(completerOf(thread, this.tags));
      this.threads.push(thread);
    }
  }

  completed(tag: number, status: DmaStatus): void {
    const buffer = tag - this.firstTag;
    if (status !== DmaStatus.Ok) this.faults++;
    const pending = this.pending[buffer]! - 1;
    this.pending[buffer] = pending;
    if (pending > 0) return;
    const { thread, completed } = this.completers[this.laneOf(buffer) % this.completers.length]!;
    completed.push(buffer);
    if (this.spec.lateAccess > 0) this.maybeTouchLater(buffer);
    this.wakeIdle(thread);
  }

  /** The device touches a buffer it had given back; `event` was scheduled by `maybeTouchLater`. */
  touch(event: Event): void {
    this.latePending[event.id] = 0;
    this.lateAccesses++;
    const { queue, device } = this.environment;
    queue.post(device.id, LATE_TAG, event.addressHi, event.addressLo, event.value, this.access);
  }

  override resetStatistics(): void {
    super.resetStatistics();
    this.faults = 0;
    this.lateAccesses = 0;
  }

  private laneOf(buffer: number): number {
    return Math.floor(buffer / this.spec.depth);
  }

  private wakeIdle(thread: Thread): void {
    const idle = thread.state === ThreadState.Blocked && thread.waitStep === Turn.Idle;
    if (idle && thread.ledger === this.turns) this.environment.scheduler.wake(thread, 0);
  }

  /** A thread that handles the completions of its own buffers. */
  private *program(index: number): Program {
    const lane = this.lanes[index]!;
    const completer = this.completers[index]!;
    const { thread, completed } = completer;
    yield* this.refill(lane);
    for (;;) {
      this.beginTurn(thread);
      if (completed.length === 0) yield* this.idle(lane);
      yield* this.complete(completer);
      yield* this.refill(lane);
      this.endTurn(thread);
    }
  }

  /** A thread that only maps and posts. */
  private *mapping(index: number): Program {
    const lane = this.lanes[index]!;
    for (;;) {
      this.beginTurn(lane.thread);
      yield* this.refill(lane);
      yield* this.idle(lane);
      this.endTurn(lane.thread);
    }
  }

  /** A thread that only unmaps, on behalf of others. */
  private *completing(index: number): Program {
    const completer = this.completers[index]!;
    const { thread, completed } = completer;
    const { scheduler } = this.environment;
    for (;;) {
      this.beginTurn(thread);
      if (completed.length === 0) {
        scheduler.block(thread, Turn.Idle);
        yield Wait.Block;
      }
      yield* this.complete(completer);
      this.endTurn(thread);
    }
  }

  /** Waits for a buffer to come back; when all are here because none could be mapped, for a tick. */
  private *idle({ thread, unmapped }: Lane): Call<void> {
    if (unmapped.length === this.spec.depth) {
      thread.chargeExactly(Turn.Idle, this.environment.tick);
      yield Wait.Delay;
      return;
    }
    this.environment.scheduler.block(thread, Turn.Idle);
    yield Wait.Block;
  }

  /** Unmaps up to a burst of reported buffers. */
  private *complete({ thread, completed, held }: Completer): Call<void> {
    const { costs, dma, domain } = this.environment;
    for (let done = 0; done < this.spec.burst && completed.length > 0; done++) {
      const buffer = completed.shift();
      const list = this.lists[buffer] ?? null;
      thread.charge(Turn.Completion, costs.completion);
      if (list === null) yield* dma.unmap(thread, domain, this.mapped[buffer]!, this.spec.size, this.access);
      else yield* dma.unmapList(thread, domain, list, this.access);
      if (dma.holdsBack) held.push(buffer);
      else this.release(buffer);
    }
    if (held.length === 0) return;
    yield* dma.settle(thread, domain);
    while (held.length > 0) this.release(held.shift());
  }

  /** The buffer is out of the device's reach: its operation is over, and it may be posted again. */
  private release(buffer: number): void {
    this.operationDone(this.environment.scheduler.now() - this.startedAt[buffer]!);
    const { thread, unmapped } = this.lanes[this.laneOf(buffer)]!;
    unmapped.push(buffer);
    this.wakeIdle(thread);
  }

  /** Maps and posts every buffer that is not; those for which no address space is left stay. */
  private *refill(lane: Lane): Call<void> {
    const { scheduler, dma, domain } = this.environment;
    const { thread, unmapped } = lane;
    while (unmapped.length > 0) {
      const buffer = unmapped.shift();
      const list = this.lists[buffer] ?? null;
      this.startedAt[buffer] = scheduler.now();
      if (list === null) {
        const begun = dma.mapNow(thread, domain, this.physical[buffer]!, this.spec.size, this.access);
        this.mapped[buffer] = typeof begun === 'number' ? begun : yield* begun;
      } else {
        const mapped = yield* dma.mapList(thread, domain, list, this.access);
        this.mapped[buffer] = mapped ? list.addresses[0]! : 0;
      }
      if (this.mapped[buffer] === 0) {
        unmapped.push(buffer);
        return;
      }
      this.post(buffer, list);
    }
  }

  /** One DMA for each mapped segment. */
  private post(buffer: number, list: ScatterList | null): void {
    const { queue, device } = this.environment;
    const tag = this.firstTag + buffer;
    const count = list === null ? 1 : list.mapped;
    this.pending[buffer] = count;
    for (let i = 0; i < count; i++) {
      const address = list === null ? this.mapped[buffer]! : list.addresses[i]!;
      const bytes = list === null ? this.spec.size : list.lengths[i]!;
      queue.post(device.id, tag, Math.floor(address / 2 ** 32), address | 0, bytes, this.access);
    }
  }

  private maybeTouchLater(buffer: number): void {
    if (this.random.below(100) >= this.spec.lateAccess || this.latePending[buffer] === 1) return;
    const event = this.late[buffer]!;
    const address = this.mapped[buffer]!;
    this.latePending[buffer] = 1;
    event.id = buffer;
    event.unit = this.environment.job + 1;
    event.addressHi = Math.floor(address / 2 ** 32);
    event.addressLo = address | 0;
    event.value = this.lists[buffer]?.lengths[0] ?? this.spec.size;
    this.environment.kernel.after(this.spec.lateAfter, event, Op.Timer);
  }
}

function completerOf(thread: Thread, buffers: number): Completer {
  return { thread, completed: new BufferFifo(buffers), held: new BufferFifo(buffers) };
}

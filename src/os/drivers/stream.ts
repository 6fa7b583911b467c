/**
 * The inner loop of a driver that keeps buffers posted to its device, like a NIC's receive ring: map, post; when the device
 * reports buffers, unmap them, recycle them (first in, first out), map them again, post them. Completions are polled, up to a burst of
 * them in one turn of the loop (a NAPI budget; the loop does not wait for a burst to fill). Optionally the device misbehaves and touches buffers again after it reported them: a lazily unmapped buffer is still reachable then.
 */
import { Event } from '../../kernel/event.js';
import type { RandomStream } from '../../kernel/random.js';
import { Access } from '../../protocol/access.js';
import { Op } from '../../protocol/op.js';
import { DmaStatus } from '../../protocol/queue.js';
import { Turn } from '../step.js';
import { type Call, type Cpu, type Program, type Thread, ThreadState, Wait } from '../thread.js';
import { Driver, type DriverEnvironment } from './driver.js';

/** Shape of a stream job of a workload; times in ps. */
export interface StreamSpec {
  readonly threads: number;
  /** Buffers each thread keeps posted. */
  readonly depth: number;
  /** Completions that one turn of the loop handles at most. */
  readonly burst: number;
  /** Bytes of a buffer. */
  readonly size: number;
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
  /** Reported by the device, not yet handled. */
  readonly completed: BufferFifo;
  /** Unmapped in this turn, still held back by the DMA API. */
  readonly held: BufferFifo;
  /** Not posted because no address space was left. */
  readonly unmapped: BufferFifo;
}

export class Stream extends Driver {
  readonly tags: number;
  /** DMAs that the device reported as not translated. */
  faults = 0;
  lateAccesses = 0;
  private readonly access: Access;
  private readonly lanes: Lane[] = [];
  private readonly physical: Float64Array;
  private readonly mapped: Float64Array;
  private readonly startedAt: Float64Array;
  private readonly late: Event[] = [];
  private readonly latePending: Uint8Array;

  /** `firstTag`: buffers carry the tags from it on. `random` decides about late accesses. */
  constructor(
    name: string,
    private readonly spec: StreamSpec,
    private readonly firstTag: number,
    private readonly random: RandomStream,
    cpus: readonly Cpu[],
    environment: DriverEnvironment,
  ) {
    super(name, environment);
    this.access = spec.direction === 'to-device' ? Access.Read : Access.Write;
    this.tags = spec.threads * spec.depth;
    this.physical = new Float64Array(this.tags);
    this.mapped = new Float64Array(this.tags);
    this.startedAt = new Float64Array(this.tags);
    this.latePending = new Uint8Array(this.tags);
    for (let i = 0; i < this.tags; i++) {
      this.physical[i] = environment.buffer(spec.size);
      this.late.push(new Event());
    }
    for (const [i, cpu] of cpus.entries()) {
      const thread = environment.scheduler.spawn(`${name}/${i}`, cpu, () => this.program(i));
      const [completed, held, unmapped] = [0, 1, 2].map(() => new BufferFifo(spec.depth)) as [
        BufferFifo,
        BufferFifo,
        BufferFifo,
      ];
      const lane = { thread, completed, held, unmapped };
      for (let buffer = i * spec.depth; buffer < (i + 1) * spec.depth; buffer++) lane.unmapped.push(buffer);
      this.lanes.push(lane);
      this.threads.push(thread);
    }
  }

  completed(tag: number, status: DmaStatus): void {
    const buffer = tag - this.firstTag;
    if (status !== DmaStatus.Ok) this.faults++;
    const lane = this.lanes[Math.floor(buffer / this.spec.depth)]!;
    lane.completed.push(buffer);
    if (this.spec.lateAccess > 0) this.maybeTouchLater(buffer);
    if (
      lane.thread.state === ThreadState.Blocked &&
      lane.thread.waitStep === Turn.Idle &&
      lane.thread.ledger === this.turns
    ) {
      this.environment.scheduler.wake(lane.thread, 0);
    }
  }

  /** The device touches a buffer it had given back; `event` was scheduled by `maybeTouchLater`. */
  touch(event: Event): void {
    this.latePending[event.id] = 0;
    this.lateAccesses++;
    const { queue, device } = this.environment;
    queue.post(device.id, LATE_TAG, event.addressHi, event.addressLo, this.spec.size, this.access);
  }

  override resetStatistics(): void {
    super.resetStatistics();
    this.faults = 0;
    this.lateAccesses = 0;
  }

  private *program(index: number): Program {
    const lane = this.lanes[index]!;
    const { thread, completed, held, unmapped } = lane;
    const { scheduler, costs, dma, domain } = this.environment;
    const { burst } = this.spec;
    yield* this.refill(lane);
    for (;;) {
      this.beginTurn(thread);
      if (completed.length === 0) {
        scheduler.block(thread, Turn.Idle);
        yield Wait.Block;
      }
      for (let done = 0; done < burst && completed.length > 0; done++) {
        const buffer = completed.shift();
        thread.charge(Turn.Completion, costs.completion);
        yield* dma.unmap(thread, domain, this.mapped[buffer]!, this.spec.size, this.access);
        if (dma.holdsBack) held.push(buffer);
        else this.release(unmapped, buffer);
      }
      if (dma.holdsBack) {
        yield* dma.settle(thread, domain);
        while (held.length > 0) this.release(unmapped, held.shift());
      }
      yield* this.refill(lane);
      this.endTurn(thread);
    }
  }

  /** The buffer is out of the device's reach: its operation is over, and it may be posted again. */
  private release(unmapped: BufferFifo, buffer: number): void {
    this.operationDone(this.environment.scheduler.now() - this.startedAt[buffer]!);
    unmapped.push(buffer);
  }

  /** Maps and posts every buffer that is not; those for which no address space is left stay. */
  private *refill(lane: Lane): Call<void> {
    const { scheduler, dma, domain, queue, device } = this.environment;
    const { thread, unmapped } = lane;
    while (unmapped.length > 0) {
      const buffer = unmapped.shift();
      this.startedAt[buffer] = scheduler.now();
      const address = yield* dma.map(thread, domain, this.physical[buffer]!, this.spec.size, this.access);
      if (address === 0) {
        unmapped.push(buffer);
        return;
      }
      this.mapped[buffer] = address;
      const hi = Math.floor(address / 2 ** 32);
      queue.post(device.id, this.firstTag + buffer, hi, (address % 2 ** 32) | 0, this.spec.size, this.access);
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
    event.addressLo = (address % 2 ** 32) | 0;
    this.environment.kernel.after(this.spec.lateAfter, event, Op.Timer);
  }
}

/**
 * One DART as its driver sees it (drivers/iommu/apple-dart.c): streams, their registers, and TLB flushes under the DART's lock, polled with
 * a microsecond between two looks (readl_poll_timeout_atomic). T8110 flushes one stream after the other.
 */
import {
  encodeTtbr,
  type Layout,
  Port,
  StreamCommand,
  tcrOffset,
  TlbCommand,
  ttbrOffset,
  Variant,
} from '../../iommu/arch/dart/format.js';
import { SpinLock } from '../lock.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';

/** Delay of the polling loop besides the register read itself. */
const DELAY = 1_000_000;

export class DartRegisters {
  private readonly lock: SpinLock;
  private readonly freeStreams: number[] = [];
  private nextStream = 0;
  private busy = false;
  private poller: Thread | null = null;

  constructor(
    readonly id: number,
    private readonly layout: Layout,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const { scheduler, costs, queueLocks } = environment;
    this.lock = new SpinLock(scheduler, costs, queueLocks);
  }

  /**
   * Gives the requester a stream: `tables` for its TTBRs, or bypass when they are null. Nothing of an unused stream is cached, so that
   * no flush is due. Throws RangeError when no stream is left.
   */
  addStream(requester: number, tables: readonly number[] | null): number {
    const stream = this.freeStreams.pop() ?? this.nextStream++;
    const { layout } = this;
    if (stream >= Math.min(layout.streams, Port.Entries)) {
      throw new RangeError(`DART ${this.id} has no stream left for requester ${requester}`);
    }
    for (let i = 0; i < layout.ttbrs; i++) {
      const table = tables?.[i];
      this.write(ttbrOffset(layout, stream, i), table === undefined ? 0 : encodeTtbr(layout, table));
    }
    this.write(tcrOffset(layout, stream), tables === null ? layout.tcrBypass : layout.tcrTranslate);
    this.write(Port.RidToStream + 4 * stream, Port.Valid | (stream << Port.StreamShift) | requester);
    return stream;
  }

  /** apple_dart_hw_disable_dma, then the flush that lets the tables go. */
  *removeStream(thread: Thread, stream: number): Call<void> {
    const { layout } = this;
    if (thread.debt !== 0) yield Wait.Run;
    this.write(Port.RidToStream + 4 * stream, 0);
    this.write(tcrOffset(layout, stream), 0);
    for (let i = 0; i < layout.ttbrs; i++) this.write(ttbrOffset(layout, stream, i), 0);
    yield* this.flush(thread, [stream]);
    this.freeStreams.push(stream);
  }

  /** apple_dart_domain_flush_tlb. */
  *flush(thread: Thread, streams: readonly number[]): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    if (!this.lock.take(thread)) yield Wait.Block;
    if (this.layout.variant === Variant.T8110) {
      for (const stream of streams) {
        yield* this.command(thread, [[TlbCommand.Offset, TlbCommand.FlushStream | stream]]);
      }
    } else {
      const bitmap = streams.reduce((bits, stream) => bits | (1 << stream), 0);
      yield* this.command(thread, [
        [StreamCommand.Select, bitmap],
        [StreamCommand.Offset, StreamCommand.Invalidate],
      ]);
    }
    if (thread.debt !== 0) yield Wait.Run;
    this.lock.release(thread);
  }

  private *command(thread: Thread, writes: readonly (readonly [offset: number, value: number])[]): Call<void> {
    const { scheduler, costs, registers, statistics } = this.environment;
    thread.charge(Step.Doorbell, writes.length * costs.mmioWrite);
    yield Wait.Run;
    this.busy = true;
    for (const [offset, value] of writes) registers.write(this.id, offset, 0, value, costs.mmioFlight);
    statistics.domains++;
    statistics.descriptors++;
    const rung = scheduler.now();
    this.poller = thread;
    scheduler.block(thread, Step.Completion);
    yield Wait.Block;
    statistics.completion.add(scheduler.now() - rung);
  }

  /** The busy bit has cleared. */
  changed(): void {
    const { poller } = this;
    if (!this.busy || poller === null) return;
    this.busy = false;
    this.poller = null;
    this.environment.scheduler.wakePoller(poller, DELAY + this.environment.costs.poll);
  }

  private write(offset: number, value: number): void {
    this.environment.registers.write(this.id, offset, 0, value, 0);
  }
}

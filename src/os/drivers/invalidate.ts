/**
 * Software that does nothing but invalidate a device's domain while the device keeps using it: what one invalidation costs its caller, and
 * what it costs the DMAs whose translations it removes although they stay valid. Every thread asks for ranges somewhere in the window
 * of a DMA job, for the whole domain, or for everything in the IOMMU, through the driver of the IOMMU, which makes of it the commands that
 * an unmap of those ranges would send. No table is changed.
 */
import type { AskedRanges } from '../../protocol/asked.js';
import type { RandomStream } from '../../kernel/random.js';
import type { DmaStatus } from '../../protocol/queue.js';
import { CallMeter } from '../dma/call-meter.js';
import type { Domain } from '../domain.js';
import { Step, Turn } from '../step.js';
import { type Call, type Cpu, type Program, type Thread, Wait } from '../thread.js';
import { Driver, type DriverEnvironment } from './driver.js';

const PAGE = 4096;
/** Bytes that no domain exceeds. */
const ADDRESSES = 2 ** 64;

/** Shape of an invalidate job of a workload; times in ps. */
export interface InvalidateSpec {
  readonly threads: number;
  readonly granularity: 'range' | 'domain' | 'global';
  /** Bytes of a range. */
  readonly size: number;
  /** natural: ranges begin at multiples of the next power of two; page: anywhere. */
  readonly align: 'natural' | 'page';
  /** Ranges of one call, each somewhere. */
  readonly batch: number;
  /** Table entries that lead to the range have to go too. */
  readonly tables: boolean;
  /** From the start of one invalidation of a thread to the next, if it has ended by then. */
  readonly interval: number;
}

/** What is invalidated: a domain and the addresses in use, bytes. */
export interface Target {
  readonly domain: Domain;
  readonly base: number;
  readonly bytes: number;
}

export class Invalidate extends Driver {
  readonly tags = 0;
  readonly invalidations: CallMeter;
  private readonly page: number;
  /** Places where a range may begin, and their distance. */
  private readonly places: number;
  private readonly stride: number;

  constructor(
    name: string,
    private readonly spec: InvalidateSpec,
    private readonly target: Target,
    private readonly asked: AskedRanges,
    private readonly random: RandomStream,
    cpus: readonly Cpu[],
    environment: DriverEnvironment,
  ) {
    super(name, environment);
    this.invalidations = new CallMeter(environment.slots);
    this.page = target.domain.space?.page ?? PAGE;
    let stride = this.page;
    if (spec.align === 'natural') while (stride < spec.size) stride *= 2;
    this.stride = stride;
    this.places = Math.max(1, Math.floor((target.bytes - this.length) / stride) + 1);
    for (const [i, cpu] of cpus.entries()) {
      this.threads.push(environment.scheduler.spawn(`${name}/${i}`, cpu, (self) => this.program(self)));
    }
  }

  /** Whole pages of a range. */
  private get length(): number {
    return Math.ceil(this.spec.size / this.page) * this.page;
  }

  completed(tag: number, _status: DmaStatus): void {
    throw new Error(`${this.name}: completion of tag ${tag}, but nothing was posted`);
  }

  override resetStatistics(): void {
    super.resetStatistics();
    this.invalidations.reset();
  }

  private *program(thread: Thread): Program {
    const { scheduler } = this.environment;
    const { interval } = this.spec;
    for (;;) {
      const start = scheduler.now();
      this.beginTurn(thread);
      yield* this.invalidate(thread);
      const latency = scheduler.now() - start;
      if (latency === 0) throw new Error(`${this.name}: an invalidation takes no time; all its costs are 0`);
      this.operationDone(latency);
      if (latency < interval) {
        thread.chargeExactly(Turn.Transfer, interval - latency);
        yield Wait.Delay;
      }
      this.endTurn(thread);
    }
  }

  private *invalidate(thread: Thread): Call<void> {
    const { invalidations, spec, target, asked } = this;
    const { scheduler } = this.environment;
    const { domain } = target;
    const { driver } = domain;
    const iovas: number[] = [];
    const slots: number[] = [];
    if (spec.granularity === 'range') {
      for (let i = 0; i < spec.batch; i++) iovas.push(target.base + this.stride * this.random.below(this.places));
      for (const iova of iovas) slots.push(asked.asks(Math.floor(iova / PAGE), Math.ceil(this.length / PAGE)));
    } else slots.push(asked.asks(0, ADDRESSES / PAGE));
    invalidations.ledger.start(thread.id, scheduler.now());
    thread.ledger = invalidations.ledger;
    thread.interruptStep = Step.Interrupt;
    if (spec.granularity === 'domain') yield* driver.flushAll(thread, domain);
    else if (spec.granularity === 'global') yield* driver.flushGlobal!(thread, domain);
    else if (iovas.length === 1) yield* driver.flushRange(thread, domain, iovas[0]!, this.length, spec.tables);
    else yield* driver.flushRanges!(thread, domain, iovas, this.length, spec.tables);
    if (thread.debt !== 0) yield Wait.Run;
    for (const slot of slots) asked.done(slot);
    const latency = invalidations.ledger.finish(thread.id, scheduler.now());
    invalidations.latency.add(latency);
    thread.ledger = this.turns;
    thread.interruptStep = Turn.Interrupt;
    this.turns.chargeFor(thread.id, Turn.Unmap, latency);
  }
}

/**
 * The DMA API as drivers of devices call it, with its measurements: every picosecond of a call belongs to one step. What the calls
 * do is a `DmaPath`. A map stores its entries before it returns its address, which nobody can use earlier.
 */
import type { Access } from '../../protocol/access.js';
import type { Observer } from '../../protocol/observer.js';
import type { LatencyLedger } from '../../stats/latency-ledger.js';
import type { Domain } from '../domain.js';
import type { Scheduler } from '../scheduler.js';
import type { CostSpec } from '../spec.js';
import { Step, Turn } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import { BouncePath, type Bouncing } from './bounce.js';
import { CallMeter } from './call-meter.js';
import { LinuxPath } from './linux.js';
import { MapEnd } from './map-end.js';
import { Mapper } from './mapper.js';
import type { DmaPath } from './path.js';
import type { ScatterList } from './scatter-list.js';
import type { StrategyEnvironment } from './strategies/environment.js';
import { UnmapCall } from './unmap-call.js';
import { makeMapper, makePath } from './strategies/factory.js';

/** Page of machines without translation. */
const PAGE = 4096;

export class DmaApi {
  /** Calls that found no address space. */
  failures = 0;
  /** Pages mapped, passthrough included. */
  pages = 0;

  readonly maps: CallMeter;
  readonly unmaps: CallMeter;
  readonly settles: CallMeter;
  readonly mapper: Mapper;
  /** Records of unmaps and of ends of maps that are over. */
  readonly idle: UnmapCall[] = [];
  readonly idleMaps: MapEnd[] = [];
  readonly path: DmaPath;

  /**
   * `slots`: threads the scheduler may have; meters are indexed by thread number. `bouncing`: null = no buffer is copied. `strategy`:
   * null = the kernel's own.
   */
  constructor(
    private readonly scheduler: Scheduler,
    private readonly costs: CostSpec,
    observer: Observer | null,
    slots: number,
    bouncing: Bouncing | null = null,
    strategy: StrategyEnvironment | null = null,
    private readonly traced = false,
  ) {
    this.maps = new CallMeter(slots);
    this.unmaps = new CallMeter(slots);
    this.settles = new CallMeter(slots);
    this.mapper =
      strategy === null
        ? new Mapper(scheduler, costs, observer)
        : makeMapper(scheduler, costs, observer, strategy.spec);
    const path = strategy === null ? new LinuxPath(this.mapper) : makePath(this.mapper, strategy);
    this.path = bouncing === null ? path : new BouncePath(path, bouncing);
  }

  /** Drivers have to call `settle` at the end of a burst. */
  get holdsBack(): boolean {
    return this.path.settle !== undefined;
  }

  resetStatistics(): void {
    this.maps.reset();
    this.unmaps.reset();
    this.settles.reset();
    this.path.statistics?.reset(this.scheduler.now());
    this.mapper.resetStatistics();
    this.failures = 0;
    this.pages = 0;
  }

  /**
   * dma_map_page: makes [pa, pa + bytes) reachable for the domain's devices. Returns the DMA address, 0 (DMA_MAPPING_ERROR) when
   * no address space is left.
   */
  *map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): Call<number> {
    const address = this.mapNow(thread, domain, pa, bytes, access);
    return typeof address === 'number' ? address : yield* address;
  }

  /** Begins `map` at once. Returns the address if there was nothing to wait for, else what is left to do. */
  mapNow(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): number | Call<number> {
    const outer = this.begin(thread, this.maps);
    thread.charge(Step.Call, this.costs.mapCall);
    const address = this.path.map(thread, domain, pa, bytes, access);
    if (typeof address !== 'number') return this.mapLater(thread, domain, pa, bytes, outer, address);
    this.countMap(address, domain, pa, bytes);
    if (thread.debt !== 0 && !this.scheduler.passes(thread)) return this.endMap(thread, outer, address);
    this.end(thread, this.maps, outer, Turn.Map);
    return address;
  }

  private *mapLater(
    thread: Thread,
    domain: Domain,
    pa: number,
    bytes: number,
    outer: LatencyLedger | null,
    rest: Call<number>,
  ): Call<number> {
    const address = yield* rest;
    this.countMap(address, domain, pa, bytes);
    return yield* this.endMap(thread, outer, address);
  }

  private endMap(thread: Thread, outer: LatencyLedger | null, address: number): Call<number> {
    const end = this.idleMaps.pop() ?? new MapEnd(this);
    end.begin(thread, outer, address);
    return end;
  }

  private countMap(address: number, domain: Domain, pa: number, bytes: number): void {
    if (address === 0) this.failures++;
    else this.countPages(domain, pa, bytes);
  }

  /** dma_unmap_page of a whole mapping, with the access it was mapped for. */
  unmap(thread: Thread, domain: Domain, address: number, bytes: number, access: Access): Call<void> {
    const call = this.idle.pop() ?? new UnmapCall(this, this.scheduler);
    call.begin(thread, domain, address, bytes, access);
    return call;
  }

  /** What `unmap` begins with; its account has been opened. */
  unmapping(thread: Thread, domain: Domain, address: number, bytes: number, access: Access): Call<void> {
    thread.charge(Step.Call, this.costs.unmapCall);
    if (this.traced) thread.charge(Step.Trace, this.costs.probe);
    return this.path.unmap(thread, domain, address, bytes, access);
  }

  /** Ends a burst of unmaps on this CPU: their buffers may be reused when it returns. */
  *settle(thread: Thread, domain: Domain): Call<void> {
    if (this.path.settle === undefined) return;
    const outer = this.begin(thread, this.settles);
    yield* this.path.settle(thread, domain);
    if (thread.debt !== 0 && !this.scheduler.passes(thread)) yield Wait.Run;
    this.end(thread, this.settles, outer, Turn.Settle);
  }

  /** dma_map_sg: fills in the mapped segments of the list. Returns false when no address space is left. */
  *mapList(thread: Thread, domain: Domain, list: ScatterList, access: Access): Call<boolean> {
    const outer = this.begin(thread, this.maps);
    thread.charge(Step.Call, this.costs.mapCall + list.segments * this.costs.segment);
    const mapped = yield* this.path.mapList(thread, domain, list, access);
    if (mapped) {
      for (let i = 0; i < list.segments; i++) this.countPages(domain, list.physical[i]!, list.bytes[i]!);
    } else this.failures++;
    if (thread.debt !== 0 && !this.scheduler.passes(thread)) yield Wait.Run;
    this.end(thread, this.maps, outer, Turn.Map);
    return mapped;
  }

  /** dma_unmap_sg of a mapped list, with the access it was mapped for. */
  *unmapList(thread: Thread, domain: Domain, list: ScatterList, access: Access): Call<void> {
    const outer = this.begin(thread, this.unmaps);
    thread.charge(Step.Call, this.costs.unmapCall + list.segments * this.costs.segment);
    yield* this.path.unmapList(thread, domain, list, access);
    if (thread.debt !== 0 && !this.scheduler.passes(thread)) yield Wait.Run;
    this.end(thread, this.unmaps, outer, Turn.Unmap);
  }

  private countPages(domain: Domain, pa: number, bytes: number): void {
    const page = domain.space === null ? PAGE : domain.space.page;
    this.pages += Math.ceil(((pa & (page - 1)) + bytes) / page);
  }

  /** Opens the call's account: it starts when the time charged before has passed. */
  begin(thread: Thread, meter: CallMeter): LatencyLedger | null {
    const outer = thread.ledger;
    meter.ledger.start(thread.id, this.scheduler.now() + thread.debt);
    thread.ledger = meter.ledger;
    thread.interruptStep = Step.Interrupt;
    return outer;
  }

  /** Closes it now; `turn` of the driver's loop takes its time. */
  end(thread: Thread, meter: CallMeter, outer: LatencyLedger | null, turn: Turn): void {
    const latency = meter.ledger.finish(thread.id, this.scheduler.now());
    meter.latency.add(latency);
    thread.lastCallPs = latency;
    thread.ledger = outer;
    thread.interruptStep = Turn.Interrupt;
    if (outer !== null) outer.chargeFor(thread.id, turn, latency);
  }
}

/**
 * Shadow buffers (Markuze et al., True IOMMU Protection from DMA Attacks, ASPLOS 2016): devices reach only buffers that stay mapped for good;
 * a map takes one and copies into it what the device will read, an unmap copies out what the device has written. No unmap is ever
 * invalidated, and devices see bytes, not pages, of the kernel. Free shadows lie in lists by CPU, size and access. Not modelled: copying
 * only what a device has really written, the larger buffers that work maps and unmaps as usual.
 */
import { copyTime } from '../../copy.js';
import { Access } from '../../../protocol/access.js';
import type { Domain } from '../../domain.js';
import type { DmaSpace } from '../../domain-state.js';
import { Step } from '../../step.js';
import type { Call, Thread } from '../../thread.js';
import type { Mapper } from '../mapper.js';
import type { StrategyEnvironment } from './environment.js';
import { StrategyPath } from './strategy-path.js';
import { allocateIova } from './steps.js';

/** Values of Access. */
const ACCESSES = 4;

interface Shadow {
  readonly iova: number;
  readonly pa: number;
  /** The list it returns to. */
  readonly home: Shadow[];
  /** The buffer it stands for. */
  original: number;
}

export class ShadowPath extends StrategyPath {
  /** By CPU, then by size class (log2 of its pages) and access. */
  private readonly free: (Shadow[] | undefined)[][] = [];
  private readonly byIova = new Map<number, Shadow>();

  constructor(
    private readonly mapper: Mapper,
    private readonly environment: StrategyEnvironment,
  ) {
    super();
  }

  *map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): Call<number> {
    const { space } = domain;
    if (space === null) return pa;
    let sizeClass = 0;
    while (2 ** sizeClass * space.page < bytes) sizeClass++;
    const list = this.listOf(thread, sizeClass * ACCESSES + access);
    thread.charge(Step.Iova, this.mapper.costs.iovaCache);
    const shadow = list.pop() ?? (yield* this.grow(thread, domain, space, 2 ** sizeClass * space.page, access, list));
    if (shadow === null) return 0;
    shadow.original = pa;
    if ((access & Access.Read) !== 0) this.copy(thread, shadow.pa, bytes);
    return shadow.iova;
  }

  unmap(thread: Thread, domain: Domain, address: number, bytes: number, access: Access): Call<void> {
    if (domain.space === null) return nothing();
    const shadow = this.byIova.get(address)!;
    if ((access & Access.Write) !== 0) this.copy(thread, shadow.original, bytes);
    thread.charge(Step.IovaFree, this.mapper.costs.iovaCache);
    shadow.home.push(shadow);
    return nothing();
  }

  /** A shadow more; null when no address space is left. */
  private *grow(
    thread: Thread,
    domain: Domain,
    space: DmaSpace,
    bytes: number,
    access: Access,
    home: Shadow[],
  ): Call<Shadow | null> {
    const iova = yield* allocateIova(thread, space, bytes);
    if (iova === 0) return null;
    const pa = this.environment.buffer(bytes);
    yield* this.mapper.install(thread, domain, space, iova, pa, bytes, access);
    this.statistics.poolBytes += bytes;
    const shadow = { iova, pa, home, original: 0 };
    this.byIova.set(iova, shadow);
    return shadow;
  }

  /** A copy whose destination is at `to`, which the CPU leaves in its caches. */
  private copy(thread: Thread, to: number, bytes: number): void {
    thread.charge(Step.Copy, copyTime(this.mapper.costs, bytes, to));
    this.environment.timing?.cpuWrite(Math.floor(to / 2 ** 32), to | 0, bytes);
    this.statistics.copiedBytes += bytes;
  }

  private listOf(thread: Thread, index: number): Shadow[] {
    const { id } = thread.cpu;
    this.free[id] ??= [];
    const lists = this.free[id];
    lists[index] ??= [];
    return lists[index];
  }
}

function* nothing(): Call<void> {}

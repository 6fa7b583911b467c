/**
 * Ring translation in software, after rIOMMU (Malka et al., ASPLOS 2015): a CPU's buffers go through a ring of slots whose I/O addresses
 * are fixed, so that a map writes one leaf, an unmap clears it, and nothing is ever allocated: no I/O addresses, no table pages.
 * Slots are used in their order and invalidated at the end of a burst, as one range, or two when the burst wraps around. Not modelled:
 * that work's hardware, a flat table per ring and one translation register per ring, which each new translation overwrites; here the unit
 * walks its ordinary tables.
 */
import type { Access } from '../../../protocol/access.js';
import type { Domain } from '../../domain.js';
import { Step } from '../../step.js';
import type { Call, Thread } from '../../thread.js';
import type { Mapper } from '../mapper.js';
import type { StrategyEnvironment } from './environment.js';
import { HeldByCpu } from './held.js';
import { StrategyPath } from './strategy-path.js';
import { allocateIova, pageBytes, removeRange } from './steps.js';

/** Slots of one size. */
interface Ring {
  /** 0 until the region is allocated. */
  iova: number;
  readonly slotBytes: number;
  next: number;
  /** Slots mapped, or unmapped and not invalidated. */
  readonly busy: Uint8Array;
}

export class RingPath extends StrategyPath {
  private readonly held: HeldByCpu;
  /** By CPU: rings in the order of their first use; drivers post buffers of few sizes. */
  private readonly rings: (Ring[] | undefined)[] = [];
  private readonly all: Ring[] = [];

  constructor(
    private readonly mapper: Mapper,
    private readonly environment: StrategyEnvironment,
  ) {
    super();
    this.held = new HeldByCpu(environment.spec.batch, this.statistics);
  }

  *map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): Call<number> {
    const { space } = domain;
    if (space === null) return pa;
    const offset = pa % space.page;
    const length = pageBytes(space, pa, bytes);
    const ring = this.ringFor(thread, length);
    if (ring.iova === 0) ring.iova = yield* allocateIova(thread, space, ring.slotBytes * ring.busy.length);
    const slot = ring.next;
    // A ring that is full, or without a region, takes no buffer.
    if (ring.iova === 0 || ring.busy[slot] === 1) return 0;
    ring.busy[slot] = 1;
    ring.next = (slot + 1) % ring.busy.length;
    const iova = ring.iova + slot * ring.slotBytes;
    yield* this.mapper.install(thread, domain, space, iova, pa - offset, length, access);
    return iova + offset;
  }

  *unmap(thread: Thread, domain: Domain, address: number, bytes: number): Call<void> {
    const { space } = domain;
    if (space === null) return;
    const { mapper } = this;
    const held = this.held.of(thread);
    if (held.full) yield* this.settle(thread, domain);
    const iova = address - (address % space.page);
    const length = pageBytes(space, address, bytes);
    yield* removeRange(mapper, thread, domain, space, iova, length, held.tables);
    held.add(iova, length, mapper.scheduler.now(), thread.debt);
  }

  *settle(thread: Thread, domain: Domain): Call<void> {
    const { space } = domain;
    const held = this.held.of(thread);
    if (space === null || held.count === 0) return;
    const { mapper } = this;
    held.sort();
    for (let first = 0, next = 0; first < held.count; first = next) {
      next = held.runEnd(first);
      const iova = held.iova(first);
      yield* mapper.flush(thread, domain, iova, held.end(next - 1) - iova, held.tables.length > 0);
    }
    mapper.giveBack(thread, space, held.tables);
    const now = mapper.scheduler.now();
    for (let i = 0; i < held.count; i++) {
      mapper.observer?.unmapped(domain.id, held.iova(i), held.bytes(i), true, now);
      this.free(held.iova(i));
    }
    held.clear(now);
  }

  private ringFor(thread: Thread, length: number): Ring {
    const { id } = thread.cpu;
    this.rings[id] ??= [];
    const rings = this.rings[id];
    thread.charge(Step.Iova, this.mapper.costs.poolLookup);
    let ring = rings.find(({ slotBytes }) => slotBytes === length);
    if (ring === undefined) {
      ring = { iova: 0, slotBytes: length, next: 0, busy: new Uint8Array(this.environment.spec.slots) };
      rings.push(ring);
      this.all.push(ring);
    }
    return ring;
  }

  /** The CPU that unmaps need not be the ring's. */
  private free(iova: number): void {
    const holds = ({ iova: first, slotBytes, busy }: Ring): boolean =>
      iova >= first && iova < first + slotBytes * busy.length;
    const ring = this.all.find(holds)!;
    ring.busy[(iova - ring.iova) / ring.slotBytes] = 0;
  }
}

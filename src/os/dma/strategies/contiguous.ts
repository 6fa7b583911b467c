/**
 * Contiguous I/O addresses, as in Fast & Safe IO Memory Protection (SOSP 2024): a CPU takes I/O addresses from a chunk that it uses up
 * from its first page to its last, so that buffers posted together lie in one stretch and in few tables. What a burst has finished
 * with of a chunk is unmapped and invalidated as one range. Chunks are smaller than what a table page translates, so table pages stay and
 * every invalidation leaves the paging-structure caches alone. Emptied chunks return to the CPU that took them. Not modelled: descriptors of a NIC
 * that take a whole chunk, which that work maps in one call.
 */
import type { Access } from '../../../protocol/access.js';
import type { Domain } from '../../domain.js';
import type { DmaSpace } from '../../domain-state.js';
import { Step } from '../../step.js';
import type { Call, Thread } from '../../thread.js';
import type { Mapper } from '../mapper.js';
import type { StrategyEnvironment } from './environment.js';
import { HeldByCpu, type HeldRanges } from './held.js';
import { invalidateRuns } from './ranged.js';
import { StrategyPath } from './strategy-path.js';
import { allocateIova, freeIova, pageBytes } from './steps.js';

interface Chunk {
  readonly home: CpuChunks;
  readonly iova: number;
  readonly bytes: number;
  /** Bytes handed out, and those of them that are not given back. */
  used: number;
  live: number;
}

interface CpuChunks {
  current: Chunk | null;
  readonly spare: Chunk[];
}

export class ContiguousPath extends StrategyPath {
  private readonly held: HeldByCpu;
  private readonly cpus: (CpuChunks | undefined)[] = [];
  /** By number of the aligned block in which the chunk begins. */
  private readonly chunks = new Map<number, Chunk>();

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
    const chunk = yield* this.chunkFor(thread, space, length);
    if (chunk === null) return 0;
    const iova = chunk.iova + chunk.used;
    chunk.used += length;
    chunk.live += length;
    yield* this.mapper.install(thread, domain, space, iova, pa - offset, length, access);
    return iova + offset;
  }

  *unmap(thread: Thread, domain: Domain, address: number, bytes: number): Call<void> {
    const { space } = domain;
    if (space === null) return;
    const held = this.held.of(thread);
    if (held.full) yield* this.settle(thread, domain);
    thread.charge(Step.Queue, this.mapper.costs.queueIova);
    const now = this.mapper.scheduler.now();
    held.add(address - (address % space.page), pageBytes(space, address, bytes), now, thread.debt);
  }

  *settle(thread: Thread, domain: Domain): Call<void> {
    const { space } = domain;
    const held = this.held.of(thread);
    if (space === null || held.count === 0) return;
    yield* invalidateRuns(this.mapper, thread, domain, space, held, this.chunkBytes(space));
    const now = this.mapper.scheduler.now();
    yield* this.giveBack(thread, space, held);
    held.clear(now);
  }

  /** The CPU's chunk if `length` bytes are left in it, else a new one; null when no address space is left. */
  private *chunkFor(thread: Thread, space: DmaSpace, length: number): Call<Chunk | null> {
    const own = this.chunksOf(thread);
    const block = this.chunkBytes(space);
    const { current } = own;
    if (current !== null && current.used + length <= current.bytes) return current;
    if (current !== null && current.live === 0 && length <= block) {
      current.used = 0;
      return current;
    }
    if (length <= block && own.spare.length > 0) {
      thread.charge(Step.Iova, this.mapper.costs.iovaCache);
      own.current = own.spare.pop()!;
      own.current.used = 0;
      return own.current;
    }
    // A buffer that no chunk has room for gets one to measure. Allocation aligns by size, so a chunk begins a block.
    const bytes = Math.max(length, block);
    const iova = yield* allocateIova(thread, space, bytes);
    if (iova === 0) return null;
    const chunk = { home: own, iova, bytes, used: 0, live: 0 };
    this.chunks.set(iova / block, chunk);
    if (bytes === block) own.current = chunk;
    return chunk;
  }

  /** Chunks that are used up and empty again wait for their next use. */
  private *giveBack(thread: Thread, space: DmaSpace, held: HeldRanges): Call<void> {
    const block = this.chunkBytes(space);
    for (let i = 0; i < held.count; i++) {
      const number = Math.floor(held.iova(i) / block);
      const chunk = this.chunks.get(number)!;
      chunk.live -= held.bytes(i);
      if (chunk.live > 0 || chunk === chunk.home.current) continue;
      if (chunk.bytes === block) {
        thread.charge(Step.IovaFree, this.mapper.costs.iovaCache);
        chunk.home.spare.push(chunk);
      } else {
        this.chunks.delete(number);
        yield* freeIova(thread, space, chunk.iova, chunk.bytes);
      }
    }
  }

  private chunksOf(thread: Thread): CpuChunks {
    const { id } = thread.cpu;
    this.cpus[id] ??= { current: null, spare: [] };
    return this.cpus[id];
  }

  private chunkBytes({ page }: DmaSpace): number {
    return this.environment.spec.chunk * page;
  }
}

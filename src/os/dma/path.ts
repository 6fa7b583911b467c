/**
 * How buffers become reachable for a device and unreachable again: what stands behind dma_map_page and dma_unmap_page. The
 * kernel's own way is `LinuxPath`; other strategies of a driver on the same hardware are further implementations, one file each in
 * `strategies/`. A way that treats scatter lists like so many single buffers uses `mapBySegment`.
 */
import type { Access } from '../../protocol/access.js';
import type { Domain } from '../domain.js';
import type { Call, Thread } from '../thread.js';
import type { StrategyStatistics } from './strategies/statistics.js';
import type { ScatterList } from './scatter-list.js';

export interface DmaPath {
  /**
   * Makes [pa, pa + bytes) reachable for the domain's devices. Returns the DMA address, 0 (DMA_MAPPING_ERROR) when no address
   * space is left; or what has to be waited for first, which returns it. May return with time charged but not passed.
   */
  map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): number | Call<number>;
  /** Takes back a whole mapping that `map` returned for the same size and access. May return with time charged but not passed. */
  unmap(thread: Thread, domain: Domain, address: number, bytes: number, access: Access): Call<void>;
  /**
   * The end of a burst on this CPU: what `unmap` held back is out of the device's reach, and given back, when the call returns. Until
   * then a driver must not reuse the buffers. Only of paths that hold back.
   */
  settle?(thread: Thread, domain: Domain): Call<void>;
  /** Null for the kernel's own way. */
  readonly statistics: StrategyStatistics | null;
  /**
   * dma_map_sg: makes the segments of the list reachable and fills in its mapped segments. Returns false, with nothing mapped, when no
   * address space is left. May return with time charged but not passed.
   */
  mapList(thread: Thread, domain: Domain, list: ScatterList, access: Access): Call<boolean>;
  /** dma_unmap_sg: takes back what `mapList` mapped for the same access. May return with time charged but not passed. */
  unmapList(thread: Thread, domain: Domain, list: ScatterList, access: Access): Call<void>;
}

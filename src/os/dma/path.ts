/**
 * How buffers become reachable for a device and unreachable again: what stands behind dma_map_page and dma_unmap_page. The
 * kernel's own way is `LinuxPath`; other ways (other strategies of a driver on the same hardware) are further implementations of
 * this interface, one small file each.
 */
import type { Access } from '../../protocol/access.js';
import type { Domain } from '../domain.js';
import type { Call, Thread } from '../thread.js';

export interface DmaPath {
  /**
   * Makes [pa, pa + bytes) reachable for the domain's devices. Returns the DMA address, 0 (DMA_MAPPING_ERROR) when no address
   * space is left. May return with time charged but not passed.
   */
  map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): Call<number>;
  /** Takes back a whole mapping that `map` returned for the same size and access. May return with time charged but not passed. */
  unmap(thread: Thread, domain: Domain, address: number, bytes: number, access: Access): Call<void>;
}

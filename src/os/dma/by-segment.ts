/**
 * A scatter list without any use of its being one: every segment mapped and unmapped by itself (iommu_dma_map_sg_swiotlb,
 * dma_direct_map_sg). For ways through the DMA API that have no better one.
 */
import type { Access } from '../../protocol/access.js';
import type { Domain } from '../domain.js';
import type { Call, Thread } from '../thread.js';
import type { DmaPath } from './path.js';
import type { ScatterList } from './scatter-list.js';

type SegmentPath = Pick<DmaPath, 'map' | 'unmap'>;

/** Returns false, with nothing mapped, when one segment finds no room. */
export function* mapBySegment(
  path: SegmentPath,
  thread: Thread,
  domain: Domain,
  list: ScatterList,
  access: Access,
): Call<boolean> {
  list.clear();
  for (let i = 0; i < list.segments; i++) {
    const mapped = path.map(thread, domain, list.physical[i]!, list.bytes[i]!, access);
    const address = typeof mapped === 'number' ? mapped : yield* mapped;
    if (address === 0) {
      yield* unmapBySegment(path, thread, domain, list, access);
      return false;
    }
    list.append(address, list.bytes[i]!);
  }
  return true;
}

/** Unmaps what `mapBySegment` mapped. */
export function* unmapBySegment(
  path: SegmentPath,
  thread: Thread,
  domain: Domain,
  list: ScatterList,
  access: Access,
): Call<void> {
  for (let i = 0; i < list.mapped; i++) {
    yield* path.unmap(thread, domain, list.addresses[i]!, list.lengths[i]!, access);
  }
  list.clear();
}

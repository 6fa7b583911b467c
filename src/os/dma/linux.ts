/**
 * Linux's way through the DMA API (drivers/iommu/dma-iommu.c: iommu_dma_map_phys, iommu_dma_unmap_phys, iommu_dma_map_sg,
 * iommu_dma_unmap_sg; kernel/dma/mapping.c for passthrough), with the order of the kernel: strict mode invalidates and waits before table
 * pages and IOVA are given back, lazy mode queues both; a scatter list gets one range of addresses and one invalidation. Not modelled: cache maintenance for devices that do not snoop.
 */
import type { Access } from '../../protocol/access.js';
import type { Domain } from '../domain.js';
import type { DmaSpace } from '../domain-state.js';
import { type Call, NOTHING, type Thread } from '../thread.js';
import type { Mapper } from './mapper.js';
import type { DmaPath } from './path.js';
import type { ScatterList } from './scatter-list.js';
import { Unmapping } from './unmapping.js';

export class LinuxPath implements DmaPath {
  readonly statistics = null;
  /** Records of unmaps that are over. */
  private readonly idle: Unmapping[] = [];

  constructor(private readonly mapper: Mapper) {}

  map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): number | Call<number> {
    const { space } = domain;
    if (space === null) return pa;
    const { page } = space;
    const offset = pa & (page - 1);
    const pages = Math.ceil((offset + bytes) / page);
    const pfn = space.iova.allocateLocal(thread, pages);
    if (pfn === 0) return this.mapFar(thread, domain, space, pa, pages, access);
    const rest = this.mapper.install(thread, domain, space, pfn * page, pa - offset, pages * page, access);
    const address = pfn * page + offset;
    return rest === NOTHING ? address : after(rest, address);
  }

  /** `map` when this CPU has no address space at hand. */
  private *mapFar(
    thread: Thread,
    domain: Domain,
    space: DmaSpace,
    pa: number,
    pages: number,
    access: Access,
  ): Call<number> {
    const { page } = space;
    const offset = pa & (page - 1);
    const pfn = yield* space.iova.allocate(thread, pages);
    if (pfn === 0) return 0;
    yield* this.mapper.install(thread, domain, space, pfn * page, pa - offset, pages * page, access);
    return pfn * page + offset;
  }

  unmap(thread: Thread, domain: Domain, address: number, bytes: number): Call<void> {
    const { space } = domain;
    if (space === null) return NOTHING;
    const { page } = space;
    const offset = address & (page - 1);
    return this.unmapPages(thread, domain, space, address - offset, Math.ceil((offset + bytes) / page));
  }

  *mapList(thread: Thread, domain: Domain, list: ScatterList, access: Access): Call<boolean> {
    const { space } = domain;
    list.clear();
    if (space === null) {
      for (let i = 0; i < list.segments; i++) list.append(list.physical[i]!, list.bytes[i]!);
      return true;
    }
    const { page } = space;
    const pages = layOut(list, page) / page;
    let pfn = space.iova.allocateLocal(thread, pages);
    if (pfn === 0) pfn = yield* space.iova.allocate(thread, pages);
    if (pfn === 0) return false;
    yield* this.installStretches(thread, domain, space, pfn * page, list, access);
    merge(list, pfn * page, page);
    return true;
  }

  *unmapList(thread: Thread, domain: Domain, list: ScatterList): Call<void> {
    const { space } = domain;
    const last = list.mapped - 1;
    if (space !== null) {
      const { page } = space;
      const first = list.addresses[0]!;
      const iova = first - (first % page);
      const end = list.addresses[last]! + list.lengths[last]!;
      yield* this.unmapPages(thread, domain, space, iova, Math.ceil((end - iova) / page));
    }
    list.clear();
  }

  /** iommu_map_sg: one call into the page-table code for each stretch of memory without a gap, one sync for all. */
  private *installStretches(
    thread: Thread,
    domain: Domain,
    space: DmaSpace,
    iova: number,
    list: ScatterList,
    access: Access,
  ): Call<void> {
    const { page } = space;
    let done = 0;
    let start = 0;
    let length = 0;
    for (let i = 0; i <= list.segments; i++) {
      const pa = i < list.segments ? list.physical[i]! - (list.physical[i]! % page) : -1;
      if (length > 0 && pa !== start + length) {
        yield* this.mapper.installNoSync(thread, domain, space, iova + done, start, length, access);
        done += length;
        length = 0;
      }
      if (length === 0) start = pa;
      if (i < list.segments) length += list.room[i]!;
    }
    if (domain.driver.syncsMaps) yield* domain.driver.syncMap(thread, domain, iova, done);
  }

  private unmapPages(thread: Thread, domain: Domain, space: DmaSpace, iova: number, pages: number): Call<void> {
    const unmapping = this.idle.pop() ?? new Unmapping(this.mapper, this.idle);
    unmapping.begin(thread, domain, space, iova, pages);
    return unmapping;
  }
}

function* after(rest: Call<void>, result: number): Call<number> {
  yield* rest;
  return result;
}

/**
 * Address space for each segment, whole pages from where its first page begins; one that would cross a boundary of the device begins at
 * it, and its predecessor gets what lies between. Returns the bytes of all.
 */
function layOut(list: ScatterList, page: number): number {
  const { physical, bytes, room } = list;
  const { boundary } = list.limits;
  let total = 0;
  for (let i = 0; i < list.segments; i++) {
    const own = Math.ceil(((physical[i]! % page) + bytes[i]!) / page) * page;
    const padding = (boundary - (total % boundary)) % boundary;
    if (i > 0 && padding > 0 && padding < own - 1) {
      room[i - 1] = room[i - 1]! + padding;
      total += padding;
    }
    room[i] = own;
    total += own;
  }
  return total;
}

/** __finalise_sg: the mapped segments, each as long as the device allows; only whole pages join what lies before them. */
function merge(list: ScatterList, iova: number, page: number): void {
  const { physical, bytes, room } = list;
  const { boundary, maxSegment } = list.limits;
  let address = iova;
  /** Bytes of the segment that may still grow, 0 = none may. */
  let open = 0;
  for (let i = 0; i < list.segments; i++) {
    const offset = physical[i]! % page;
    const length = bytes[i]!;
    if (open > 0 && offset === 0 && address % boundary !== 0 && maxSegment - open >= length) {
      open += length;
      list.extend(length);
    } else {
      open = length;
      list.append(address + offset, length);
    }
    address += room[i]!;
    if (offset + length < room[i]!) open = 0;
  }
}

/**
 * IOVA range cache of one size class (struct iova_rcache, drivers/iommu/iova.c): two magazines per CPU and a depot of full
 * magazines behind one lock. Per-CPU magazines have a lock in the kernel that only draining takes from another CPU; it is
 * part of the magazine cost here.
 */
import type { SpinLock } from '../lock.js';
import { Magazine } from './magazine.js';

export class RangeCache {
  private readonly loaded: Magazine[] = [];
  private readonly previous: Magazine[] = [];
  private readonly depot: Magazine[] = [];
  /** Trim work is scheduled. */
  trimming = false;

  constructor(
    readonly order: number,
    private readonly cpus: number,
    private readonly capacity: number,
    readonly lock: SpinLock,
  ) {
    for (let cpu = 0; cpu < cpus; cpu++) {
      this.loaded.push(new Magazine(capacity));
      this.previous.push(new Magazine(capacity));
    }
  }

  get depotSize(): number {
    return this.depot.length;
  }

  /** Brings a magazine with entries to the front; false if both are empty and the depot has to be asked. */
  readyToGet(cpu: number): boolean {
    if (this.loaded[cpu]!.size > 0) return true;
    if (this.previous[cpu]!.size === 0) return false;
    this.swap(cpu);
    return true;
  }

  /** Pops from the loaded magazine a PFN of at most `limit`, 0 if it has none. */
  get(cpu: number, limit: number): number {
    return this.loaded[cpu]!.pop(limit);
  }

  /** Brings a magazine with room to the front; false if both are full and one has to go to the depot. */
  readyToPut(cpu: number): boolean {
    if (!this.loaded[cpu]!.full) return true;
    if (this.previous[cpu]!.full) return false;
    this.swap(cpu);
    return true;
  }

  put(cpu: number, pfn: number): void {
    this.loaded[cpu]!.push(pfn);
  }

  /** Under the lock: replaces the empty loaded magazine by a full one of the depot; false if the depot is empty. */
  fetch(cpu: number): boolean {
    const magazine = this.depot.pop();
    if (magazine === undefined) return false;
    this.loaded[cpu] = magazine;
    return true;
  }

  /** Under the lock: moves the full loaded magazine to the depot and loads a new empty one. */
  store(cpu: number): void {
    this.depot.push(this.loaded[cpu]!);
    this.loaded[cpu] = new Magazine(this.capacity);
  }

  /** Under the lock: a magazine to give back to the tree when the depot holds more than one for each CPU (iova_depot_work_func). */
  surplus(): Magazine | null {
    return this.depot.length > this.cpus ? this.depot.pop()! : null;
  }

  /** Every magazine that holds PFNs, CPUs first, then the depot, which is emptied (free_cpu_cached_iovas, free_global_cached_iovas). */
  drain(): Magazine[] {
    const all: Magazine[] = [];
    for (let cpu = 0; cpu < this.cpus; cpu++) all.push(this.loaded[cpu]!, this.previous[cpu]!);
    for (let magazine = this.depot.pop(); magazine !== undefined; magazine = this.depot.pop()) all.push(magazine);
    return all.filter((magazine) => magazine.size > 0);
  }

  private swap(cpu: number): void {
    const magazine = this.loaded[cpu]!;
    this.loaded[cpu] = this.previous[cpu]!;
    this.previous[cpu] = magazine;
  }
}

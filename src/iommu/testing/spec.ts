/** A small IOMMU unit for tests: everything instant, roomy and true LRU, except what the test names. */
import type { MemorySpec } from '../../memory/spec.js';
import type { IommuSpec, StructureSpec } from '../spec.js';

type Deep<T> = { readonly [K in keyof T]?: T[K] extends object ? Deep<T[K]> : T[K] };

/** Changes to a unit's specification. */
export type UnitChanges = Deep<IommuSpec>;

export function structure(entries: number, changes: Partial<StructureSpec> = {}): StructureSpec {
  return { enabled: true, entries, ways: entries, replacement: 'lru', latency: 0, ...changes };
}

const BASE: IommuSpec = {
  architecture: 'vtd',
  socket: 's0',
  mode: 'legacy',
  stage: 'second',
  levels: 4,
  secondLevels: 4,
  granule: 4096,
  deviceLevels: 2,
  processLevels: 2,
  hostAddressWidth: 46,
  largestPage: 2 ** 30,
  coherent: false,
  queue: { postedDepth: 64, nonPostedDepth: 64, order: 'none', interval: 0 },
  contextCache: structure(16),
  pasidCache: structure(16),
  iotlb: structure(64),
  pagingStructureCache: {
    level2: structure(16),
    level3: structure(16),
    level4: structure(16),
    level5: structure(16),
  },
  secondStageTlb: structure(16),
  walkers: { count: 4, overhead: 0, replay: 0, readHold: 0, merge: true, outstanding: 16 },
  invalidation: {
    sizeLg2: 8,
    queues: 1,
    start: 0,
    context: 0,
    pasid: 0,
    iotlbGlobal: 0,
    iotlbDomain: 0,
    iotlbPage: 0,
    wait: 0,
    deviceTlb: 0,
    deviceTimeout: 1e12,
    drain: true,
    hintHonoured: true,
    nonLeafScope: 'range',
    maxAddressMask: 18,
  },
  faults: { records: 8, stalls: 0, pageRequests: 128 },
};

function merge<T>(base: T, changes: Deep<T>): T {
  const out: Record<string, unknown> = { ...(base as Record<string, unknown>) };
  for (const [key, value] of Object.entries(changes as Record<string, unknown>)) {
    const old = out[key];
    out[key] =
      typeof value === 'object' && value !== null && typeof old === 'object' ? merge(old, value as never) : value;
  }
  return out as T;
}

export function unitSpec(changes: UnitChanges = {}): IommuSpec {
  return merge(BASE, changes);
}

/** No paging-structure caches, or none at all: every walk reads every level. */
export const NO_WALK_CACHES: UnitChanges = {
  pagingStructureCache: {
    level2: { enabled: false },
    level3: { enabled: false },
    level4: { enabled: false },
    level5: { enabled: false },
  },
};

/** Time of a walker's read in this memory when nothing else happens, ps: tables are never in the cache (`coherent: false`). */
export const READ_PS = 100_000;

export const MEMORY: MemorySpec = {
  sockets: {
    s0: {
      cores: 1,
      frequency: 1e9,
      llc: { size: 64 * 16 * 1024, ways: 16, ddioWays: 2, scatter: 0, latency: 40_000, bandwidth: 512e12 },
      dram: { size: 2 ** 36, channels: 8, latency: 60_000, bandwidth: 512e12 },
    },
  },
  interconnect: { latency: 0, bandwidth: 1e12 },
  hostCache: 'cold',
};

/**
 * The unit that answers vectors: everything instant, a few entries in caches that are emptied before each access, and neither
 * paging-structure caches nor a second-stage TLB, so that a cold translation makes every memory access the architecture allows.
 */
import type { IommuSpec, StructureSpec } from '../../../iommu/spec.js';

const ENTRIES = 16;

function structure(enabled: boolean): StructureSpec {
  return { enabled, entries: ENTRIES, ways: ENTRIES, replacement: 'lru', latency: 0 };
}

const ABSENT = structure(false);
const PRESENT = structure(true);

/** What depends on the architecture and the vector. */
export type UnitShape = Pick<
  IommuSpec,
  | 'architecture'
  | 'mode'
  | 'stage'
  | 'levels'
  | 'secondLevels'
  | 'granule'
  | 'deviceLevels'
  | 'processLevels'
  | 'hostAddressWidth'
  | 'largestPage'
>;

export function coldUnit(shape: UnitShape): IommuSpec {
  return {
    ...shape,
    socket: 's0',
    coherent: false,
    queue: { postedDepth: 4, nonPostedDepth: 4, order: 'none', interval: 0 },
    contextCache: PRESENT,
    pasidCache: PRESENT,
    iotlb: PRESENT,
    pagingStructureCache: { level2: ABSENT, level3: ABSENT, level4: ABSENT, level5: ABSENT },
    secondStageTlb: ABSENT,
    walkers: { count: 1, overhead: 0, replay: 0, readHold: 0, merge: false, outstanding: 1 },
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
    faults: { records: 1, stalls: 0, pageRequests: 0 },
  };
}

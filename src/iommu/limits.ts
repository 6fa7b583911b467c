/** What each architecture can be configured to: the ranges of IommuSpec, with the reason a user is told. */
import type { ArchitectureName, IommuSpec } from './spec.js';

export type Range = readonly [low: number, high: number];
type StageName = IommuSpec['stage'];

const KiB = 1024;

export interface Limits {
  /** As its specification is called. */
  readonly title: string;
  readonly modes: readonly IommuSpec['mode'][];
  /** Stages it has, and levels of the tables that hold DMA mappings in each. */
  readonly levels: Readonly<Partial<Record<StageName, Range>>>;
  /** Levels of second-stage tables under nested first-stage tables. */
  readonly secondLevels: Range;
  readonly granules: readonly number[];
  readonly deviceLevels: Range;
  readonly processLevels: Range;
  /** Host physical address widths, where only some exist. */
  readonly hostAddressWidths?: readonly number[];
  /** All pages of a table have one size, the granule. */
  readonly onePageSize?: boolean;
  /** Bits of a requester id by levels of the device directory, where a directory of fewer levels takes fewer. */
  readonly requesterBits?: readonly number[];
  /** log2 of the commands its queue can hold; [0, 0]: it has no queue in memory. */
  readonly queueLg2: Range;
  /** Fault records, where not any number will do: registers, or a log in memory whose entries are a power of two. */
  readonly faultRecords?: { readonly range: Range; readonly powerOfTwo: boolean };
  /** Records of a page request queue, powers of two; none: devices cannot ask for pages. */
  readonly pageRequests?: Range;
}

const NO_QUEUE: Range = [0, 0];

export const LIMITS: Readonly<Record<Exclude<ArchitectureName, 'none'>, Limits>> = {
  vtd: {
    title: 'Intel VT-d',
    modes: ['legacy', 'scalable'],
    levels: { second: [3, 5], first: [4, 5], nested: [4, 5] },
    secondLevels: [3, 5],
    granules: [4 * KiB],
    deviceLevels: [2, 2],
    processLevels: [2, 2],
    queueLg2: [7, 15],
    faultRecords: { range: [1, 256], powerOfTwo: false },
    pageRequests: [128, 16384],
  },
  amdvi: {
    title: 'AMD-Vi',
    modes: ['native'],
    levels: { second: [1, 6], first: [4, 5], nested: [4, 5] },
    secondLevels: [3, 6],
    granules: [4 * KiB],
    deviceLevels: [1, 1],
    processLevels: [0, 3],
    queueLg2: [8, 15],
    faultRecords: { range: [256, 32768], powerOfTwo: true },
    pageRequests: [256, 32768],
  },
  smmuv3: {
    title: 'Arm SMMUv3',
    pageRequests: [1, 32768],
    modes: ['native'],
    levels: { second: [1, 4], first: [1, 4], nested: [1, 4] },
    secondLevels: [1, 4],
    granules: [4 * KiB, 16 * KiB, 64 * KiB],
    deviceLevels: [1, 2],
    processLevels: [0, 2],
    queueLg2: [7, 19],
  },
  riscv: {
    title: 'the RISC-V IOMMU',
    modes: ['native'],
    levels: { second: [3, 5], first: [3, 5], nested: [3, 5] },
    secondLevels: [3, 5],
    granules: [4 * KiB],
    deviceLevels: [1, 3],
    processLevels: [0, 3],
    requesterBits: [0, 7, 16, 24],
    queueLg2: [4, 20],
    faultRecords: { range: [2, 32768], powerOfTwo: true },
    pageRequests: [2, 32768],
  },
  virtio: {
    title: 'virtio-iommu',
    modes: ['native'],
    levels: { second: [3, 5] },
    secondLevels: [0, 0],
    granules: [4 * KiB],
    deviceLevels: [0, 0],
    processLevels: [0, 0],
    queueLg2: [4, 15],
  },
  tce: {
    title: 'POWER TCE tables',
    modes: ['native'],
    levels: { second: [1, 5] },
    secondLevels: [0, 0],
    granules: [4 * KiB, 64 * KiB, 2 * KiB * KiB, KiB ** 3],
    deviceLevels: [1, 1],
    processLevels: [0, 0],
    onePageSize: true,
    faultRecords: { range: [1, 1], powerOfTwo: false },
    queueLg2: NO_QUEUE,
  },
  dart: {
    title: 'Apple DART',
    modes: ['native'],
    levels: { second: [2, 3] },
    secondLevels: [0, 0],
    granules: [4 * KiB, 16 * KiB],
    deviceLevels: [0, 0],
    processLevels: [0, 0],
    hostAddressWidths: [36, 42],
    onePageSize: true,
    faultRecords: { range: [1, 1], powerOfTwo: false },
    queueLg2: NO_QUEUE,
  },
  ideal: {
    title: 'an ideal IOMMU',
    modes: ['native'],
    levels: { second: [3, 5] },
    secondLevels: [0, 0],
    granules: [4 * KiB],
    deviceLevels: [0, 0],
    processLevels: [0, 0],
    queueLg2: NO_QUEUE,
  },
};

/** Devices that a unit can tell apart: streams of a DART (the root port's table has 64), endpoints of a POWER host bridge but the reserved one. */
export function mostRequesters({ architecture, levels }: IommuSpec): number {
  if (architecture === 'dart') return levels === 3 ? 64 : 16;
  return architecture === 'tce' ? 511 : 65536;
}

/** Bits of the PASIDs that a unit translates by; 0: it does not. */
export function pasidBits({ architecture, mode, stage, processLevels }: IommuSpec): number {
  switch (architecture) {
    case 'vtd':
      return mode === 'scalable' ? 20 : 0;
    case 'amdvi':
      return stage === 'second' ? 0 : Math.min(9 * processLevels, 20);
    case 'smmuv3':
      // A linear table has 1024 context descriptors, as many as a leaf of a two-level one.
      return stage === 'second' || processLevels === 0 ? 0 : processLevels === 1 ? 10 : 20;
    case 'riscv':
      return [0, 8, 17, 20][processLevels]!;
    default:
      return 0;
  }
}

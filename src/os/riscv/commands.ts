/**
 * The IOTINVAL commands that remove a range (riscv_iommu_iotlb_inval, riscv_iommu_tlbi_calc in drivers/iommu/riscv/iommu.c): with the
 * range extension (S) one for the smallest naturally aligned power of two that covers it, else one for each page, or everything of
 * the address space when those are too many or when table pages were freed and the unit cannot remove non-leaf entries by address.
 */
import { Command, encodeInvalidation } from '../../iommu/arch/riscv/format.js';
import type { UnitSpec } from '../spec.js';
import { addressMask, blockStart } from '../flush-range.js';
import { COMMAND_WORDS } from './queue.js';

const PAGE = 4096;
/** More commands than this make one for the whole address space. */
const MOST_COMMANDS = 512;
const LARGE_PAGES = [2 ** 30, 2 ** 21] as const;

/** Bytes that one command without a range removes. A table whose whole span is unmapped is freed: as none was, leaves span it. */
function stride(iova: number, bytes: number): number {
  return LARGE_PAGES.find((size) => iova % size === 0 && bytes % size === 0) ?? PAGE;
}

/** Which caches, and whose entries. */
export interface Scope {
  readonly command: Command.InvalidateFirst | Command.InvalidateSecond;
  readonly pscid: number;
  readonly gscid: number;
}

/** Commands: `count` of them, each by address from `start` on in steps; one without address where `start` is -1. */
export interface Plan {
  readonly start: number;
  readonly count: number;
  readonly step: number;
  readonly pagesLg2: number;
  readonly nonLeaf: boolean;
}

export const EVERYTHING: Plan = { start: -1, count: 1, step: 0, pagesLg2: 0, nonLeaf: false };

/** How a unit is told that [iova, iova + bytes) is unmapped. */
export function planRange(spec: UnitSpec, iova: number, bytes: number, tablesFreed: boolean): Plan {
  const { maxAddressMask } = spec.invalidation;
  // Units with the range extension have the non-leaf one too.
  const extended = maxAddressMask > 0;
  if (extended) {
    const pagesLg2 = addressMask(iova, bytes);
    if (pagesLg2 > maxAddressMask) return EVERYTHING;
    return { start: blockStart(iova, pagesLg2), count: 1, step: 0, pagesLg2, nonLeaf: tablesFreed };
  }
  if (tablesFreed) return EVERYTHING;
  const step = stride(iova, bytes);
  const count = bytes / step;
  if (count > MOST_COMMANDS) return EVERYTHING;
  return { start: iova, count, step, pagesLg2: 0, nonLeaf: false };
}

/** Command `index` of a plan, into COMMAND_WORDS dwords. */
export function encodePlan(out: Int32Array, plan: Plan, index: number, { command, pscid, gscid }: Scope): void {
  const address = plan.start < 0 ? -1 : plan.start + index * plan.step;
  const { pagesLg2, nonLeaf } = plan;
  encodeInvalidation(out, 0, command, { pscid, gscid, address, pagesLg2, nonLeaf });
}

export function newCommand(): Int32Array {
  return new Int32Array(COMMAND_WORDS);
}

import { describe, expect, it } from 'vitest';
import { TableWork } from '../pagetable/work.js';
import { mapTime, type TableProfile, unmapTime } from './table-costs.js';

const PROFILE: TableProfile = {
  rootPerLeaf: false,
  map: { call: 1e6, leaf: 1e4, slot: 100, level: 1 },
  unmap: { call: 2e6, leaf: 2e4, slot: 200, level: 2 },
};

function work(counts: Partial<TableWork>): TableWork {
  return Object.assign(new TableWork(), counts);
}

describe('page-table code', () => {
  const counts = work({
    leaves: 3,
    contiguous: 32,
    levels: 4,
    levelsPerLeaf: 12,
    entries: 99,
    lines: 98,
    tablesAllocated: 97,
  });

  it('takes its terms times their counts', () => {
    expect(mapTime(PROFILE, counts)).toBe(1e6 + 3e4 + 3200 + 4);
    expect(unmapTime(PROFILE, counts)).toBe(6e4 + 6400 + 8);
  });

  it('pays for the way from the root with every leaf if it does not keep its place', () => {
    const restarting = { ...PROFILE, rootPerLeaf: true };
    expect(mapTime(restarting, counts) - mapTime(PROFILE, counts)).toBe(12 - 4);
    expect(unmapTime(restarting, counts) - unmapTime(PROFILE, counts)).toBe(2 * (12 - 4));
  });

  it('takes a call without work its call term', () => {
    expect(mapTime(PROFILE, work({}))).toBe(1e6);
    expect(unmapTime(PROFILE, work({}))).toBe(0);
  });
});

import { describe, expect, it } from 'vitest';
import type { IommuSpec } from '../iommu/spec.js';
import { unitSpec } from '../iommu/testing/spec.js';
import { checkArchitecture } from './check-architecture.js';

const SMMU = { architecture: 'smmuv3', mode: 'native', stage: 'first', hostAddressWidth: 48 } as const;
const KiB = 1024;

function problems(changes: Partial<IommuSpec>): string[] {
  const unit = unitSpec({ ...SMMU, invalidation: { sizeLg2: 8 }, ...changes } as never);
  return checkArchitecture(unit, []).map(({ code, path, message }) => `${code} ${path.join('.')}: ${message}`);
}

describe('configurations of Arm SMMUv3', () => {
  it.each<Partial<IommuSpec>>([
    {},
    { levels: 2 },
    { granule: 16 * KiB, levels: 1 },
    { granule: 64 * KiB, levels: 3, largestPage: 512 * KiB * KiB },
    { stage: 'second', levels: 3, hostAddressWidth: 40 },
    { stage: 'nested', secondLevels: 3, deviceLevels: 1, processLevels: 1 },
  ])('%o', (changes) => {
    expect(problems(changes)).toEqual([]);
  });

  it.each<[Partial<IommuSpec>, string]>([
    [{ levels: 1 }, 'E305 levels: stage 1 tables with pages of 4KiB have 2 to 4 levels, not 1'],
    [
      { granule: 64 * KiB, levels: 4, largestPage: 64 * KiB },
      'E305 levels: stage 1 tables with pages of 64KiB have 1 to 3 levels, not 4',
    ],
    [
      { granule: 16 * KiB, levels: 4, stage: 'second', largestPage: 16 * KiB },
      'E305 levels: stage 2 tables with pages of 16KiB have 1 to 3 levels, not 4',
    ],
    [
      { stage: 'second', levels: 4, hostAddressWidth: 40 },
      'E305 levels: 4 levels of stage 2 with pages of 4KiB need 44 address bits, not 40',
    ],
    [
      { stage: 'nested', secondLevels: 1 },
      'E305 secondLevels: stage 2 tables with pages of 4KiB have 2 to 4 levels, not 1',
    ],
    [{ processLevels: 0 }, 'E305 processLevels: first-stage tables of Arm SMMUv3 hang on a process directory'],
    [{ mode: 'scalable' }, 'E305 mode: Arm SMMUv3 has native mode, not scalable'],
  ])('%o: %s', (changes, problem) => {
    expect(problems(changes)).toEqual([problem]);
  });

  it('queues of 2^7 to 2^19 commands', () => {
    const of = (sizeLg2: number): string[] => problems({ invalidation: { sizeLg2 } as IommuSpec['invalidation'] });
    expect(of(7)).toEqual([]);
    expect(of(6)).toEqual(['E301 invalidation.sizeLg2: 6 is outside 7 to 19, the queue sizes of Arm SMMUv3']);
    expect(of(20).length).toBe(1);
  });
});

import { describe, expect, it } from 'vitest';
import type { IommuSpec } from '../iommu/spec.js';
import { type UnitChanges, unitSpec } from '../iommu/testing/spec.js';
import { checkArchitecture, checkRequester } from './check-architecture.js';
import type { Fault } from './problems.js';

function unit(changes: UnitChanges): IommuSpec {
  return unitSpec({ architecture: 'riscv', mode: 'native', stage: 'first', processLevels: 0, ...changes });
}

const text = (faults: readonly Fault[]): string[] =>
  faults.map(({ code, path, message }) => `${code} ${path.join('.')}: ${message}`);

describe('configurations of the RISC-V IOMMU', () => {
  it.each<UnitChanges>([
    {},
    { levels: 3, deviceLevels: 1 },
    { levels: 5, deviceLevels: 3, processLevels: 3 },
    { stage: 'second', levels: 3 },
    { stage: 'nested', secondLevels: 5 },
  ])('%o', (changes) => {
    expect(text(checkArchitecture(unit(changes), []))).toEqual([]);
  });

  it.each<[UnitChanges, string]>([
    [{ levels: 2 }, 'E305 levels: table levels (first stage) of the RISC-V IOMMU: 3 to 5, not 2'],
    [{ stage: 'nested', secondLevels: 2 }, 'E305 secondLevels: second-stage levels of the RISC-V IOMMU: 3 to 5, not 2'],
    [{ deviceLevels: 0 }, 'E305 deviceLevels: device directory levels of the RISC-V IOMMU: 1 to 3, not 0'],
    [{ granule: 16384 }, 'E305 granule: the RISC-V IOMMU has pages of 4KiB'],
    [{ mode: 'legacy' }, 'E305 mode: the RISC-V IOMMU has native mode, not legacy'],
    [
      { invalidation: { sizeLg2: 3 } },
      'E301 invalidation.sizeLg2: 3 is outside 4 to 20, the queue sizes of the RISC-V IOMMU',
    ],
    [
      { faults: { records: 6 } },
      'E301 faults.records: fault records of the RISC-V IOMMU: a power of two from 2 to 32768, not 6',
    ],
  ])('%o: %s', (changes, problem) => {
    expect(text(checkArchitecture(unit(changes), []))).toEqual([problem]);
  });

  it('a device directory takes ids of 7, 16 or 24 bits', () => {
    const of = (deviceLevels: number, requester: number): string[] =>
      text(checkRequester(unit({ deviceLevels }), requester, ['requester'], ['iommu0']));
    expect(of(1, 0x7f)).toEqual([]);
    expect(of(1, 0x80)).toEqual(['E305 requester: a device directory of 1 levels takes ids of 7 bits']);
    expect(of(2, 0xffff)).toEqual([]);
    expect(of(3, 0xffff)).toEqual([]);
  });
});

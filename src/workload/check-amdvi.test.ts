import { describe, expect, it } from 'vitest';
import type { IommuSpec } from '../iommu/spec.js';
import { unitSpec } from '../iommu/testing/spec.js';
import { checkArchitecture } from './check-architecture.js';
import { InputError } from './errors.js';
import { resolveWorkload } from './resolve.js';
import { SAMPLE } from './testing/sample.js';

const AMD = {
  architecture: 'amdvi',
  mode: 'native',
  levels: 3,
  secondLevels: 0,
  deviceLevels: 1,
  faults: { records: 512, pageRequests: 512 },
} as const;
const KiB = 1024;

function problems(changes: object): string[] {
  const { faults, ...others } = changes as Partial<IommuSpec>;
  const unit = unitSpec({ ...AMD, ...others, faults: { ...AMD.faults, ...faults } } as Partial<IommuSpec>);
  return checkArchitecture(unit, []).map(({ code, path, message }) => `${code} ${path.join('.')}: ${message}`);
}

describe('configurations of AMD-Vi', () => {
  it.each([
    {},
    { levels: 1 },
    { levels: 6 },
    { processLevels: 0 },
    { stage: 'first', levels: 4, processLevels: 1 },
    { stage: 'first', levels: 5, processLevels: 3 },
    { stage: 'nested', levels: 4, secondLevels: 3 },
    { stage: 'nested', levels: 5, secondLevels: 6 },
    { invalidation: { sizeLg2: 15 } },
    { faults: { records: 32768 } },
  ])('%o', (changes) => {
    expect(problems(changes)).toEqual([]);
  });

  it.each([
    [{ mode: 'scalable' }, 'E305 mode: AMD-Vi has native mode, not scalable'],
    [{ levels: 7 }, 'E305 levels: table levels (second stage) of AMD-Vi: 1 to 6, not 7'],
    [{ stage: 'first' }, 'E305 levels: table levels (first stage) of AMD-Vi: 4 to 5, not 3'],
    [
      { stage: 'nested', levels: 6, secondLevels: 4 },
      'E305 levels: table levels (nested stage) of AMD-Vi: 4 to 5, not 6',
    ],
    [{ stage: 'nested', levels: 4 }, 'E305 secondLevels: second-stage levels of AMD-Vi: 3 to 6, not 0'],
    [{ granule: 64 * KiB }, 'E305 granule: AMD-Vi has pages of 4KiB'],
    [{ deviceLevels: 2 }, 'E305 deviceLevels: device directory levels of AMD-Vi: 1, not 2'],
    [
      { stage: 'first', levels: 4, processLevels: 0 },
      'E305 processLevels: first-stage tables of AMD-Vi hang on a process directory',
    ],
    [{ invalidation: { sizeLg2: 7 } }, 'E301 invalidation.sizeLg2: 7 is outside 8 to 15, the queue sizes of AMD-Vi'],
    [
      { faults: { records: 300 } },
      'E301 faults.records: fault records of AMD-Vi: a power of two from 256 to 32768, not 300',
    ],
    [
      { faults: { records: 128 } },
      'E301 faults.records: fault records of AMD-Vi: a power of two from 256 to 32768, not 128',
    ],
  ])('%o', (changes, problem) => {
    expect(problems(changes)).toEqual([problem]);
  });

  it('VT-d has at most 256 fault recording registers', () => {
    const unit = unitSpec({ faults: { records: 512 } });
    expect(checkArchitecture(unit, []).map(({ message }) => message)).toEqual([
      'fault records of Intel VT-d: 1 to 256, not 512',
    ]);
  });
});

describe('host tables under guest tables', () => {
  const sets = (secondLevels: number): string[] =>
    Object.entries({ preset: 'amdvi-genoa', stage: 'nested', levels: 4, secondLevels }).map(
      ([key, value]) => `machine.iommus.iommu0.${key}=${value}`,
    );

  it('reach all of memory', () => {
    const large = [...sets(3), 'machine.sockets.s0.dram.size=1TiB'];
    expect(() => resolveWorkload(SAMPLE, 'w.yaml', large)).toThrow(InputError);
    expect(() => resolveWorkload(SAMPLE, 'w.yaml', large)).toThrow(
      'machine.iommus.iommu0.secondLevels: 3 levels of second-stage tables do not reach the 1TiB of memory of this machine',
    );
    expect(() => resolveWorkload(SAMPLE, 'w.yaml', [...sets(4), 'machine.sockets.s0.dram.size=1TiB'])).not.toThrow();
    expect(() => resolveWorkload(SAMPLE, 'w.yaml', sets(3))).not.toThrow();
  });
});

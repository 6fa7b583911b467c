import { describe, expect, it } from 'vitest';
import type { IommuSpec } from '../iommu/spec.js';
import { unitSpec } from '../iommu/testing/spec.js';
import type { GuestMode } from '../os/guest/spec.js';
import { checkGuest } from './check-guest.js';

function problems(mode: GuestMode, changes: Partial<IommuSpec>, stage2Change = 0): string[] {
  const iommus = { u: unitSpec(changes as never) };
  const point = { os: { guest: { mode, stage2Change } }, machine: { iommus } } as never;
  return checkGuest(point).map(({ code, path, message }) => `${code} ${path.join('.')}: ${message}`);
}

const VTD = { architecture: 'vtd', mode: 'scalable' } as const;
const SMMU = { architecture: 'smmuv3', mode: 'native', stage: 'nested' } as const;

describe('the way a guest has its IOMMU', () => {
  it.each<[GuestMode, Partial<IommuSpec>]>([
    ['none', { architecture: 'virtio', mode: 'native' }],
    ['caching', { ...VTD, stage: 'second' }],
    ['caching', { architecture: 'vtd', mode: 'legacy', stage: 'second' }],
    ['caching', { architecture: 'none' }],
    ['nested-trapped', { ...VTD, stage: 'nested' }],
    ['nested-trapped', SMMU],
    ['nested-queue', SMMU],
    ['caching', { architecture: 'amdvi', mode: 'native', stage: 'second' }],
    ['nested-queue', { architecture: 'amdvi', mode: 'native', stage: 'nested' }],
  ])('%s on %o', (mode, changes) => {
    expect(problems(mode, changes)).toEqual([]);
  });

  it.each<[GuestMode, Partial<IommuSpec>, string]>([
    ['caching', { ...VTD, stage: 'first' }, 'caching mode shadows second-stage tables'],
    ['caching', { ...SMMU, stage: 'second' }, 'only VT-d and AMD-Vi have a caching mode here'],
    ['nested-trapped', { ...VTD, stage: 'second' }, 'a guest that owns the first stage needs nested tables'],
    ['nested-trapped', { architecture: 'virtio', mode: 'native' }, 'nested guests are of VT-d, AMD-Vi and SMMUv3 only'],
    [
      'nested-queue',
      { ...VTD, stage: 'nested' },
      'only SMMUv3 and AMD-Vi have queues that hardware executes for a guest here',
    ],
  ])('not %s on %o', (mode, changes, reason) => {
    expect(problems(mode, changes)).toEqual([
      `E305 os.guest.mode: "u" cannot serve a guest in mode ${mode}: ${reason}`,
    ]);
  });

  it('changes of a second stage need one', () => {
    expect(problems('nested-trapped', SMMU, 5)).toEqual([]);
    expect(problems('caching', { ...VTD, stage: 'second' }, 5)).toEqual([
      'E305 os.guest.stage2Change: a guest in mode caching has no second stage',
    ]);
  });
});

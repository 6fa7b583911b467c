import { describe, expect, it } from 'vitest';
import { testCosts } from './testing/costs.js';
import { LEGACY, LINUX, UNIT } from './testing/machine.js';
import type { OsSpec, UnitSpec } from './spec.js';
import { tableFormat, tableProfile } from './table-code.js';
import { TABLE_FORMATS, type TableCode, type TableCosts, type TableFormat } from './table-costs.js';

const unit = (spec: Partial<UnitSpec>): UnitSpec => ({ ...UNIT, ...spec });

describe('page-table code of a unit', () => {
  it.each<[TableFormat, Partial<UnitSpec>]>([
    ['vtdss', { architecture: 'vtd', mode: 'legacy', stage: 'second' }],
    ['vtdss', { architecture: 'vtd', mode: 'scalable', stage: 'second' }],
    ['x86_64', { architecture: 'vtd', mode: 'scalable', stage: 'first' }],
    ['x86_64', { architecture: 'vtd', mode: 'scalable', stage: 'nested' }],
    ['amdv1', { architecture: 'amdvi', stage: 'second' }],
    ['x86_64', { architecture: 'amdvi', stage: 'first' }],
    ['armv8', { architecture: 'smmuv3', stage: 'first' }],
    ['armv8', { architecture: 'smmuv3', stage: 'second' }],
    ['riscv64', { architecture: 'riscv', stage: 'first' }],
    ['armv8', { architecture: 'dart', stage: 'first' }],
    ['armv8', { architecture: 'tce', stage: 'second' }],
    ['armv8', { architecture: 'virtio', stage: 'second' }],
    ['vtdss', { architecture: 'ideal' }],
  ])('maintains %s tables for %o', (format, spec) => {
    expect(tableFormat(unit(spec))).toBe(format);
  });

  /** Profiles that can be told apart: `call` is a number of its own for each. */
  const costs = testCosts({
    table: Object.fromEntries(
      TABLE_FORMATS.map((format, i) => {
        const profile = (call: number) => {
          const terms = { call, leaf: 0, slot: 0, level: 0 };
          return { rootPerLeaf: false, map: terms, unmap: terms };
        };
        return [format, { generic: profile(10 * i), legacy: profile(10 * i + 1) }];
      }),
    ) as unknown as TableCosts,
  });
  const callOf = (spec: Partial<UnitSpec>, tableCode: Partial<OsSpec['tableCode']>): number =>
    tableProfile(
      { costs, perPageCallbacks: false, tableCode: { ...LEGACY, ...tableCode }, dma: { strategy: LINUX } },
      unit(spec),
    ).map.call;
  const expected = (format: TableFormat, code: TableCode): number => costs.table[format][code].map.call;

  it('is the generation that the kernel has for the format, whatever it has for others', () => {
    const amd = { architecture: 'amdvi', stage: 'second' } as const;
    expect(callOf(amd, {})).toBe(expected('amdv1', 'legacy'));
    expect(callOf(amd, { amdv1: 'generic' })).toBe(expected('amdv1', 'generic'));
    expect(callOf(amd, { x86_64: 'generic', vtdss: 'generic' })).toBe(expected('amdv1', 'legacy'));
  });

  it('was one function for both stages in the VT-d driver, but not in the AMD driver', () => {
    const first = { mode: 'scalable', stage: 'first' } as const;
    expect(callOf({ architecture: 'vtd', ...first }, {})).toBe(expected('vtdss', 'legacy'));
    expect(callOf({ architecture: 'vtd', ...first }, { x86_64: 'generic' })).toBe(expected('x86_64', 'generic'));
    expect(callOf({ architecture: 'amdvi', stage: 'first' }, {})).toBe(expected('x86_64', 'legacy'));
  });
});

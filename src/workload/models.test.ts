import { describe, expect, test } from 'vitest';
import { findSheet, SHEETS } from '../models/catalog.js';
import { defineSheet, type Sheet, sheetInput, sheetRows } from '../models/sheet.js';
import { assumed } from '../models/quantity.js';
import { resolveWorkload } from './resolve.js';
import { checkModelContract } from './testing/model-contract.js';
import { sampleWith } from './testing/sample.js';

describe('model sheets', () => {
  test.each(SHEETS.map((sheet) => [sheet.name, sheet] as const))('%s satisfies the contract', (_, sheet) => {
    checkModelContract(sheet);
  });

  test('names are unique', () => {
    expect(new Set(SHEETS.map((sheet) => sheet.name)).size).toBe(SHEETS.length);
    expect(findSheet('no-such-sheet')).toBeNull();
  });

  test('the contract sees a number without source and a key that is not in the Spec', () => {
    const sheet = findSheet('linux-7.2')!;
    const broken = (parameters: object): Sheet => ({ ...sheet, parameters: { ...sheet.parameters, ...parameters } });
    expect(() => checkModelContract(broken({ tick: assumed(4, 'ms', '') }))).toThrow('source');
    expect(() => checkModelContract(broken({ tick: assumed(4, '', 'a source') }))).toThrow('unit');
    expect(() => checkModelContract(broken({ tock: assumed(4, 'ms', 'a source') }))).toThrow();
  });

  test('fitted values replace starting values, with their own source and confidence', () => {
    const row = sheetRows(findSheet('vtd-bdw-ep')!).find(({ path }) => path === 'walkers.replay')!;
    expect(row.confidence).toBe('fitted');
    expect(row.source).toContain('PCIB-BDW');
  });

  test('a fitted value for a path that does not exist or of another unit is a defect', () => {
    const sheet = findSheet('vtd-bdw-ep')!;
    expect(() => defineSheet({ ...sheet, parameters: {} })).toThrow('does not exist');
    const iotlb = { entries: assumed(4, 'ns', 'a time, not a number of entries') };
    expect(() => defineSheet({ ...sheet, parameters: { iotlb } })).toThrow('another unit');
  });

  test('the preset of a unit replaces what the machine says about it, and overrides apply on top', () => {
    const unit = '    iommu0:\n      preset: vtd-spr\n      walkers:\n        count: 3\n';
    const text = sampleWith('    iommu0:\n      walkers:\n        count: 8\n', unit);
    const { iommu0 } = resolveWorkload(text, 'f').points[0]!.spec.machine.iommus;
    expect(iommu0!.mode).toBe('scalable');
    expect(iommu0!.iotlb.entries).toBe(256);
    expect(iommu0!.walkers.count).toBe(3);
    expect(iommu0!.socket).toBe('s0');
  });

  test('sheet input spells quantities as workload files do', () => {
    const input = sheetInput(findSheet('skx-8160')!) as { sockets: { s0: { llc: { size: string }; cores: number } } };
    expect(input.sockets.s0.llc.size).toBe('33MiB');
    expect(input.sockets.s0.cores).toBe(24);
  });
});

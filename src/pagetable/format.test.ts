import { describe, expect, it } from 'vitest';
import { FrameAllocator } from '../memory/frames.js';
import { PhysicalMemory } from '../memory/physical.js';
import { Access } from '../protocol/access.js';
import { compileFormat, EntryKind, Permission, Row } from './format.js';
import { vtdSecondStage } from './formats/vtdss.js';
import { armv8 } from './formats/armv8.js';
import { tce } from './formats/tce.js';
import { PageTable } from './table.js';
import { riscv } from './formats/riscv.js';
import { x86FirstStage } from './formats/x86_64.js';

const sv = { hostAddressWidth: 50, hardwareUpdates: true, napot: false, pageTypes: false };
const second = vtdSecondStage({
  ...{ hostAddressWidth: 46, guestAddressWidth: 48, largestPageLg2: 30 },
  ...{ scalable: false, snoopControl: false, accessedDirty: true },
});

describe('compileFormat', () => {
  it('classifies by level: bit 7 makes a leaf at levels 2 and 3 only', () => {
    const format = compileFormat(second);
    const kinds = [1, 2, 3, 4, 5].map((level) =>
      [0, 1, 2, 0x81, 0x83].map((word) => format.rows[format.classify(level, 0, word) + Row.Kind]),
    );
    const { Absent, Table, Leaf } = { Absent: EntryKind.Absent, Table: EntryKind.Table, Leaf: EntryKind.Leaf };
    expect(kinds).toEqual([
      [Absent, Leaf, Leaf, Leaf, Leaf],
      [Absent, Table, Table, Leaf, Leaf],
      [Absent, Table, Table, Leaf, Leaf],
      [Absent, Table, Table, Table, Table],
      [Absent, Table, Table, Table, Table],
    ]);
  });

  it('keeps the address bits below the width out of the reserved mask', () => {
    const format = compileFormat(second);
    const row = format.classify(1, 0, 3);
    // Bits 62 and 51:46 in the upper half, bit 11 (no snoop control) in the lower half; levels above also bit 7.
    expect(format.rows[row + Row.ReservedHi]! >>> 0).toBe(0x400f_c000);
    expect(format.rows[row + Row.ReservedLo]).toBe(0x800);
    expect(format.rows[format.classify(4, 0, 3) + Row.ReservedLo]).toBe(0x880);
    expect(format.rows[format.classify(2, 0, 0x83) + Row.ReservedLo]).toBe(0x1f_f800);
    expect(format.rows[format.classify(3, 0, 0x83) + Row.ReservedLo]).toBe(0x3fff_f800);
  });

  it('knows what a permission set becomes', () => {
    const format = compileFormat(second);
    expect(format.permissionsFor(Access.None)).toBe(-1);
    expect(format.templates.granted[format.permissionsFor(Access.Write)]).toBe(Permission.All & ~Permission.Read);
    const first = compileFormat(x86FirstStage({ hostAddressWidth: 46, largestPageLg2: 30, executeDisable: true }));
    expect(first.templates.granted[first.permissionsFor(Access.Write)]).toBe(
      Permission.All & ~(Permission.Execute | Permission.SupervisorExecute),
    );
    const leafOnly = compileFormat(riscv({ ...sv, secondStage: false }));
    expect(leafOnly.permissionsFor(Access.None)).toBe(-1);
    expect(leafOnly.templates.granted[leafOnly.permissionsFor(Access.Write)]).toBe(
      Permission.Read | Permission.Write | Permission.User,
    );
  });

  it('takes root tables of more than one page and canonical widths from the numbers', () => {
    const format = compileFormat(riscv({ ...sv, secondStage: true }));
    expect([format.rootBytes(3, 41), format.tableBytes, format.inputWidth(3)]).toEqual([16384, 4096, 41]);
    expect(compileFormat(riscv({ ...sv, secondStage: false })).mappableBytes(39)).toBe(2 ** 38);
    expect(format.templates.leafSizes).toEqual([48, 39, 30, 21, 12]);
  });

  it('says which field or level a description forgot', () => {
    expect(() => compileFormat({ ...second, fields: { R: [0, 0] } })).toThrow('VT-d second stage: no field ADDRESS');
    expect(() => compileFormat({ ...second, rules: second.rules.slice(0, 2) })).toThrow('no rule for a level 2 entry');
  });

  it('refuses combinations that do not exist', () => {
    const arm = { stage: 1, hostAddressWidth: 48, updates: 'none', contiguous: false } as const;
    expect(() => armv8({ ...arm, granuleLg2: 12, wideAddresses: true })).toThrow('64 KiB granule');
    expect(() => tce({ hostAddressWidth: 51, pageLg2: 12, indexBits: 28 })).toThrow(RangeError);
    const format = compileFormat(armv8({ ...arm, granuleLg2: 14 }));
    const make = (levels: number, inputLg2: number): PageTable =>
      new PageTable(format, new PhysicalMemory(), new FrameAllocator(0, 2 ** 20), levels, 'covered', { inputLg2 });
    expect(() => make(3, 48)).toThrow('3 levels do not translate 48 bits');
    expect(() => make(5, 48)).toThrow('no table of 5 levels');
    expect(make(4, 48).rootBytes).toBe(16);
    expect(() => compileFormat({ ...second, fields: { ...second.fields, D: [52, 52] } })).toThrow(
      'must be in bits 31:0',
    );
  });
});

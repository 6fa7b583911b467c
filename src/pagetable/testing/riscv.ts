/**
 * RISC-V Sv39, Sv48 and their x4 forms as descriptions (privileged specification, "Sv39" and "Two-stage address translation"), to
 * prove in tests that formats unlike x86 are data too: shifted address field, permissions in the leaf only, a 16 KiB root table,
 * 512 GiB leaves. Without Svnapot and Svpbmt.
 */
import type { EntryRule, FormatDescription } from '../description.js';

export function riscv(height: 3 | 4, hostAddressWidth: number, secondStage: boolean): FormatDescription {
  const common = { preset: { V: 1 }, presetIfWritable: {}, setWhenUsed: {}, setWhenWritten: {} } as const;
  const none = { read: 'always', write: 'always', execute: 'always', user: 'always' } as const;
  const upper = [63, 54] as const;
  const leaf = (level: number): EntryRule[] =>
    [{ R: 1 }, { X: 1 }].map((when) => ({
      ...common,
      kind: 'leaf',
      levels: [level, level],
      when,
      // A writable page that is not readable is reserved; PPN bits below the page size must be zero.
      reserved: [upper, ...(level > 1 ? [[9 * level, 10] as const] : []), ...('X' in when ? [[2, 2] as const] : [])],
      grants: { read: { R: 1 }, write: { W: 1 }, execute: { X: 1 }, user: { U: 1 } },
      preset: { V: 1, A: 1 },
      presetIfWritable: { D: 1 },
      setWhenUsed: { A: 1 },
      setWhenWritten: { D: 1 },
    }));
  return {
    name: `RISC-V Sv${height === 3 ? 39 : 48}${secondStage ? 'x4' : ''}`,
    source: 'RISC-V privileged specification',
    granuleLg2: 12,
    indexBits: 9,
    rootExtraBits: secondStage ? 2 : 0,
    heights: [height],
    inputLimitLg2: 64,
    signExtended: !secondStage,
    hostAddressWidth,
    fields: {
      ...{ V: [0, 0], R: [1, 1], W: [2, 2], X: [3, 3], U: [4, 4], A: [6, 6], D: [7, 7] },
      PPN: [53, 10],
    },
    address: { field: 'PPN', lowestBit: 12 },
    earlyPermissions: 0,
    rules: [
      { ...common, kind: 'absent', levels: [1, 4], when: { V: 0 }, reserved: [], grants: none },
      ...[1, 2, 3, 4].flatMap(leaf),
      { ...common, kind: 'absent', levels: [1, 1], when: {}, reserved: [], grants: none },
      { ...common, kind: 'table', levels: [2, 4], when: {}, reserved: [upper, [2, 2], [7, 6], [4, 4]], grants: none },
    ],
  };
}

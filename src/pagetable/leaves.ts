/** Reads the leaves of a table without changing it, as software does that keeps a copy of somebody else's table. Cold. */
import type { PhysicalMemory } from '../memory/physical.js';
import { Access } from '../protocol/access.js';
import { EntryKind, Row, Size } from './format.js';
import type { PageTable } from './table.js';

export interface TableLeaf {
  readonly iova: number;
  readonly bytes: number;
  readonly pa: number;
  readonly access: Access;
}

/** The leaves that map any address of [start, end), in ascending order. */
export function leavesOf(table: PageTable, memory: PhysicalMemory, start: number, end: number): TableLeaf[] {
  const { format, root, rootBytes, levels } = table;
  const found: TableLeaf[] = [];
  const visit = (base: number, bytes: number, level: number, from: number, to: number): void => {
    const span = format.span[level]!;
    for (let at = Math.floor(from / span) * span; at < to; ) {
      const entry = base + ((Math.floor(at / span) * 8) & (bytes - 8));
      memory.read(Math.floor(entry / 2 ** 32), entry | 0);
      const { wordHi, wordLo } = memory;
      const row = format.classify(level, wordHi, wordLo);
      const kind = format.rows[row + Row.Kind]!;
      let next = at + span;
      if (kind === EntryKind.Table) {
        visit(format.addressOf(wordHi, wordLo), format.tableBytes, level - 1, Math.max(at, from), Math.min(next, to));
      } else if (kind === EntryKind.Leaf) {
        const coded = format.rows[row + Row.SizeLg2]!;
        const sizeLg2 =
          coded === Size.Coded
            ? format.codedSize(row, format.addressHi(wordHi, wordLo), format.addressLo(wordLo))
            : coded;
        const size = 2 ** sizeLg2;
        const iova = Math.floor(at / size) * size;
        const pa = Math.floor(format.addressOf(wordHi, wordLo) / size) * size;
        const access: Access = format.rows[row + Row.Permissions]! & (Access.Read | Access.Write);
        found.push({ iova, bytes: size, pa, access });
        next = iova + size;
      }
      at = next;
    }
  };
  visit(root, rootBytes, levels, start, end);
  return found;
}

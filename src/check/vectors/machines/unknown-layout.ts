/** Layout of directory entries whose fields nobody has named: raw words only. */
import type { EntryLayout } from '../../../iommu/entry-layout.js';

export function unknownLayout(entry: number): EntryLayout {
  return { title: `directory entry of kind ${entry}`, source: 'fields not named', fields: [] };
}

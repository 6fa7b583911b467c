/**
 * One call of map or unmap on a real table, counted, and what a profile makes of the counts. Tables are as deep as those of the
 * published benchmark (the kunit configurations of drivers/iommu/generic_pt/fmt), and the call was made before, so that it allocates
 * and frees no table page: neither do the loops that were timed.
 */
import { FrameAllocator } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { mapTime, type TableFormat, type TableProfile, unmapTime } from '../../os/table-costs.js';
import type { FormatDescription } from '../../pagetable/description.js';
import { compileFormat } from '../../pagetable/format.js';
import { amdHost } from '../../pagetable/formats/amdv1.js';
import { armv8 } from '../../pagetable/formats/armv8.js';
import { riscv } from '../../pagetable/formats/riscv.js';
import { vtdSecondStage } from '../../pagetable/formats/vtdss.js';
import { amdGuest } from '../../pagetable/formats/x86_64.js';
import { PageTable } from '../../pagetable/table.js';
import type { TableWork } from '../../pagetable/work.js';
import { Access } from '../../protocol/access.js';
import type { CodePoint, CodeSeries } from './published.js';

const hostAddressWidth = 48;
const FRAMES = { base: 2 ** 40, size: 2 ** 20 };

interface Geometry {
  readonly description: FormatDescription;
  readonly levels: number;
}

const GEOMETRY: Readonly<Record<TableFormat, Geometry>> = {
  amdv1: { description: amdHost({ hostAddressWidth, hostAccessDirty: 0 }), levels: 3 },
  vtdss: {
    description: vtdSecondStage({
      hostAddressWidth,
      guestAddressWidth: 39,
      largestPageLg2: 30,
      scalable: true,
      snoopControl: true,
      accessedDirty: false,
    }),
    levels: 3,
  },
  x86_64: { description: amdGuest({ hostAddressWidth, signExtended: false }), levels: 4 },
  armv8: {
    description: armv8({ stage: 1, granuleLg2: 12, hostAddressWidth, updates: 'none', contiguous: false }),
    levels: 4,
  },
  riscv64: {
    description: riscv({
      hostAddressWidth,
      secondStage: false,
      hardwareUpdates: false,
      napot: false,
      pageTypes: false,
    }),
    levels: 4,
  },
};

/** Counts of the call, the only one since the table's counters were reset. */
export function countedWork(
  { format, operation }: Pick<CodeSeries, 'format' | 'operation'>,
  { pages, pageLg2 }: Pick<CodePoint, 'pages' | 'pageLg2'>,
): TableWork {
  const { description, levels } = GEOMETRY[format];
  const frames = new FrameAllocator(FRAMES.base, FRAMES.size);
  const table = new PageTable(compileFormat(description), new PhysicalMemory(), frames, levels);
  const bytes = pages * 2 ** pageLg2;
  const map = (): void => table.map(0, 0, bytes, Access.Read | Access.Write, pageLg2);
  const unmap = (): void => void table.unmap(0, bytes, []);
  map();
  if (operation === 'map') unmap();
  table.work.reset();
  if (operation === 'map') map();
  else unmap();
  return table.work;
}

/** ns of a call with these counts. */
export function callTime(operation: CodeSeries['operation'], profile: TableProfile, work: TableWork): number {
  return (operation === 'map' ? mapTime(profile, work) : profile.unmap.call + unmapTime(profile, work)) / 1000;
}

/** What the schemas of bounce buffers cannot say: which modes copy, and mappings that the bounce pool can never hold. */
import { LARGEST_BOUNCE } from '../os/swiotlb/pool.js';
import { type Fault, fault } from './problems.js';
import type { MapBenchmarkJobSpec, PointSpec, StreamJobSpec } from './spec.js';
import { formatQuantity } from './units.js';

const PAGE = 4096;

/** A copied mapping is at most as long as a segment of the pool; longer ones fail always. */
export function checkBounce(
  job: StreamJobSpec | MapBenchmarkJobSpec,
  { os }: PointSpec,
  path: readonly string[],
): Fault[] {
  const bytes = mappingBytes(job);
  const { mode, bounce } = os.dma;
  const partial = bytes % PAGE !== 0;
  const copied = mode === 'bounce' || bounce === 'always' || (bounce === 'untrusted' && partial);
  if (!copied || bytes <= LARGEST_BOUNCE) return [];
  const key = job.kind === 'stream' ? 'size' : 'granule';
  const message = `a mapping of ${formatQuantity(bytes, 'size')} is copied, but a bounce buffer has at most ${formatQuantity(LARGEST_BOUNCE, 'size')}`;
  const related = [mode === 'bounce' ? ['os', 'dma', 'mode'] : ['os', 'dma', 'bounce']];
  return [fault('E308', [...path, key], message, { related })];
}

/** Without translation `bounce` says nothing: mode bounce copies everything, passthrough nothing. */
export function checkBounceMode({ os }: PointSpec): Fault[] {
  const { mode, bounce } = os.dma;
  if (bounce === 'never' || mode === 'strict' || mode === 'lazy') return [];
  const message = `"${bounce}" is for buffers behind an IOMMU, but mode ${mode} does not translate`;
  return [fault('E305', ['os', 'dma', 'bounce'], message, { related: [['os', 'dma', 'mode']] })];
}

/** Bytes of one mapping, of a list one segment. */
function mappingBytes(job: StreamJobSpec | MapBenchmarkJobSpec): number {
  if (job.kind === 'stream') return job.size;
  return job.mode === 'sg' ? PAGE : job.granule * PAGE;
}

/** An invalidate job needs a DMA job whose translations it can remove, and an IOMMU that removes what the job names. */
import { type Fault, fault } from './problems.js';
import type { InvalidateJobSpec, PointSpec } from './spec.js';
import { formatQuantity } from './units.js';

/** Architectures whose drivers have `flushRanges` and `flushGlobal`. */
const BATCHES: ReadonlySet<string> = new Set(['vtd', 'amdvi', 'smmuv3', 'riscv']);
const NAMES = 'only VT-d, AMD-Vi, SMMUv3 and RISC-V';

export function checkInvalidate(job: InvalidateJobSpec, spec: PointSpec, path: readonly string[]): Fault[] {
  const { machine, devices, os, workload } = spec;
  const refuse = (key: string, message: string, ...related: string[][]): Fault[] => [
    fault('E305', [...path, key], message, { related }),
  ];
  const name = machine.ports[devices[job.device]!.port]?.iommu ?? null;
  const unit = name === null ? undefined : machine.iommus[name];
  if (unit === undefined || unit.architecture === 'none' || unit.architecture === 'ideal') {
    return refuse('device', `no translations of "${job.device}" are cached: there is nothing to invalidate`);
  }
  const place = ['machine', 'iommus', name!, 'architecture'];
  if (os.dma.mode === 'passthrough') {
    return refuse('device', 'in passthrough mode there are no translations to invalidate', ['os', 'dma', 'mode']);
  }
  if (unit.architecture === 'virtio') {
    return refuse('granularity', 'a virtio-iommu has no command that invalidates without unmapping', place);
  }
  if (unit.architecture === 'dart' && job.granularity === 'range') {
    return refuse('granularity', 'a DART invalidates whole streams: give domain', place);
  }
  if (!BATCHES.has(unit.architecture)) {
    if (job.granularity === 'global') return refuse('granularity', `${NAMES} have a command for everything`, place);
    if (job.batch > 1) return refuse('batch', `${NAMES} take several ranges at once`, place);
  }
  if (job.granularity === 'global' && os.guest.mode !== 'none') {
    return refuse('granularity', 'in a virtual machine only the host invalidates everything', ['os', 'guest', 'mode']);
  }
  if (job.granularity === 'global' && devices[job.device]!.ats.enabled) {
    const message = `commands for everything leave the TLB of "${job.device}" as it is: give domain`;
    return refuse('granularity', message, ['devices', job.device, 'ats', 'enabled']);
  }
  if (job.batch > 1 && job.granularity !== 'range') {
    return refuse('batch', `several ranges need the granularity range, not ${job.granularity}`);
  }
  const victim = Object.values(workload).find(
    (other) => other.kind === 'dma' && other.device === job.device && other.pasid === job.pasid,
  );
  if (victim?.kind !== 'dma') {
    const whose = job.pasid < 0 ? 'without PASID' : `with PASID ${job.pasid}`;
    return refuse('device', `no job of kind dma uses "${job.device}" ${whose}`);
  }
  if (job.granularity === 'range' && job.size > victim.window) {
    const message = `ranges of ${formatQuantity(job.size, 'size')} do not fit the window of ${formatQuantity(victim.window, 'size')}`;
    return [fault('E308', [...path, 'size'], message)];
  }
  return [];
}

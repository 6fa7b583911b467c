/** An offload job needs a device with an accelerator that has the queues, and an IOMMU that walks process page tables by PASID. */
import { checkProcesses } from './check-sva.js';
import { type Fault, fault } from './problems.js';
import type { OffloadJobSpec, PointSpec } from './spec.js';
import { formatQuantity } from './units.js';

/** Guest PASIDs of a virtual machine, 0 left out. */
const GUEST_PASIDS = 2 ** 20 - 1;

export function checkOffload(job: OffloadJobSpec, spec: PointSpec, path: readonly string[]): Fault[] {
  const { accelerator } = spec.devices[job.device]!;
  const device = ['devices', job.device, 'accelerator'];
  if (accelerator === null) {
    const message = `"${job.device}" has no accelerator with work queues`;
    return [fault('E305', [...path, 'device'], message, { related: [device] })];
  }
  const faults = [...checkProcesses(job, spec, path)];
  const refuse = (key: string, message: string, related: readonly string[]): void => {
    faults.push(fault('E308', [...path, key], message, { related: [related] }));
  };
  const dedicated = job.queue === 'dedicated';
  const queues = dedicated ? job.threads : 1;
  const others = otherJobs(job, spec);
  const used = others.reduce((sum, other) => sum + (other.queue === 'dedicated' ? other.threads : 1), queues);
  if (used > accelerator.queues) {
    refuse(dedicated ? 'threads' : 'queue', `${used} work queues, but "${job.device}" has ${accelerator.queues}`, [
      ...device,
      'queues',
    ]);
  }
  const entries = [job, ...others].reduce((sum, { queue, threads, entries: each }) => {
    return sum + each * (queue === 'dedicated' ? threads : 1);
  }, 0);
  if (entries > accelerator.entries) {
    refuse('entries', `${entries} entries of work queues, but "${job.device}" has ${accelerator.entries}`, [
      ...device,
      'entries',
    ]);
  }
  if (dedicated && job.depth > job.entries) {
    refuse('depth', `${job.depth} descriptors of a thread do not fit its queue of ${job.entries} entries`, [
      ...path,
      'entries',
    ]);
  }
  if (job.size > job.window) {
    const message = `a move of ${formatQuantity(job.size, 'size')} does not fit the window of ${formatQuantity(job.window, 'size')}`;
    refuse('size', message, [...path, 'window']);
  }
  if (job.virtualMachines > 0 && Math.ceil(job.processes / job.virtualMachines) > GUEST_PASIDS) {
    refuse('processes', `a virtual machine has ${GUEST_PASIDS} PASIDs`, [...path, 'virtualMachines']);
  }
  return faults;
}

/** Jobs that share the device's queues. */
function otherJobs(job: OffloadJobSpec, { workload }: PointSpec): OffloadJobSpec[] {
  return Object.values(workload).filter(
    (other): other is OffloadJobSpec => other.kind === 'offload' && other.device === job.device && other !== job,
  );
}

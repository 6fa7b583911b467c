/** An sva job needs an IOMMU that walks process page tables by PASID, and one that can stall, or a device that asks for pages, where they are to be faulted in. */
import { pasidBits } from '../iommu/limits.js';
import { type Fault, fault } from './problems.js';
import type { JobSpec, OffloadJobSpec, PointSpec, SvaJobSpec } from './spec.js';
import { formatQuantity } from './units.js';

const PAGE = 4096;
/** SMMUv3 tags address spaces with 16 bits (ASID, IHI 0070 5.4); Linux leaves 0 out. */
const SMMU_ADDRESS_SPACES = 2 ** 16 - 1;

/** A job of processes that share their address spaces with a device. */
type ProcessJob = SvaJobSpec | OffloadJobSpec;

const hasProcesses = (job: JobSpec): job is ProcessJob => job.kind === 'sva' || job.kind === 'offload';

export function checkSva(job: SvaJobSpec, spec: PointSpec, path: readonly string[]): Fault[] {
  const faults = checkProcesses(job, spec, path);
  const { engine } = spec.devices[job.device]!;
  if (job.prefault === 'all' && job.pageOut > 0) {
    const message = 'pages that stay present are not paged out';
    faults.push(fault('E305', [...path, 'pageOut'], message, { related: [[...path, 'prefault']] }));
  }
  if (job.size > job.window) {
    const message = `a DMA of ${formatQuantity(job.size, 'size')} does not fit the window of ${formatQuantity(job.window, 'size')}`;
    faults.push(fault('E308', [...path, 'size'], message, { related: [[...path, 'window']] }));
  }
  if (job.outstanding > engine.outstanding) {
    const message = `${job.outstanding} DMAs in flight, but "${job.device}" can have ${engine.outstanding}`;
    const limit = ['devices', job.device, 'engine', 'outstanding'];
    faults.push(fault('E308', [...path, 'outstanding'], message, { related: [limit] }));
  }
  return faults;
}

/** What all jobs with processes need. */
export function checkProcesses(job: ProcessJob, spec: PointSpec, path: readonly string[]): Fault[] {
  const { machine, devices, os, workload } = spec;
  const { port, ats } = devices[job.device]!;
  const name = machine.ports[port]?.iommu ?? null;
  const unit = name === null ? undefined : machine.iommus[name];
  const faults: Fault[] = [];
  const refuse = (key: string, message: string, ...related: string[][]): void => {
    faults.push(fault('E305', [...path, key], message, { related }));
  };
  const at = (...keys: string[]): string[] => ['machine', 'iommus', name!, ...keys];
  if (unit === undefined || unit.architecture === 'none') {
    refuse('device', `no IOMMU translates for "${job.device}": it cannot share address spaces`);
    return faults;
  }
  const bits = pasidBits(unit);
  if (unit.stage !== 'first' || unit.granule !== PAGE || bits === 0) {
    const message = `"${name}" does not walk process page tables: that takes first-stage tables of 4KiB pages and PASIDs`;
    refuse('device', message, at('stage'), at('granule'), at('processLevels'));
    return faults;
  }
  if (job.processes >= 2 ** bits) {
    refuse('processes', `"${name}" takes PASIDs up to ${2 ** bits - 1}`, at('processLevels'));
  }
  if (unit.architecture === 'smmuv3' && job.processes > SMMU_ADDRESS_SPACES) {
    refuse('processes', `"${name}" tells ${SMMU_ADDRESS_SPACES} address spaces apart`, at('architecture'));
  }
  if (os.guest.mode !== 'none') refuse('kind', 'processes of guests are not modelled', ['os', 'guest', 'mode']);
  if (job.prefault !== 'all' && unit.faults.stalls === 0 && !ats.pri.enabled) {
    const message = `"${name}" does not stall transactions, and "${job.device}" does not ask for pages: page faults are errors there, give prefault all`;
    refuse('prefault', message, at('faults', 'stalls'), ['devices', job.device, 'ats', 'pri', 'enabled']);
  }
  for (const [other, { socket, device }] of Object.entries(workload).filter((entry): entry is [string, ProcessJob] =>
    hasProcesses(entry[1]),
  )) {
    const same = machine.iommus[machine.ports[devices[device]?.port ?? '']?.iommu ?? ''];
    if (socket !== job.socket)
      refuse('socket', `all processes lie on one socket, but "${other}" is on "${socket}"`, ['workload', other]);
    else if (same !== undefined && (same.architecture !== unit.architecture || same.levels !== unit.levels))
      refuse('device', `all processes have page tables of one format, but those of "${other}" differ`);
  }
  return faults;
}

/** Cores that the fault threads of units take, by socket. */
export function faultThreads({ machine, devices, os, workload }: PointSpec): Map<string, number> {
  const units = new Set<string>();
  const cores = new Map<string, number>();
  for (const job of Object.values(workload)) {
    if (!hasProcesses(job)) continue;
    const name = machine.ports[devices[job.device]!.port]!.iommu!;
    const { faults, socket } = machine.iommus[name]!;
    const asked = Object.values(devices).some(
      (device) => device.ats.pri.enabled && machine.ports[device.port]!.iommu === name,
    );
    if ((faults.stalls === 0 && !asked) || units.has(name)) continue;
    units.add(name);
    cores.set(socket, (cores.get(socket) ?? 0) + 1 + os.processes.faults.workers);
  }
  return cores;
}

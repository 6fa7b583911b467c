/** What a machine's schema cannot say: geometry of caches, names that refer to parts, modes that exclude each other. */
import { mostRequesters } from '../iommu/limits.js';
import type { IommuSpec, StructureSpec } from '../iommu/spec.js';
import { FIRST_BASE } from '../memory/system.js';
import type { PortSpec } from '../pcie/spec.js';
import { checkArchitecture, checkRequester } from './check-architecture.js';
import { nearest } from './nearest.js';
import { type Fault, fault } from './problems.js';
import type { DeviceSpec, MachineSpec, PointSpec } from './spec.js';
import { formatRequester } from './fields.js';
import { formatQuantity } from './units.js';

/** E303 unless `names` has `name`. */
export function checkReference(name: string, names: object, what: string, path: readonly string[]): Fault[] {
  if (Object.hasOwn(names, name)) {
    return [];
  }
  const known = Object.keys(names);
  const list = known.length === 0 ? `there is no ${what}` : `there is ${known.join(', ')}`;
  return [fault('E303', path, `no ${what} "${name}"; ${list}`, { suggestion: nearest(name, known) })];
}

export function checkMachine(machine: MachineSpec): Fault[] {
  const faults: Fault[] = [];
  if (Object.keys(machine.sockets).length === 0) {
    faults.push(fault('E102', ['machine', 'sockets'], 'a machine needs at least one socket'));
  }
  for (const [name, socket] of Object.entries(machine.sockets)) {
    const path = ['machine', 'sockets', name, 'llc'];
    if (socket.llc.size % (socket.llc.ways * 64) !== 0) {
      const message = `${formatQuantity(socket.llc.size, 'size')} is not a whole number of sets of ${socket.llc.ways} lines of 64 B`;
      faults.push(fault('E301', [...path, 'size'], message, { related: [[...path, 'ways']] }));
    }
    if (socket.llc.ddioWays > socket.llc.ways) {
      const message = `${socket.llc.ddioWays} of ${socket.llc.ways} ways`;
      faults.push(
        fault('E301', [...path, 'ddioWays'], `more than there are: ${message}`, { related: [[...path, 'ways']] }),
      );
    }
  }
  for (const [name, unit] of Object.entries(machine.iommus)) {
    faults.push(...checkUnit(unit, machine, ['machine', 'iommus', name]));
  }
  for (const [name, port] of Object.entries(machine.ports)) {
    const path = ['machine', 'ports', name];
    faults.push(...checkReference(port.socket, machine.sockets, 'socket', [...path, 'socket']));
    if (port.iommu !== null) {
      faults.push(...checkReference(port.iommu, machine.iommus, 'IOMMU', [...path, 'iommu']));
    }
  }
  return faults;
}

const STRUCTURES = ['contextCache', 'pasidCache', 'iotlb', 'secondStageTlb'] as const;
const LEVELS = ['level2', 'level3', 'level4', 'level5'] as const;

function checkUnit(unit: IommuSpec, machine: MachineSpec, path: readonly string[]): Fault[] {
  const faults = checkReference(unit.socket, machine.sockets, 'socket', [...path, 'socket']);
  for (const key of STRUCTURES) {
    faults.push(...checkStructure(unit[key], [...path, key]));
  }
  for (const level of LEVELS) {
    faults.push(...checkStructure(unit.pagingStructureCache[level], [...path, 'pagingStructureCache', level]));
  }
  faults.push(...checkArchitecture(unit, path));
  const { replay, readHold } = unit.walkers;
  if (readHold > replay) {
    const message = `${formatQuantity(readHold, 'time')} is more than the replay time of ${formatQuantity(replay, 'time')}`;
    faults.push(
      fault('E305', [...path, 'walkers', 'readHold'], message, { related: [[...path, 'walkers', 'replay']] }),
    );
  }
  const memory = Object.values(machine.sockets).reduce((sum, socket) => sum + socket.dram.size, 0);
  if (FIRST_BASE + memory > 2 ** unit.hostAddressWidth) {
    const message = `${unit.hostAddressWidth} bits do not reach the ${formatQuantity(memory, 'size')} of memory of this machine, which begin at 4GiB`;
    const sizes = Object.keys(machine.sockets).map((name) => ['machine', 'sockets', name, 'dram', 'size']);
    faults.push(fault('E306', [...path, 'hostAddressWidth'], message, { related: sizes }));
  }
  const mapsItself = unit.stage === 'nested' && (unit.architecture === 'vtd' || unit.architecture === 'amdvi');
  if (mapsItself && FIRST_BASE + memory > 2 ** (12 + 9 * unit.secondLevels)) {
    const reach = `${unit.secondLevels} levels of second-stage tables`;
    const message = `${reach} do not reach the ${formatQuantity(memory, 'size')} of memory of this machine`;
    faults.push(fault('E306', [...path, 'secondLevels'], message, { related: [[...path, 'stage']] }));
  }
  return faults;
}

function checkStructure({ entries, ways, replacement }: StructureSpec, path: readonly string[]): Fault[] {
  const [entriesPath, waysPath] = [
    [...path, 'entries'],
    [...path, 'ways'],
  ];
  if (entries % ways !== 0) {
    return [
      fault('E301', waysPath, `${entries} entries cannot be divided into ${ways} ways`, { related: [entriesPath] }),
    ];
  }
  const sets = entries / ways;
  if (!Number.isInteger(Math.log2(sets))) {
    const message = `${entries} entries in ${ways} ways make ${sets} sets, which is not a power of two`;
    return [fault('E301', waysPath, message, { related: [entriesPath] })];
  }
  if (replacement === 'plru' && !Number.isInteger(Math.log2(ways))) {
    return [
      fault('E301', waysPath, `plru needs a power of two of ways, not ${ways}`, {
        related: [[...path, 'replacement']],
      }),
    ];
  }
  return [];
}

export function checkDevices({ machine, devices, os }: PointSpec): Fault[] {
  const faults: Fault[] = [];
  const seen = new Map<string, string>();
  if (Object.keys(devices).length === 0) {
    faults.push(fault('E102', ['devices'], 'a workload needs at least one device'));
  }
  for (const [name, device] of Object.entries(devices)) {
    const path = ['devices', name];
    const missing = checkReference(device.port, machine.ports, 'port', [...path, 'port']);
    faults.push(...missing, ...checkEngine(device, path));
    if (missing.length > 0) {
      continue;
    }
    const port = machine.ports[device.port]!;
    faults.push(...checkCredits(device, port, path));
    faults.push(...checkAts(device, port, { machine, os }, path));
    if (port.iommu !== null) {
      const unit = machine.iommus[port.iommu];
      const unitPath = ['machine', 'iommus', port.iommu];
      if (unit !== undefined) faults.push(...checkRequester(unit, device.requester, [...path, 'requester'], unitPath));
    }
    const key = `${port.iommu ?? `port ${device.port}`}/${device.requester}`;
    const other = seen.get(key);
    if (other !== undefined) {
      const message = `${formatRequester(device.requester)} is the requester id of "${other}" behind the same IOMMU`;
      faults.push(fault('E304', [...path, 'requester'], message, { related: [[...path, 'port']] }));
    }
    seen.set(key, name);
  }
  for (const [name, unit] of Object.entries(machine.iommus)) {
    const behind = Object.entries(devices).filter(([, { port }]) => machine.ports[port]?.iommu === name);
    const most = mostRequesters(unit);
    const excess = behind[most];
    if (excess === undefined) continue;
    const message = `${behind.length} devices behind "${name}", which tells ${most} apart`;
    faults.push(
      fault('E305', ['devices', excess[0], 'port'], message, { related: [['machine', 'iommus', name, 'levels']] }),
    );
  }
  return faults;
}

function checkEngine({ engine }: DeviceSpec, path: readonly string[]): Fault[] {
  const faults: Fault[] = [];
  for (const key of ['readInterval', 'writeInterval', 'readSlots'] as const) {
    const rows: readonly { readonly size: number }[] = engine[key];
    rows.forEach((row, index) => {
      if (index > 0 && row.size <= rows[index - 1]!.size) {
        const place = [...path, 'engine', key, String(index), 'size'];
        faults.push(fault('E301', place, 'sizes must ascend from row to row', { related: [[...path, 'engine', key]] }));
      }
    });
  }
  return faults;
}

/** Architectures whose units answer translation requests. */
const ATS: ReadonlySet<string> = new Set(['vtd', 'smmuv3', 'amdvi', 'riscv']);

function checkAts(
  { ats }: DeviceSpec,
  port: PortSpec,
  { machine, os }: Pick<PointSpec, 'machine' | 'os'>,
  path: readonly string[],
): Fault[] {
  if (!ats.enabled) {
    if (!ats.pri.enabled) return [];
    const message = 'page requests need ATS, which is off';
    return [fault('E305', [...path, 'ats', 'pri', 'enabled'], message, { related: [[...path, 'ats', 'enabled']] })];
  }
  const place = [...path, 'ats', 'enabled'];
  const faults = checkStructure(ats, [...path, 'ats']);
  if (ats.stu > ats.largestPage) {
    const message = `${formatQuantity(ats.stu, 'size')} is more than an entry of the device TLB covers, ${formatQuantity(ats.largestPage, 'size')}`;
    faults.push(fault('E305', [...path, 'ats', 'stu'], message, { related: [[...path, 'ats', 'largestPage']] }));
  }
  if (port.iommu === null) {
    return [...faults, fault('E305', place, 'there is no IOMMU in front of the device that could translate for it')];
  }
  const unit = machine.iommus[port.iommu];
  if (unit === undefined) return faults;
  const related = [['machine', 'iommus', port.iommu]];
  if (ats.pri.enabled && unit.faults.pageRequests === 0) {
    const message = `"${port.iommu}" has no page request queue`;
    faults.push(
      fault('E305', [...path, 'ats', 'pri', 'enabled'], message, {
        related: [[...related[0]!, 'faults', 'pageRequests']],
      }),
    );
  }
  if (!ATS.has(unit.architecture)) {
    faults.push(fault('E305', place, `an IOMMU of architecture ${unit.architecture} has no ATS`, { related }));
  }
  if (os.guest.mode !== 'none') {
    const message = 'device TLBs of devices that a guest has are not modelled';
    faults.push(fault('E305', place, message, { related: [['os', 'guest', 'mode']] }));
  }
  if (ats.stu > unit.granule) {
    const message = `${formatQuantity(ats.stu, 'size')} is more than the smallest page of the IOMMU, ${formatQuantity(unit.granule, 'size')}`;
    faults.push(fault('E305', [...path, 'ats', 'stu'], message, { related: [[...related[0]!, 'granule']] }));
  }
  return faults;
}

function checkCredits({ link, port: portName }: DeviceSpec, port: PortSpec, path: readonly string[]): Fault[] {
  if (port.postedData * 16 >= link.maxPayload) {
    return [];
  }
  const place = ['machine', 'ports', portName, 'postedData'];
  const message = `${port.postedData} credits of 16 B never admit a payload of ${formatQuantity(link.maxPayload, 'size')}`;
  return [fault('E308', place, message, { related: [[...path, 'link', 'maxPayload']] })];
}

/** Whether a unit's configuration is one that its architecture has: E305 for choices, E301 for sizes. */
import { LIMITS, type Range } from '../iommu/limits.js';
import type { IommuSpec } from '../iommu/spec.js';
import { type Fault, fault } from './problems.js';
import { formatQuantity } from './units.js';

/** `path` is the unit's. */
export function checkArchitecture(unit: IommuSpec, path: readonly string[]): Fault[] {
  if (unit.architecture === 'none') return [];
  const faults: Fault[] = [];
  const limits = LIMITS[unit.architecture];
  const { title } = limits;
  const refuse = (key: string, message: string, related = 'architecture'): void => {
    faults.push(fault('E305', [...path, ...key.split('.')], message, { related: [[...path, related]] }));
  };
  const within = (key: string, value: number, [low, high]: Range, what: string, related = 'architecture'): void => {
    if (value >= low && value <= high) return;
    const range = low === high ? `${low}` : `${low} to ${high}`;
    refuse(key, `${what} of ${title}: ${range}, not ${value}`, related);
  };
  if (!limits.modes.includes(unit.mode)) {
    refuse('mode', `${title} has ${limits.modes.join(' and ')} mode, not ${unit.mode}`);
  }
  const levels = limits.levels[unit.stage];
  if (levels === undefined) refuse('stage', `${title} has no ${unit.stage} stage`);
  else if (unit.architecture !== 'vtd')
    within('levels', unit.levels, levels, `table levels (${unit.stage} stage)`, 'stage');
  if (unit.stage === 'nested') {
    within('secondLevels', unit.secondLevels, limits.secondLevels, 'second-stage levels', 'stage');
  }
  if (!limits.granules.includes(unit.granule)) {
    const sizes = limits.granules.map((size) => formatQuantity(size, 'size')).join(', ');
    refuse('granule', `${title} has pages of ${sizes}`);
  } else if (unit.largestPage < unit.granule) {
    refuse('largestPage', `smaller than the granule of ${formatQuantity(unit.granule, 'size')}`, 'granule');
  }
  checkSizes(unit, refuse);
  within('deviceLevels', unit.deviceLevels, limits.deviceLevels, 'device directory levels');
  within('processLevels', unit.processLevels, limits.processLevels, 'process directory levels');
  const hangsOnProcess = unit.stage !== 'second' && levels !== undefined && unit.architecture !== 'riscv';
  if (hangsOnProcess && unit.processLevels === 0) {
    refuse('processLevels', `${unit.stage}-stage tables of ${title} hang on a process directory`, 'stage');
  }
  if (unit.architecture === 'vtd') faults.push(...checkVtd(unit, path));
  if (unit.architecture === 'smmuv3') faults.push(...checkSmmuv3(unit, path));
  const queue = unit.architecture === 'vtd' ? vtdQueue(unit) : limits.queueLg2;
  const { sizeLg2 } = unit.invalidation;
  if (sizeLg2 < queue[0] || sizeLg2 > queue[1]) {
    const mode = unit.architecture === 'vtd' ? `${unit.mode} mode` : title;
    const message = `${sizeLg2} is outside ${queue[0]} to ${queue[1]}, the queue sizes of ${mode}`;
    faults.push(fault('E301', [...path, 'invalidation', 'sizeLg2'], message, { related: [[...path, 'mode']] }));
  }
  faults.push(...checkFaultRecords(unit, path), ...checkPageRequests(unit, path));
  return faults;
}

function checkFaultRecords(unit: IommuSpec, path: readonly string[]): Fault[] {
  const { title, faultRecords } = LIMITS[unit.architecture as keyof typeof LIMITS];
  if (faultRecords === undefined) return [];
  const { records } = unit.faults;
  const { range, powerOfTwo } = faultRecords;
  const [low, high] = range;
  if (records >= low && records <= high && (!powerOfTwo || (records & (records - 1)) === 0)) return [];
  const choice = low === high ? `${low}` : `${low} to ${high}`;
  const what = powerOfTwo ? `a power of two from ${choice}` : choice;
  const message = `fault records of ${title}: ${what}, not ${records}`;
  return [fault('E301', [...path, 'faults', 'records'], message, { related: [[...path, 'architecture']] })];
}

function checkPageRequests(unit: IommuSpec, path: readonly string[]): Fault[] {
  const { title, pageRequests: range } = LIMITS[unit.architecture as keyof typeof LIMITS];
  const { pageRequests } = unit.faults;
  const [low, high] = range ?? [0, 0];
  const legal = pageRequests >= low && pageRequests <= high && (pageRequests & (pageRequests - 1)) === 0;
  if (pageRequests === 0 || legal) return [];
  const what = range === undefined ? 'there is none' : `a power of two from ${low} to ${high}`;
  const message = `page request queue of ${title}: ${what}, not ${pageRequests}`;
  return [fault('E301', [...path, 'faults', 'pageRequests'], message, { related: [[...path, 'architecture']] })];
}

type Refuse = (key: string, message: string, related?: string) => void;

/** Sizes that architectures with little choice have. */
function checkSizes(unit: IommuSpec, refuse: Refuse): void {
  if (unit.architecture === 'none') return;
  const { title, onePageSize, hostAddressWidths } = LIMITS[unit.architecture];
  const { granule, largestPage, levels, hostAddressWidth } = unit;
  if (onePageSize === true && largestPage > granule) {
    const message = `pages have one size: largestPage must be the granule, ${formatQuantity(granule, 'size')}`;
    refuse('largestPage', message, 'granule');
  }
  if (hostAddressWidths?.includes(hostAddressWidth) === false) {
    refuse('hostAddressWidth', `${title} has ${hostAddressWidths.join(' or ')} bits, not ${hostAddressWidth}`);
  }
  if (unit.architecture === 'tce' && Math.log2(granule) + LEAST_TCE_BITS * levels >= TCE_ADDRESS_BITS) {
    const size = formatQuantity(granule, 'size');
    refuse(
      'levels',
      `${levels} levels of TCE tables with pages of ${size} exceed ${TCE_ADDRESS_BITS} address bits`,
      'granule',
    );
  }
  if (unit.architecture === 'dart') checkDart(unit, refuse);
}

/** A TCE table has at least 512 entries; DMA addresses have 60 bits, of which one chooses the window. */
const LEAST_TCE_BITS = 9;
const TCE_ADDRESS_BITS = 59;

/** Entries of T6000 and T8110 hold addresses of 16 KiB pages in 42 bits, those of T8020 36 bits; only T8110 has three levels. */
function checkDart({ levels, granule, hostAddressWidth }: IommuSpec, refuse: Refuse): void {
  if (levels === 3 && hostAddressWidth !== 42)
    refuse('levels', 'DART tables of three levels come with 42 address bits', 'hostAddressWidth');
  if (hostAddressWidth === 42 && granule !== 16384)
    refuse('granule', 'DARTs of 42 address bits have pages of 16KiB', 'hostAddressWidth');
}

/** E305 for a device that its unit's directory has no room for. `unitPath`: of the unit. */
export function checkRequester(
  unit: IommuSpec,
  requester: number,
  path: readonly string[],
  unitPath: readonly string[],
): Fault[] {
  if (unit.architecture === 'none') return [];
  const bits = LIMITS[unit.architecture].requesterBits?.[unit.deviceLevels];
  if (bits === undefined || requester < 2 ** bits) return [];
  const message = `a device directory of ${unit.deviceLevels} levels takes ids of ${bits} bits`;
  return [fault('E305', path, message, { related: [[...unitPath, 'deviceLevels']] })];
}

/** QS of IQA_REG gives 2^(QS + 8) descriptors of 128 bits, or 2^(QS + 7) of 256. */
function vtdQueue(unit: IommuSpec): Range {
  return unit.mode === 'legacy' ? [8, 15] : [7, 14];
}

function checkVtd(unit: IommuSpec, path: readonly string[]): Fault[] {
  const faults: Fault[] = [];
  const mode = [...path, 'mode'];
  if (unit.stage !== 'second' && unit.mode === 'legacy') {
    faults.push(
      fault('E305', [...path, 'stage'], `${unit.stage}-stage tables need scalable mode`, { related: [mode] }),
    );
  }
  if (unit.stage !== 'second' && unit.levels === 3) {
    faults.push(
      fault('E305', [...path, 'levels'], 'first-stage tables have 4 or 5 levels', { related: [[...path, 'stage']] }),
    );
  } else if (unit.levels < 3 || unit.levels > 5) {
    faults.push(fault('E305', [...path, 'levels'], `Intel VT-d tables have 3 to 5 levels, not ${unit.levels}`));
  }
  return faults;
}

/** Levels that a granule has: stage 1 from 25 bits of input address up to 48, stage 2 by STE.S2SL0 (Arm IHI 0070G 5.2, 5.4). */
function checkSmmuv3(unit: IommuSpec, path: readonly string[]): Fault[] {
  const faults: Fault[] = [];
  const { granule, hostAddressWidth, stage } = unit;
  const size = formatQuantity(granule, 'size');
  const check = (key: 'levels' | 'secondLevels', second: boolean): void => {
    const levels = unit[key];
    const low = granule === 4096 ? 2 : 1;
    const high = granule === 65536 || (granule === 16384 && second) ? 3 : 4;
    const related = { related: [[...path, 'granule']] };
    const tables = second ? 'stage 2' : 'stage 1';
    if (levels < low || levels > high) {
      const message = `${tables} tables with pages of ${size} have ${low} to ${high} levels, not ${levels}`;
      faults.push(fault('E305', [...path, key], message, related));
    } else if (second && levels === high && granule !== 16384 && hostAddressWidth < 44) {
      const message = `${levels} levels of stage 2 with pages of ${size} need 44 address bits, not ${hostAddressWidth}`;
      faults.push(fault('E305', [...path, key], message, { related: [[...path, 'hostAddressWidth']] }));
    }
  };
  check('levels', stage === 'second');
  if (stage === 'nested') check('secondLevels', true);
  return faults;
}

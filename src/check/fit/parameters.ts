/**
 * Values under fit: which parameter of which model sheet, in its unit, and how a point looks with them in place of what its
 * presets say. A point of a host sees the sheets of that host, of its IOMMU and of the device.
 */
import { findSheet } from '../../models/catalog.js';
import { PCIE_BENCH_FIT } from '../../models/fitted/pcie-bench.js';
import { UNITS } from '../../models/quantity.js';
import type { FittedTable } from '../../models/fitted/value.js';
import { isQuantity, type Parameter, type Parameters } from '../../models/sheet.js';
import type { PointSpec } from '../../workload/spec.js';
import { benchJob, DEVICE, JOB, UNIT } from '../pcie-bench.js';

/** A measured machine: its sheet, the sheet of its IOMMU, and its name in published rows. */
export interface Host {
  readonly label: string;
  readonly machine: string;
  /** Empty when nothing of the IOMMU is fitted. */
  readonly unit: string;
}

export const NIC = 'nfp6000';

export const HOSTS: readonly Host[] = [
  { label: 'BDW', machine: 'bdw-e5-2630v4', unit: 'vtd-bdw-ep' },
  { label: 'HSW', machine: 'hsw-e5-2620v3', unit: 'vtd-hsw-ep' },
  { label: 'HSWB', machine: 'hsw-e5-2637v3', unit: '' },
  { label: 'IVB', machine: 'ivb-e5-2620v2', unit: 'vtd-ivb-ep' },
  { label: 'SNB', machine: 'snb-e5-2630', unit: 'vtd-snb-ep' },
];

/** One value: numbers in the unit of the sheet. */
export interface Value {
  readonly sheet: string;
  readonly path: string;
  readonly value: number;
  readonly unit: string;
  readonly rows: string;
  readonly confidence?: 'assumed';
}

/** Values by sheet and path; later values replace earlier ones. */
export class Values {
  private readonly values = new Map<string, Value>();

  constructor(values: Iterable<Value> = []) {
    for (const value of values) this.values.set(`${value.sheet} ${value.path}`, value);
  }

  with(values: readonly Value[]): Values {
    return new Values([...this.values.values(), ...values]);
  }

  get(sheet: string, path: string): number | null {
    return this.values.get(`${sheet} ${path}`)?.value ?? null;
  }

  [Symbol.iterator](): Iterator<Value> {
    return this.values.values();
  }

  /** The value, or where the sheet starts. */
  at(sheet: string, path: string): number {
    return this.get(sheet, path) ?? startValue(sheet, path);
  }

  /** The point with the values of its host, its IOMMU and the device in place. */
  apply(spec: PointSpec, host: Host): PointSpec {
    const roots: Readonly<Record<string, readonly string[]>> = {
      [host.machine]: ['machine'],
      [host.unit]: ['machine', 'iommus', UNIT],
      [NIC]: ['devices', DEVICE],
    };
    return fillRing(placeValues(spec, this, roots));
  }
}

/** The point with the values in place; `roots` says where the paths of a sheet begin, in one place or several; sheets without one are left out. */
export function placeValues(
  spec: PointSpec,
  values: Iterable<Value>,
  roots: Readonly<Record<string, readonly string[] | readonly (readonly string[])[]>>,
): PointSpec {
  let changed: unknown = spec;
  for (const { sheet, path, value, unit } of values) {
    const root = Object.hasOwn(roots, sheet) ? roots[sheet]! : [];
    const several = (typeof root[0] === 'string' ? [root] : root) as readonly (readonly string[])[];
    for (const each of several) changed = replace(changed, [...each, ...path.split('.')], base(value, unit));
  }
  return changed as PointSpec;
}

/** Bandwidth tests use every place of the device. */
function fillRing(spec: PointSpec): PointSpec {
  const job = benchJob(spec);
  const outstanding = job.outstanding === 1 ? 1 : spec.devices[DEVICE]!.engine.outstanding;
  return { ...spec, workload: { [JOB]: { ...job, outstanding } } };
}

/** Times in ps, shares in millionths, counts as they are. */
function base(value: number, unit: string): number {
  if (Object.hasOwn(UNITS.time, unit)) return Math.round(value * UNITS.time[unit]!);
  return unit === '%' ? Math.round(value * 1e4) : value;
}

function replace(tree: unknown, path: readonly string[], value: number): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (Array.isArray(tree)) return tree.map((item, i) => (String(i) === key ? replace(item, rest, value) : item));
  const record = tree as Record<string, unknown>;
  if (!Object.hasOwn(record, key)) throw new RangeError(`a point has no ${path.join('.')}`);
  return { ...record, [key]: replace(record[key], rest, value) };
}

/** Where a sheet starts: the value it states before fitted values replace any. */
export function startValue(sheet: string, path: string): number {
  let parameter: Parameter | undefined = findSheet(sheet)?.start;
  for (const key of path.split('.')) {
    if (parameter === undefined || parameter === null || typeof parameter === 'string') break;
    parameter = (parameter as Parameters)[key];
  }
  if (parameter === undefined || parameter === null || typeof parameter === 'string' || !isQuantity(parameter)) {
    throw new RangeError(`${sheet} has no ${path}`);
  }
  return Number(parameter.value);
}

/** What the program was built with: the pcie-bench hosts, or another file of fitted values. */
export function shippedValues(tables: Readonly<Record<string, FittedTable>> = PCIE_BENCH_FIT): Values {
  return new Values(
    Object.entries(tables).flatMap(([sheet, table]) =>
      Object.entries(table).map(([path, { value, unit, rows, confidence }]) => {
        const shipped: Value = { sheet, path, value: Number(value), unit, rows };
        return confidence === 'assumed' ? { ...shipped, confidence } : shipped;
      }),
    ),
  );
}

/** Where the sheets start, for every parameter of the pcie-bench hosts that has a fitted value now: takes the influence of an earlier fit away. */
export function startValues(): Values {
  return new Values(
    [...shippedValues()].map((shipped) => ({ ...shipped, value: startValue(shipped.sheet, shipped.path) })),
  );
}

/** Values as tables of a sheet, sheets and paths in order of first mention. */
export function fittedTables(values: Values): Record<string, FittedTable> {
  const tables: Record<string, FittedTable> = {};
  for (const { sheet, path, value, unit, rows, confidence } of values) {
    const entry = { value, unit, rows, ...(confidence === undefined ? {} : { confidence }) };
    tables[sheet] = { ...tables[sheet], [path]: entry };
  }
  return tables;
}

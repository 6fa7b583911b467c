/**
 * A model sheet: the parameters of one machine, IOMMU, device or operating system, keyed exactly as its Spec. Taking a
 * preset means taking the values of its sheet; values that `iommusim fit` has found replace the starting values here.
 */
import { FITTED } from './fitted/table.js';
import type { FittedValue } from './fitted/value.js';
import { dimensionOf, type Quantity, quantityInput } from './quantity.js';

export type SheetKind = 'machine' | 'iommu' | 'device' | 'os';

/** A plain string or null is a reference to another part by name (a port's socket, its IOMMU). */
export type Parameter = Quantity | string | null | Parameters | readonly Parameters[];

export interface Parameters {
  readonly [key: string]: Parameter;
}

export interface Sheet {
  readonly name: string;
  readonly title: string;
  readonly kind: SheetKind;
  readonly description: string;
  readonly parameters: Parameters;
  /** The parameters before fitted values replaced any: where the fit starts. */
  readonly start: Parameters;
}

/** A line of `iommusim models show`. */
export interface SheetRow {
  readonly path: string;
  readonly value: string;
  readonly unit: string;
  readonly confidence: string;
  readonly source: string;
}

/** What a sheet resolves to: the tree a workload file could have written instead of naming the preset. */
export type InputTree = { [key: string]: InputTree | InputTree[] | string | number | boolean | null };

export function isQuantity(parameter: Parameter): parameter is Quantity {
  return parameter !== null && typeof parameter === 'object' && 'confidence' in parameter;
}

/**
 * Applies the fitted values of the sheet's name over its starting values.
 * @throws Error if a fitted path does not exist in the sheet or changes the dimension of its unit.
 */
export function defineSheet(sheet: Omit<Sheet, 'start'>): Sheet {
  return { ...sheet, parameters: withFitted(sheet.name, sheet.parameters), start: sheet.parameters };
}

/** Parameters with the fitted values of that name in place. Throws as `defineSheet` does. */
export function withFitted(name: string, start: Parameters): Parameters {
  const table = Object.hasOwn(FITTED, name) ? FITTED[name]! : {};
  let parameters: Parameter = start;
  for (const [path, fitted] of Object.entries(table)) {
    parameters = replace(parameters, path.split('.'), fitted, `${name}: ${path}`);
  }
  return parameters as Parameters;
}

function replace(
  parameter: Parameter | undefined,
  path: readonly string[],
  fitted: FittedValue,
  where: string,
): Parameter {
  if (parameter === undefined || parameter === null || typeof parameter === 'string') {
    throw new Error(`fitted value for a parameter that does not exist: ${where}`);
  }
  const [key, ...rest] = path;
  if (key === undefined) {
    if (!isQuantity(parameter) || dimensionOf(parameter.unit) !== dimensionOf(fitted.unit)) {
      throw new Error(`fitted value of another unit than the parameter: ${where}`);
    }
    const { value, unit, rows: source, confidence = 'fitted' } = fitted;
    return { value, unit, source, confidence };
  }
  if (Array.isArray(parameter)) {
    return parameter.map((row, index) =>
      String(index) === key ? (replace(row, rest, fitted, where) as Parameters) : row,
    );
  }
  const record = parameter as Parameters;
  return { ...record, [key]: replace(record[key], rest, fitted, where) };
}

/** The sheet's values as workload input. */
export function sheetInput(sheet: Sheet): InputTree {
  return parametersInput(sheet.parameters);
}

/** The same of parameters that are not a whole sheet. */
export function parametersInput(parameters: Parameters): InputTree {
  return input(parameters) as InputTree;
}

function input(parameter: Parameter): InputTree[string] {
  if (parameter === null || typeof parameter === 'string') {
    return parameter;
  }
  if (isQuantity(parameter)) {
    return quantityInput(parameter);
  }
  if (Array.isArray(parameter)) {
    return parameter.map((row) => input(row) as InputTree);
  }
  return Object.fromEntries(Object.entries(parameter as Parameters).map(([key, child]) => [key, input(child)]));
}

/** Every parameter of the sheet in order, by dotted path. */
export function sheetRows(sheet: Sheet): SheetRow[] {
  const rows: SheetRow[] = [];
  collect(sheet.parameters, '', rows);
  return rows;
}

function collect(parameter: Parameter, path: string, rows: SheetRow[]): void {
  if (parameter === null || typeof parameter === 'string') {
    rows.push({ path, value: parameter ?? 'none', unit: '', confidence: '', source: 'name of another part' });
  } else if (isQuantity(parameter)) {
    const { value, unit, confidence, source } = parameter;
    rows.push({ path, value: String(value), unit, confidence, source });
  } else {
    for (const [key, child] of Object.entries(parameter)) {
      collect(child as Parameter, path === '' ? key : `${path}.${key}`, rows);
    }
  }
}

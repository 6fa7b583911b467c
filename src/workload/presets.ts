/** Replaces `preset: NAME` by the values of that model sheet; keys written beside it override them, deeply. */
import { findSheet, SHEETS, sheetNames } from '../models/catalog.js';
import { type SheetKind, sheetInput } from '../models/sheet.js';
import type { Tree } from './document.js';
import { isMapping } from './introspect.js';
import { nearest } from './nearest.js';
import { type Fault, fault } from './problems.js';

/** Where presets may stand: the machine, its IOMMU units, the operating system, each device. */
export function expandPresets(tree: Tree, faults: Fault[]): Tree {
  const result: Tree = { ...tree };
  result['machine'] = expandMachine(tree['machine'], faults);
  result['os'] = expand(tree['os'], 'os', ['os'], faults);
  result['devices'] = mapParts(tree['devices'], (part, name) => expand(part, 'device', ['devices', name], faults));
  return result;
}

/** The kind of sheet a preset path names: `machine.preset`, `devices.nic.preset`; null when no preset may stand there. */
export function presetKind(path: readonly string[]): SheetKind | null {
  if (path.at(-1) !== 'preset') {
    return null;
  }
  const where = path.slice(0, -1);
  if (where.length === 1) {
    return where[0] === 'machine' ? 'machine' : where[0] === 'os' ? 'os' : null;
  }
  if (where.length === 2 && where[0] === 'devices') {
    return 'device';
  }
  return where.length === 3 && where[0] === 'machine' && where[1] === 'iommus' ? 'iommu' : null;
}

/** A unit's own preset is taken before the machine's, so that it replaces what the machine's sheet says about the unit. */
function expandMachine(value: unknown, faults: Fault[]): unknown {
  if (!isMapping(value) || !('iommus' in value)) {
    return expand(value, 'machine', ['machine'], faults);
  }
  const iommus = mapParts(value['iommus'], (part, name) => expand(part, 'iommu', ['machine', 'iommus', name], faults));
  return expand({ ...value, iommus }, 'machine', ['machine'], faults);
}

function mapParts(value: unknown, change: (part: unknown, name: string) => unknown): unknown {
  if (!isMapping(value)) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, change(part, name)]));
}

function expand(value: unknown, kind: SheetKind, path: readonly string[], faults: Fault[]): unknown {
  if (!isMapping(value) || !('preset' in value)) {
    return value;
  }
  const { preset, ...overrides } = value;
  const sheet = typeof preset === 'string' ? findSheet(preset) : null;
  if (sheet === null || sheet.kind !== kind) {
    faults.push(presetFault(preset, kind, [...path, 'preset']));
    return overrides;
  }
  return merge(sheetInput(sheet), overrides);
}

function presetFault(preset: unknown, kind: SheetKind, path: readonly string[]): Fault {
  const names = sheetNames(kind);
  if (typeof preset !== 'string') {
    return fault('E103', path, `expected the name of a preset: ${names.join(', ')}`);
  }
  const other = SHEETS.find((sheet) => sheet.name === preset);
  const suggestion = nearest(preset, names);
  if (other !== undefined) {
    return fault('E105', path, `"${preset}" is a preset of kind ${other.kind}, not ${kind}`, { suggestion });
  }
  const list = suggestion === null ? `; there are ${names.join(', ')}` : '';
  return fault('E105', path, `no preset of kind ${kind} has this name${list}`, { suggestion });
}

/** Mappings merge key by key; anything else replaces. */
export function merge(base: unknown, over: unknown): unknown {
  if (!isMapping(base) || !isMapping(over)) {
    return over;
  }
  const result: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    result[key] = Object.hasOwn(base, key) ? merge(base[key], value) : value;
  }
  return result;
}

/**
 * A workload with everything written out: no presets, no settings, units on every quantity. It is a workload file itself, and
 * running it gives points with the same ids.
 */
import { stringify } from 'yaml';
import type { Header } from './header.js';
import { canonicalJson } from './identity.js';
import { isMapping, writeValue } from './introspect.js';
import { presetKind } from './presets.js';
import { POINT_SCHEMA } from './schema.js';
import type { Setting } from './settings.js';
import type { PointSpec } from './spec.js';
import type { Sweep } from './sweep.js';

/** One combination of the sweep, before seeds. */
export interface Design {
  readonly spec: Omit<PointSpec, 'seed'>;
  readonly swept: readonly Setting[];
}

type Values = Record<string, unknown>;

const HEADING =
  '# Every preset, default and setting of the workload written out. Running this file gives the same point ids.\n';

/** Text of `spec.resolved.yaml`. */
export function formatResolved(header: Header, designs: readonly Design[], sweep: Sweep): string {
  const base = written(designs[0]!);
  const axes = [...sweep.zip, ...sweep.cross];
  const byPath = axes.every(({ path }) => presetKind(path.split('.')) === null);
  const sweeps = byPath ? sweepByPath(sweep) : { zip: differences(designs.map(written)) };
  const { name, question, seeds } = header;
  const { machine, os, devices, workload, warmup, stop } = base;
  const swept = Object.keys(sweeps).length === 0 ? {} : { sweep: sweeps };
  const file = { name, question, machine, os, devices, workload, ...swept, seeds: [...seeds], warmup, stop };
  return (
    HEADING +
    stringify(file, { lineWidth: 0, aliasDuplicateObjects: false, collectionStyle: 'any', singleQuote: false })
  );
}

function written(design: Design): Values {
  return writeValue(POINT_SCHEMA, design.spec) as Values;
}

function sweepByPath(sweep: Sweep): Values {
  const values: Values = {};
  for (const kind of ['zip', 'cross'] as const) {
    if (sweep[kind].length > 0) {
      values[kind] = Object.fromEntries(sweep[kind].map((axis) => [axis.path, axis.values]));
    }
  }
  return values;
}

/**
 * The smallest subtrees in which designs differ, each with the list of its values, one for each design. A swept preset changes
 * many values and the names of parts, so that the paths of the original sweep no longer say what it did.
 */
function differences(trees: readonly Values[]): Record<string, unknown[]> {
  const found: Record<string, unknown[]> = {};
  compare(trees, [], found);
  return found;
}

function compare(values: readonly unknown[], path: readonly string[], found: Record<string, unknown[]>): void {
  const [first] = values;
  const text = canonicalJson(first);
  if (values.every((value) => canonicalJson(value) === text)) {
    return;
  }
  const keys = isMapping(first) ? Object.keys(first) : [];
  const alike =
    keys.length > 0 && values.every((value) => isMapping(value) && Object.keys(value).join() === keys.join());
  if (!alike) {
    found[path.join('.')] = [...values];
    return;
  }
  for (const key of keys) {
    compare(
      values.map((value) => (value as Values)[key]),
      [...path, key],
      found,
    );
  }
}

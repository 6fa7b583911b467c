/** Values set by dotted path: `--set PATH=VALUE` and the points of a sweep. Both change the tree after presets are merged. */
import type { z } from 'zod';
import { parseDocument } from 'yaml';
import { isForbiddenKey, type Tree } from './document.js';
import { type ErrorCode, inputError } from './errors.js';
import { childSchema, hasFixedKeys, isMapping, leafPaths } from './introspect.js';
import { nearestPath } from './nearest.js';

export interface Setting {
  readonly path: readonly string[];
  readonly value: unknown;
  /** Where the user wrote it: a path of the workload file, or the text after `--set`. */
  readonly origin: readonly string[] | string;
}

export interface SettingFault {
  readonly code: ErrorCode;
  readonly message: string;
  readonly suggestion: string | null;
}

/**
 * Reads `PATH=VALUE`; the value is YAML (`strict`, `64KiB`, `5`, `[1, 2]`).
 * @throws InputError E401, E106.
 */
export function parseSetting(text: string): Setting {
  const split = text.indexOf('=');
  const file = `--set ${text}`;
  if (split < 1) {
    throw inputError('E401', 'expected PATH=VALUE, such as --set os.dma.mode=strict', file);
  }
  const path = text.slice(0, split).trim().split('.');
  if (path.some((key) => key === '')) {
    throw inputError('E401', 'the path has an empty key', file);
  }
  const forbidden = path.find(isForbiddenKey);
  if (forbidden !== undefined) {
    throw inputError('E106', `"${forbidden}" cannot be a key`, file);
  }
  return { path, value: parseValue(text.slice(split + 1), file), origin: file };
}

function parseValue(text: string, file: string): unknown {
  try {
    const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
    if (document.errors.length === 0 && document.warnings.length === 0) {
      return document.toJS({ maxAliasCount: 10 });
    }
  } catch {
    // Falls through to the one error for text that is not a value.
  }
  throw inputError('E401', 'the value is not valid YAML', file);
}

/** The tree with the setting applied (the original is not changed), or what is wrong with its path. */
export function applySetting(tree: Tree, schema: z.ZodType, setting: Setting): Tree | SettingFault {
  const result = assign(tree, schema, setting.path, setting.value);
  if (result !== undefined) {
    return result as Tree;
  }
  const path = setting.path.join('.');
  return { code: 'E402', message: 'no such path', suggestion: nearestPath(path, leafPaths(schema, tree)) };
}

export function isFault(value: Tree | SettingFault): value is SettingFault {
  return 'code' in value && 'suggestion' in value;
}

/** Undefined when the path leads nowhere: a key that neither the value nor its schema has, or a part that has no such name. */
function assign(value: unknown, schema: z.ZodType, path: readonly string[], leaf: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) {
    return leaf;
  }
  const child = childSchema(schema, value, key);
  if (child === null) {
    return undefined;
  }
  if (Array.isArray(value)) {
    return assignItem(value, child, Number(key), rest, leaf);
  }
  const base = isMapping(value) ? value : {};
  if (!Object.hasOwn(base, key) && !hasFixedKeys(schema, value)) {
    return undefined;
  }
  const changed = assign(Object.hasOwn(base, key) ? base[key] : undefined, child, rest, leaf);
  return changed === undefined ? undefined : { ...base, [key]: changed };
}

function assignItem(
  items: readonly unknown[],
  schema: z.ZodType,
  index: number,
  rest: readonly string[],
  leaf: unknown,
): unknown {
  if (index >= items.length) {
    return undefined;
  }
  const changed = assign(items[index], schema, rest, leaf);
  return changed === undefined ? undefined : items.map((item, i) => (i === index ? changed : item));
}

/** Turns the issues of a Zod parse into faults by path, with stable codes and nearest names. */
import type { z } from 'zod';
import type { ErrorCode } from './errors.js';
import { childSchema, isMapping, keysOf } from './introspect.js';
import { nearest } from './nearest.js';

/** Something wrong at a path of a point; `related` are other paths that take part in it. */
export interface Fault {
  readonly code: ErrorCode;
  readonly path: readonly string[];
  readonly message: string;
  readonly suggestion: string | null;
  readonly related: readonly (readonly string[])[];
  /** The key itself is wrong, not its value. */
  readonly onKey: boolean;
}

export function fault(code: ErrorCode, path: readonly string[], message: string, more: Partial<Fault> = {}): Fault {
  return { code, path, message, suggestion: null, related: [], onKey: false, ...more };
}

/** Faults of a failed parse of `value` at `prefix`. */
export function parseFaults(error: z.ZodError, schema: z.ZodType, value: unknown, prefix: readonly string[]): Fault[] {
  const faults = error.issues.flatMap((issue) => {
    const path = issue.path.map(String);
    const place = [...prefix, ...path];
    const at = lookUp(schema, value, path);
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => unknownKey(place, key, at));
    }
    const coded = /^(E\d{3}) (.*)$/s.exec(issue.message);
    if (coded !== null && at.value !== undefined) {
      return [codedFault(coded[1] as ErrorCode, place, coded[2]!, at)];
    }
    if (issue.code === 'invalid_key') {
      const message = 'a name is a letter, then letters, digits, "-" or "_"';
      return [fault('E106', place, message, { onKey: true })];
    }
    if (issue.code === 'invalid_union') {
      return [unknownKind(place, at)];
    }
    if (at.value === undefined) {
      return [fault('E102', place, `the key "${place.at(-1)}" is missing`)];
    }
    return [wrongKind(place, at.value)];
  });
  return withoutEchoes(faults);
}

/** A misspelt key is one problem, not an unknown key and a missing one. */
function withoutEchoes(faults: readonly Fault[]): Fault[] {
  const meant = new Set(
    faults
      .filter((each) => each.code === 'E101' && each.suggestion !== null)
      .map((each) => [...each.path.slice(0, -1), each.suggestion].join('.')),
  );
  return faults.filter((each) => each.code !== 'E102' || !meant.has(each.path.join('.')));
}

interface Place {
  readonly schema: z.ZodType | null;
  readonly value: unknown;
}

function lookUp(schema: z.ZodType, value: unknown, path: readonly string[]): Place {
  let place: Place = { schema, value };
  for (const key of path) {
    const inside = typeof place.value === 'object' && place.value !== null ? place.value : {};
    place = {
      schema: place.schema === null ? null : childSchema(place.schema, place.value, key),
      value: Object.hasOwn(inside, key) ? (inside as Record<string, unknown>)[key] : undefined,
    };
  }
  return place;
}

function unknownKey(place: readonly string[], key: string, at: Place): Fault {
  const keys = at.schema === null ? [] : keysOf(at.schema, at.value);
  const free = keys.filter((name) => !isMapping(at.value) || !Object.hasOwn(at.value, name));
  const suggestion = nearest(key, free) ?? nearest(key, keys);
  return fault('E101', [...place, key], 'unknown key', { suggestion, onKey: true });
}

/** The message names the allowed values; the nearest of them is suggested. */
function codedFault(code: ErrorCode, place: readonly string[], message: string, at: Place): Fault {
  const names = code === 'E104' ? (/ is not one of (.*)$/.exec(message)?.[1]?.split(', ') ?? []) : [];
  const hint = /^(.*); did you mean "([^"]*)"\?$/.exec(message);
  const suggestion = hint?.[2] ?? (typeof at.value === 'string' ? nearest(at.value, names) : null);
  return fault(code, place, hint?.[1] ?? message, { suggestion });
}

const JOB_KINDS = ['dma', 'stream', 'map-benchmark', 'user-map', 'sva', 'offload', 'invalidate'];

/** `at` is the `kind` of a job. */
function unknownKind(place: readonly string[], at: Place): Fault {
  const kinds = JOB_KINDS.join(', ');
  if (at.value === undefined) {
    return fault('E102', place, `the key "kind" is missing: one of ${kinds}`);
  }
  if (typeof at.value !== 'string') {
    return fault('E103', place, `expected one of ${kinds}`);
  }
  return fault('E104', place, `"${at.value}" is not one of ${kinds}`, { suggestion: nearest(at.value, JOB_KINDS) });
}

function wrongKind(place: readonly string[], value: unknown): Fault {
  const got =
    value === null
      ? 'nothing'
      : Array.isArray(value)
        ? 'a list'
        : isMapping(value)
          ? 'a mapping'
          : JSON.stringify(value);
  const expected = isMapping(value) ? 'expected a list' : 'expected a mapping of keys';
  return fault('E103', place, `${expected}, got ${got}`);
}

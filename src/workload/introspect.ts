/** Questions to a Zod schema: what lies under a key, which keys there are, how a resolved value is written in a file. */
import { z } from 'zod';
import { isWrittenLeaf, writeLeaf } from './fields.js';

/** The schema without optional, nullable and default around it. */
export function unwrap(schema: z.ZodType): z.ZodType {
  let inner = schema;
  while (
    !isWrittenLeaf(inner) &&
    (inner instanceof z.ZodDefault || inner instanceof z.ZodNullable || inner instanceof z.ZodOptional)
  ) {
    inner = inner.unwrap() as z.ZodType;
  }
  return inner;
}

/** For one of several shapes, the one whose `kind` the value has. */
function shapeOf(schema: z.ZodType, value: unknown): z.ZodType | null {
  const inner = unwrap(schema);
  if (!(inner instanceof z.ZodDiscriminatedUnion)) {
    return inner;
  }
  const kind = isMapping(value) ? value['kind'] : undefined;
  const option = (inner.options as z.ZodObject[]).find(
    (object) => (object.shape['kind'] as z.ZodLiteral).value === kind,
  );
  return option ?? null;
}

/** Schema of `key` inside a value of `schema`; null when the schema knows no such key. */
export function childSchema(schema: z.ZodType, value: unknown, key: string): z.ZodType | null {
  const inner = shapeOf(schema, value);
  if (inner instanceof z.ZodObject) {
    return Object.hasOwn(inner.shape, key) ? (inner.shape[key] as z.ZodType) : null;
  }
  if (inner instanceof z.ZodRecord) {
    return inner.valueType as z.ZodType;
  }
  return inner instanceof z.ZodArray && /^\d+$/.test(key) ? (inner.element as z.ZodType) : null;
}

/** True when new keys may not be invented: an object of the schema, not parts by name. */
export function hasFixedKeys(schema: z.ZodType, value: unknown): boolean {
  return shapeOf(schema, value) instanceof z.ZodObject;
}

/** Keys that a value of the schema has or may have. */
export function keysOf(schema: z.ZodType, value: unknown): string[] {
  const inner = shapeOf(schema, value);
  if (inner instanceof z.ZodObject) {
    return Object.keys(inner.shape);
  }
  if (inner instanceof z.ZodRecord && isMapping(value)) {
    return Object.keys(value);
  }
  return inner instanceof z.ZodArray && Array.isArray(value) ? [...value.keys()].map(String) : [];
}

/** Dotted paths of all leaves under a value. */
export function leafPaths(schema: z.ZodType, value: unknown, prefix = ''): string[] {
  return keysOf(schema, value).flatMap((key) => {
    const path = prefix === '' ? key : `${prefix}.${key}`;
    const child = childSchema(schema, value, key)!;
    const inside = isContainer(value) ? (value as Record<string, unknown>)[key] : undefined;
    const below = leafPaths(child, inside, path);
    // A part that is not there has no leaves.
    if (inside === null && below.length > 0) return [];
    return below.length === 0 ? [path] : below;
  });
}

/** A resolved value in the spelling of a workload file. */
export function writeValue(schema: z.ZodType, value: unknown): unknown {
  const inner = value === null ? schema : (shapeOf(schema, value) ?? schema);
  if (isWrittenLeaf(inner)) {
    return writeLeaf(inner, value);
  }
  if (Array.isArray(value)) {
    return value.map((item, index) => writeValue(childSchema(inner, value, String(index))!, item));
  }
  if (isMapping(value)) {
    return Object.fromEntries(
      keysOf(inner, value).map((key) => [key, writeValue(childSchema(inner, value, key)!, value[key])]),
    );
  }
  return value;
}

export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isContainer(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

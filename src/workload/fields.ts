/**
 * The kinds of leaves a workload file has: quantities with units, counts, names, switches. Each knows how to read the user's
 * spelling and how to write a resolved value back. Messages begin with their error code, which `problems.ts` takes off again.
 */
import { z } from 'zod';
import { type Dimension, expectedQuantity, formatQuantity, parseQuantity, quantityPattern } from './units.js';

/** Writes resolved values of a leaf the way a file spells them. Keyed by schema, because Zod keeps schema objects as they are. */
const WRITERS = new WeakMap<z.ZodType, (value: never) => string | number | null>();

/** The spelling of a leaf's resolved value, or the value itself for plain leaves. */
export function writeLeaf(schema: z.ZodType, value: unknown): unknown {
  const writer = WRITERS.get(schema) as ((value: unknown) => unknown) | undefined;
  return writer === undefined ? value : writer(value);
}

export function isWrittenLeaf(schema: z.ZodType): boolean {
  return WRITERS.has(schema);
}

/** Names of sockets, devices, jobs: no dots, because paths are dotted. */
export const NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

type Input = { readonly input?: unknown };

function got(input: unknown): string {
  if (input === null) {
    return 'nothing';
  }
  if (typeof input === 'string') {
    return input.length > 40 ? `"${input.slice(0, 40)}..."` : `"${input}"`;
  }
  if (typeof input === 'number' || typeof input === 'boolean') {
    return String(input);
  }
  return Array.isArray(input) ? 'a list' : 'a mapping';
}

/** Message for a value of the wrong kind; absent values get their own error elsewhere. */
function kind(expected: string): (issue: Input) => string {
  return ({ input }) =>
    typeof input === 'number' && !Number.isFinite(input)
      ? `E205 expected ${expected}, got ${input}`
      : `E103 expected ${expected}, got ${got(input)}`;
}

export interface QuantityRange {
  /** In base units. */
  readonly min?: number;
  readonly max?: number;
}

function quantity(dimension: Dimension, range: QuantityRange, description: string) {
  const expected = expectedQuantity(dimension);
  const schema = z
    .string({
      error: ({ input }) =>
        typeof input === 'number' && Number.isFinite(input)
          ? `E201 expected ${expected}, got ${input} without a unit`
          : kind(expected)({ input }),
    })
    .meta({ pattern: quantityPattern(dimension), description })
    .transform((text, context) => {
      const value = parseQuantity(text, dimension);
      if (typeof value !== 'number') {
        context.addIssue({ code: 'custom', message: `${value.code} ${value.message}` });
        return z.NEVER;
      }
      const { min = 0, max = Number.MAX_SAFE_INTEGER } = range;
      if (value < min || value > max) {
        const bound =
          value < min ? `at least ${formatQuantity(min, dimension)}` : `at most ${formatQuantity(max, dimension)}`;
        context.addIssue({ code: 'custom', message: `E204 ${text} is outside the range: ${bound} is needed` });
        return z.NEVER;
      }
      return value;
    });
  WRITERS.set(schema, (value: number) => formatQuantity(value, dimension));
  return schema;
}

/** Picoseconds. */
/** At most this long, ps: an hour. Simulated time ends at 2^53 ps (2.5 hours). */
const LONGEST = 3600e12;

export function time(description: string, range: QuantityRange = {}) {
  return quantity('time', { max: LONGEST, ...range }, description);
}

/** Bytes; at least one unless the range says otherwise. */
export function size(description: string, range: QuantityRange = {}) {
  return quantity('size', { min: 1, ...range }, description);
}

/** Bits a second; at least one. */
export function rate(description: string) {
  return quantity('rate', { min: 1 }, description);
}

/** Hertz, at least 1 MHz. */
export function frequency(description: string) {
  return quantity('frequency', { min: 1e6 }, description);
}

function share(perPercent: number, max: number, description: string) {
  const inner = quantity('share', { max }, description);
  const schema = inner.transform((percent, context) => {
    const value = percent * perPercent;
    if (Math.abs(value - Math.round(value)) > 1e-6) {
      context.addIssue({ code: 'custom', message: `E203 ${percent}% is finer than one part in ${100 * perPercent}` });
      return z.NEVER;
    }
    return Math.round(value);
  });
  WRITERS.set(schema, (value: number) => `${value / perPercent}%`);
  return schema;
}

/** Whole percent, 0 to 100. */
export function percent(description: string) {
  return share(1, 100, description);
}

/** Millionths, written in percent. */
export function millionths(description: string, maxPercent = 100) {
  return share(1e4, maxPercent, description);
}

/** A whole number in a range. */
export function count(min: number, max: number, description: string) {
  const range = `a whole number from ${min} to ${max}`;
  const bounds = ({ input }: Input): string => `E204 expected ${range}, got ${got(input)}`;
  return z
    .number({ error: kind(range) })
    .refine(Number.isInteger, { error: ({ input }) => `E203 expected ${range}, got ${got(input)}`, abort: true })
    .min(min, { error: bounds })
    .max(max, { error: bounds })
    .overwrite((value) => value + 0)
    .meta({ description, type: 'integer' });
}

/** A power of two in a range. */
export function powerOfTwo(min: number, max: number, description: string) {
  return count(min, max, description).refine(isPowerOfTwo, {
    error: ({ input }) => `E302 ${got(input)} is not a power of two`,
  });
}

/** A size that is a power of two, in bytes. */
export function sizePowerOfTwo(min: number, max: number, description: string) {
  const schema = size(description, { min, max }).refine(isPowerOfTwo, {
    error: ({ input }) => `E302 ${formatQuantity(input as number, 'size')} is not a power of two`,
  });
  WRITERS.set(schema, (value: number) => formatQuantity(value, 'size'));
  return schema;
}

/** A size out of a few. */
export function sizeOneOf(sizes: readonly number[], description: string) {
  const names = sizes.map((value) => formatQuantity(value, 'size'));
  const schema = size(description).refine((value) => sizes.includes(value), {
    error: ({ input }) => `E204 ${formatQuantity(input as number, 'size')} is not one of ${names.join(', ')}`,
  });
  WRITERS.set(schema, (value: number) => formatQuantity(value, 'size'));
  return schema;
}

/** A number out of a few. */
export function oneOf(numbers: readonly number[], description: string) {
  return count(Math.min(...numbers), Math.max(...numbers), description).refine((value) => numbers.includes(value), {
    error: ({ input }) => `E204 ${got(input)} is not one of ${numbers.join(', ')}`,
  });
}

export function flag(description: string) {
  return z.boolean({ error: kind('true or false') }).meta({ description });
}

/** Names a part of the same file. */
export function reference(description: string) {
  return z.string({ error: kind('a name') }).meta({ description });
}

/** One of a fixed set of names. */
export function choice<const T extends readonly string[]>(names: T, description: string) {
  return z.enum(names, { error: ({ input }) => choiceFault(input, names) }).meta({ description });
}

function choiceFault(input: unknown, names: readonly string[]): string {
  const list = names.join(', ');
  return typeof input === 'string'
    ? `E104 ${got(input)} is not one of ${list}`
    : `E103 expected one of ${list}, got ${got(input)}`;
}

const REQUESTER = /^([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i;

/** A PCI requester id, bus:device.function in hexadecimal as lspci writes it, as one number (bus << 8 | devfn). */
export function requester() {
  const schema = z
    .string({ error: kind('a requester id such as "3:00.0"') })
    .meta({
      pattern: REQUESTER.source.replaceAll('a-f', 'a-fA-F'),
      description: 'Requester id, bus:device.function in hexadecimal.',
    })
    .transform((text, context) => {
      const match = REQUESTER.exec(text);
      const device = Number.parseInt(match?.[2] ?? '', 16);
      if (match === null || device > 31) {
        const reason =
          match === null ? 'expected bus:device.function such as "3:00.0"' : 'the device number goes from 00 to 1f';
        context.addIssue({ code: 'custom', message: `E204 ${got(text)} is no requester id: ${reason}` });
        return z.NEVER;
      }
      return (Number.parseInt(match[1]!, 16) << 8) | (device << 3) | Number(match[3]);
    });
  WRITERS.set(schema, formatRequester);
  return schema;
}

export function formatRequester(value: number): string {
  const hex = (part: number, digits: number): string => part.toString(16).padStart(digits, '0');
  return `${hex(value >> 8, 2)}:${hex((value >> 3) & 31, 2)}.${value & 7}`;
}

/** A PASID; null (none) is -1. 0 stands for requests without (IOMMU_NO_PASID). */
export function pasid() {
  const schema = count(1, 2 ** 20 - 1, 'PASID of the DMAs, or null for none.')
    .nullable()
    .transform((value) => value ?? -1);
  WRITERS.set(schema, (value: number) => (value === -1 ? null : value));
  return schema;
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

/**
 * What a workload file looks like to an editor: every section of a point with all keys optional (a preset may supply them),
 * the presets, the sweep and the seeds. Exported as JSON Schema by `iommusim schema`.
 */
import { z } from 'zod';
import { sheetNames } from '../models/catalog.js';
import type { SheetKind } from '../models/sheet.js';
import { NAME } from './fields.js';
import { deviceSchema } from './schema-device.js';
import { jobSchema, stopSchema, warmupSchema } from './schema-job.js';
import { iommuSchema, machineSchema, named } from './schema-machine.js';
import { osSchema } from './schema-os.js';
import { unwrap } from './introspect.js';

/** Everything optional, all the way down; parts by name stay parts by name. */
function partial(schema: z.ZodType): z.ZodType {
  const inner = unwrap(schema);
  if (schema === iommuSchema) {
    return withPreset(iommuSchema, 'iommu');
  }
  if (inner instanceof z.ZodObject) {
    const object = z.strictObject(partialShape(inner));
    return schema.safeParse(null).success ? object.nullable() : object;
  }
  return inner instanceof z.ZodRecord ? named(partial(inner.valueType as z.ZodType)) : schema;
}

function partialShape(object: z.ZodObject): Record<string, z.ZodType> {
  return Object.fromEntries(
    Object.entries(object.shape).map(([key, child]) => [key, partial(child as z.ZodType).optional()]),
  );
}

function withPreset(object: z.ZodObject, kind: SheetKind) {
  const preset = z
    .enum(sheetNames(kind) as [string, ...string[]])
    .meta({ description: `Model sheet of kind ${kind}.` });
  return z.strictObject({ preset: preset.optional(), ...partialShape(object) });
}

const PATH = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$/);
const axes = z.record(PATH, z.array(z.unknown()).min(1)).optional();

export const seedsSchema = z.union([
  z.number().int().min(1).max(10_000).meta({ description: 'Number of seeds: 1 to N.' }),
  z
    .array(
      z
        .number()
        .int()
        .min(0)
        .max(2 ** 32 - 1),
    )
    .min(1),
]);

const fileSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/)
      .meta({ description: 'Name of the workload and its results.' }),
    question: z.string().min(1).meta({ description: 'The one question the workload answers.' }),
    machine: withPreset(machineSchema, 'machine'),
    os: withPreset(osSchema, 'os'),
    devices: z.record(z.string().regex(NAME), withPreset(deviceSchema, 'device')),
    workload: named(jobSchema),
    sweep: z
      .strictObject({
        cross: axes.meta({ description: 'Every combination of the values, the first path varying slowest.' }),
        zip: axes.meta({ description: 'Lists of equal length, read in parallel.' }),
      })
      .optional(),
    seeds: seedsSchema.optional().meta({ description: 'Number of seeds or a list of them; 5 when absent.' }),
    warmup: warmupSchema.optional(),
    stop: stopSchema,
  })
  .meta({ title: 'iommusim workload', description: 'One question put to a simulated machine.' });

/** JSON Schema (2020-12) of workload files. */
export function workloadJsonSchema(): object {
  return z.toJSONSchema(fileSchema, { io: 'input' });
}

/**
 * The sections of a resolved point, each with its schema. Files are merged with their presets first, so these schemas are
 * complete and strict; `file-schema.ts` derives from them what a file may leave out.
 */
import { z } from 'zod';
import { deviceSchema } from './schema-device.js';
import { jobSchema, stopSchema, warmupSchema } from './schema-job.js';
import { machineSchema, named } from './schema-machine.js';
import { osSchema } from './schema-os.js';

export const SECTIONS = {
  machine: machineSchema,
  os: osSchema,
  devices: named(deviceSchema),
  workload: named(jobSchema),
  warmup: warmupSchema,
  stop: stopSchema,
} as const;

export type Section = keyof typeof SECTIONS;

export const SECTION_NAMES = Object.keys(SECTIONS) as Section[];

/** All sections as one object: what dotted paths lead through. */
export const POINT_SCHEMA = z.strictObject(SECTIONS);

/** What every model sheet must satisfy: complete, valid, and honest about each number. */
import { expect } from 'vitest';
import { sheetNames } from '../../models/catalog.js';
import { isQuantity, type Parameter, type Sheet, type SheetKind, sheetRows } from '../../models/sheet.js';
import { leafPaths } from '../introspect.js';
import { resolveWorkload } from '../resolve.js';
import { deviceSchema } from '../schema-device.js';
import { iommuSchema, machineSchema } from '../schema-machine.js';
import { osSchema } from '../schema-os.js';
import type { z } from 'zod';
import type { PointSpec } from '../spec.js';

/**
 * - every number has a unit or is a count, a source and a confidence;
 * - the keys are exactly those of the Spec (besides what only a workload knows: where the part is plugged in);
 * - a workload that names the preset resolves to a complete valid point.
 */
export function checkModelContract(sheet: Sheet): void {
  expect(sheet.name).toMatch(/^[a-z0-9][a-z0-9.-]*$/);
  expect(sheet.title.length).toBeGreaterThan(5);
  expect(sheet.description.length).toBeGreaterThan(20);
  expect(sheetNames(sheet.kind), 'the sheet is in the catalogue').toContain(sheet.name);
  checkQuantities(sheet.parameters, sheet.name);
  const spec = resolvePreset(sheet);
  const wanted = leafPaths(SCHEMAS[sheet.kind], partOf(spec, sheet.kind)).filter((path) => !PLACEMENT.has(path));
  expect(
    sheetRows(sheet)
      .map((row) => row.path)
      .sort(),
  ).toEqual(wanted.sort());
}

/** Keys of a part that its sheet cannot know. */
const PLACEMENT = new Set(['port', 'requester', 'socket']);

const SCHEMAS: Readonly<Record<SheetKind, z.ZodType>> = {
  machine: machineSchema,
  iommu: iommuSchema,
  device: deviceSchema,
  os: osSchema,
};

function checkQuantities(parameter: Parameter, path: string): void {
  if (parameter === null || typeof parameter === 'string') {
    return;
  }
  if (!isQuantity(parameter)) {
    for (const [key, child] of Object.entries(parameter)) {
      checkQuantities(child as Parameter, `${path}.${key}`);
    }
    return;
  }
  expect(parameter.source.trim().length, `${path} has a source`).toBeGreaterThan(5);
  expect(['spec', 'measured', 'fitted', 'assumed'], path).toContain(parameter.confidence);
  if (typeof parameter.value === 'number') {
    expect(Number.isFinite(parameter.value), path).toBe(true);
    expect(parameter.value, path).toBeGreaterThanOrEqual(0);
    expect(parameter.unit === '' && !path.endsWith('generation'), `${path} has a unit`).toBe(false);
  }
}

/** A point that uses the preset. */
function resolvePreset(sheet: Sheet): PointSpec {
  const preset = (kind: SheetKind, otherwise: string): string => (sheet.kind === kind ? sheet.name : otherwise);
  // Small enough for units with few physical address bits.
  const small = 'sockets: {s0: {dram: {size: 16GiB}}}';
  const unit = sheet.kind === 'iommu' ? `\n  iommus: {iommu0: {preset: ${sheet.name}}}\n  ${small}` : '';
  const text = `name: contract
question: Is the preset complete?
machine:
  preset: ${preset('machine', 'skx-8160')}${unit}
os: {preset: ${preset('os', 'linux-7.2')}}
devices:
  part: {preset: ${preset('device', 'nic-100g')}, port: port0, requester: "3:00.0"}
workload:
  job: {kind: dma, device: part, size: 64B, window: 1MiB, outstanding: 1, memory: s0}
seeds: 1
stop: {operations: 1}
`;
  return resolveWorkload(text, 'contract.yaml').points[0]!.spec;
}

function partOf(spec: PointSpec, kind: SheetKind): unknown {
  switch (kind) {
    case 'machine':
      return spec.machine;
    case 'iommu':
      return spec.machine.iommus['iommu0'];
    case 'device':
      return spec.devices['part'];
    case 'os':
      return spec.os;
  }
}

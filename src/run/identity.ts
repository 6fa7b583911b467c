/**
 * Names that tie results to what produced them: the hash of a plan, the results folder derived from it, the version of the
 * package, and a fingerprint of the code that decides the numbers.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunPlan } from '../workload/plan.js';
import { sha256 } from './encoding.js';

const CODE_ROOT = fileURLToPath(new URL('..', import.meta.url));
export const PACKAGE_ROOT: string = fileURLToPath(new URL('../..', import.meta.url));

/** Folders whose code decides a result; workload and models act through the resolved spec, which the point id covers. */
const SIMULATION_FOLDERS = [
  'kernel',
  'stats',
  'memory',
  'protocol',
  'pagetable',
  'iommu',
  'pcie',
  'devices',
  'os',
  'system',
  'run',
];

/** 16 hex digits over the name of a plan and its points in order: which run a results folder holds. */
export function planHash(plan: RunPlan): string {
  const points = plan.points.map((point) => [point.id, point.seed, Object.entries(point.swept)]);
  return sha256(JSON.stringify([plan.name, points])).slice(0, 16);
}

/** Where a run writes unless told otherwise, relative to the working directory. */
export function defaultFolder(plan: RunPlan): string {
  const name = plan.name.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[.-]+/, '');
  return join('results', 'runs', `${name === '' ? 'run' : name}-${planHash(plan).slice(0, 8)}`);
}

export function packageVersion(): string {
  const text = readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function codeFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? codeFiles(join(folder, entry.name)) : [join(folder, entry.name)]))
    .filter((file) => /(?<!\.d|\.test)\.[jt]s$/.test(file));
}

/** 16 hex digits over the simulation code as installed: a result of changed code is never taken for a result of this code. */
export function codeFingerprint(): string {
  const hash = createHash('sha256');
  const files = SIMULATION_FOLDERS.flatMap((folder) => codeFiles(join(CODE_ROOT, folder)));
  for (const file of files.sort()) hash.update(file.slice(CODE_ROOT.length)).update('\0').update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}

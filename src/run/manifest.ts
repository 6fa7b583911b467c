/**
 * manifest.json: the one file of a results folder that holds facts about the host and the clock. Written when a run starts
 * (state `unfinished`) and again when it is complete, then with the SHA-256 of every other file.
 */
import { execFile } from 'node:child_process';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import type { RunPlan } from '../workload/plan.js';
import { SCHEMA_VERSION } from './encoding.js';
import { PACKAGE_ROOT, packageVersion, planHash } from './identity.js';
import type { PointOptions } from './result.js';

export interface RunFacts extends PointOptions {
  readonly code: string;
  readonly threads: number;
  readonly command: readonly string[];
  /** Workload file as named by the user, and the SHA-256 of its text; null when the plan did not come from a file. */
  readonly workloadSha256: string | null;
  readonly started: Date;
}

/** What is known only when the run is complete. */
export interface Completion {
  readonly finished: Date;
  readonly wallSeconds: number;
  /** Points computed by this run, and points taken over from an earlier, interrupted one. */
  readonly computed: number;
  readonly reused: number;
  readonly files: Readonly<Record<string, string>>;
}

/** Commit of the simulator's own checkout, with `-dirty` when files differ from it; null when it is not a checkout. */
export async function gitCommit(): Promise<string | null> {
  try {
    const git = async (...args: string[]): Promise<string> =>
      (await promisify(execFile)('git', ['-C', PACKAGE_ROOT, ...args])).stdout.trim();
    if (resolve(await git('rev-parse', '--show-toplevel')) !== resolve(PACKAGE_ROOT)) return null;
    return await git('describe', '--always', '--dirty', '--abbrev=40', '--exclude=*');
  } catch {
    return null;
  }
}

/** Text of the manifest; `completion` null = the run has only begun. */
export function formatManifest(
  plan: RunPlan,
  facts: RunFacts,
  commit: string | null,
  completion: Completion | null,
): string {
  const { started, ...run } = facts;
  const manifest = {
    program: 'iommusim',
    schema: SCHEMA_VERSION,
    version: packageVersion(),
    commit,
    code: run.code,
    state: completion === null ? 'unfinished' : 'complete',
    name: plan.name,
    question: plan.question,
    plan: planHash(plan),
    workload: { file: plan.file, sha256: run.workloadSha256 },
    everyEvent: run.everyEvent,
    audit: run.audit,
    command: run.command,
    threads: run.threads,
    host: {
      node: process.version,
      v8: process.versions.v8,
      platform: `${platform()} ${release()} ${arch()}`,
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: availableParallelism(),
      memoryBytes: totalmem(),
    },
    started: started.toISOString(),
    finished: completion?.finished.toISOString() ?? null,
    wallSeconds: completion?.wallSeconds ?? null,
    computed: completion?.computed ?? null,
    reused: completion?.reused ?? null,
    seeds: [...new Set(plan.points.map((point) => point.seed))],
    points: plan.points.map(({ id, design, seed }) => ({ id, design, seed })),
    files: completion?.files ?? {},
  };
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

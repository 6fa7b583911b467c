/**
 * A whole run: opens the results folder, takes over the points it already holds, computes the others on the pool, stores each
 * as it finishes, and when all are there writes the reports from the stored points in plan order. The files are therefore the
 * same for any number of threads, and for a run that was interrupted and resumed.
 */
import type { PlannedPoint, RunPlan } from '../workload/plan.js';
import type { PointRunner } from './batch.js';
import type { PointKey } from './encoding.js';
import { OutputError, PointError } from './errors.js';
import { codeFingerprint, planHash } from './identity.js';
import { type Completion, formatManifest, gitCommit, type RunFacts } from './manifest.js';
import { computeRun } from './compute.js';
import { Progress, type ProgressStream } from './progress.js';
import type { PointOptions, PointResult } from './result.js';
import { type FileSystem, MANIFEST, type ReportFile, ResultsFolder } from './store.js';

/** What turns stored points into files. Deterministic: the same points give the same bytes. */
export interface RunReport {
  /** Called once for each point of the plan, in plan order. */
  add(point: PlannedPoint, result: PointResult): void;
  /** Called once, after the last point. */
  files(): readonly ReportFile[];
}

export interface RunOptions extends PointOptions {
  /** Results folder; created when missing. */
  readonly out: string;
  readonly threads: number;
  readonly quiet: boolean;
  /** The report, or how to load it when all points are there: start-up time is not spent on it. */
  readonly report: RunReport | (() => Promise<RunReport>);
  /** Ends the run early; finished points stay. */
  readonly signal?: AbortSignal | undefined;
  /** Command line and workload hash for the manifest. */
  readonly command?: readonly string[] | undefined;
  readonly workloadSha256?: string | undefined;
  /** Replacements for tests and for programs that embed the simulator. */
  readonly runner?: PointRunner | undefined;
  readonly worker?: URL | undefined;
  readonly files?: FileSystem | undefined;
  readonly stream?: ProgressStream | undefined;
}

export interface RunSummary {
  readonly status: 'complete' | 'interrupted';
  readonly out: string;
  /** Points of the plan, points computed now, and points found in the folder. */
  readonly total: number;
  readonly computed: number;
  readonly reused: number;
  /** Audit violations over all points; 0 when the audit was off or the run was interrupted. */
  readonly violations: number;
  readonly wallSeconds: number;
  /** Name and SHA-256 of the report files; empty when interrupted. */
  readonly files: Readonly<Record<string, string>>;
}

/**
 * @throws OutputError when the folder cannot be used or written, PointError when a point failed. Finished points are kept in
 * both cases, and the same call resumes.
 */
export async function executeRun(plan: RunPlan, options: RunOptions): Promise<RunSummary> {
  return new Run(plan, options).execute();
}

class Run {
  private readonly begin = performance.now();
  private readonly facts: RunFacts;
  private computed = 0;
  private reused = 0;
  /** Asked for when the first point is stored: starting another process takes time. */
  private commit: Promise<string | null> | null = null;

  constructor(
    private readonly plan: RunPlan,
    private readonly options: RunOptions,
  ) {
    this.facts = {
      everyEvent: options.everyEvent,
      audit: options.audit,
      code: codeFingerprint(),
      threads: options.threads,
      command: options.command ?? [],
      workloadSha256: options.workloadSha256 ?? null,
      started: new Date(),
    };
  }

  async execute(): Promise<RunSummary> {
    const folder = await ResultsFolder.open(this.options.out, planHash(this.plan), this.options.files);
    const missing = await this.missingPoints(folder);
    if (missing.length > 0) {
      await this.writeManifest(folder, null, null);
      await folder.removeReports();
      if (!(await this.compute(folder, missing))) return this.summary('interrupted', 0, {});
    }
    this.commit ??= gitCommit();
    const { report } = this.options;
    const target = typeof report === 'function' ? await report() : report;
    const { points, violations } = await this.collect(folder, target);
    const files: Record<string, string> = {};
    for (const file of target.files()) files[file.name] = await folder.write(file);
    await this.writeManifest(folder, await this.commit, {
      finished: new Date(),
      wallSeconds: this.wallSeconds(),
      computed: this.computed,
      reused: this.reused,
      files: { ...files, ...points },
    });
    return this.summary('complete', violations, files);
  }

  private key(id: string): PointKey {
    return { id, code: this.facts.code, everyEvent: this.options.everyEvent, audit: this.options.audit };
  }

  /** Points without a valid stored result; one that occurs twice in the plan is computed once. */
  private async missingPoints(folder: ResultsFolder): Promise<PlannedPoint[]> {
    const unique = new Map(this.plan.points.map((point) => [point.id, point]));
    const missing: PlannedPoint[] = [];
    for (const point of unique.values()) {
      if (await folder.has(this.key(point.id))) this.reused++;
      else missing.push(point);
    }
    return missing;
  }

  /** @returns false when interrupted. */
  private async compute(folder: ResultsFolder, missing: readonly PlannedPoint[]): Promise<boolean> {
    const stream = this.options.quiet ? null : (this.options.stream ?? process.stderr);
    const progress = new Progress(stream, missing.length + this.reused, this.reused);
    const errors: string[] = [];
    try {
      const specs = missing.map((point) => point.spec);
      const complete = await computeRun(specs, this.options, async (index, outcome) => {
        if (outcome.text === null) {
          errors[index] = outcome.error;
          return;
        }
        await folder.save(this.key(missing[index]!.id), outcome.text);
        this.computed++;
        progress.advance();
        this.commit ??= gitCommit();
      });
      if (!complete) return false;
    } finally {
      progress.finish();
    }
    const failures = Object.keys(errors).map(Number);
    if (failures.length > 0) throw pointError(missing[failures[0]!]!, errors[failures[0]!]!, failures.length);
    return true;
  }

  /** Feeds every stored point to the report. */
  private async collect(
    folder: ResultsFolder,
    report: RunReport,
  ): Promise<{ points: Record<string, string>; violations: number }> {
    const points: Record<string, string> = {};
    let violations = 0;
    for (const point of this.plan.points) {
      const key = this.key(point.id);
      const stored = await folder.load(key);
      if (stored === null) {
        const message = `the result of point ${point.id} in ${folder.path} was changed or removed during the run`;
        throw new OutputError('output-failed', message, folder.path);
      }
      points[`points/${point.id}.json`] = stored.sha256;
      violations += stored.result.audit?.violations.length ?? 0;
      report.add(point, stored.result);
    }
    return { points, violations };
  }

  private async writeManifest(folder: ResultsFolder, commit: string | null, completion: Completion | null) {
    const text = formatManifest(this.plan, this.facts, commit, completion);
    await folder.write({ name: MANIFEST, chunks: [text] });
  }

  private wallSeconds(): number {
    return Math.round(performance.now() - this.begin) / 1000;
  }

  private summary(status: RunSummary['status'], violations: number, files: Record<string, string>): RunSummary {
    const { computed, reused } = this;
    const total = new Set(this.plan.points.map((point) => point.id)).size;
    const wallSeconds = this.wallSeconds();
    return { status, out: this.options.out, total, computed, reused, violations, wallSeconds, files };
  }
}

/** Swept values of a point as `path=value`, for messages. */
export function describePoint(point: PlannedPoint): string {
  const swept = Object.entries(point.swept).map(([path, value]) => `${path}=${value}`);
  return [...swept, `seed ${point.seed}`].join(', ');
}

function pointError(point: PlannedPoint, message: string, failures: number): PointError {
  const more = failures > 1 ? ` (${failures - 1} more failed too)` : '';
  return new PointError(`point ${point.id} (${describePoint(point)}) failed: ${message}${more}`, point.id, failures);
}

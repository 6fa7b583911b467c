import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PointRunner } from './batch.js';
import { OutputError, PointError } from './errors.js';
import { executeRun, type RunOptions, type RunReport } from './execute.js';
import { type FileSystem, nodeFileSystem } from './store.js';
import { fakePlan, fakeResult } from './testing/fake.js';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'iommusim-run-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A report that writes what it was given, in the order it was given. */
class Echo implements RunReport {
  private readonly lines: string[] = [];
  add(point: { id: string }, result: { events: number; metrics: readonly { value: number }[] }): void {
    this.lines.push(`${point.id} ${result.metrics[0]!.value}\n`);
  }
  files() {
    return [{ name: 'echo.csv', chunks: ['header\n', ...this.lines] }];
  }
}

const plan = fakePlan(4, 3);
const out = (name = 'out'): string => join(root, name);
const counting = (runner: PointRunner = fakeResult) => {
  const calls: number[] = [];
  const counted: PointRunner = (spec, options) => {
    calls.push(spec.seed);
    return runner(spec, options);
  };
  return { calls, runner: counted };
};

function options(changes: Partial<RunOptions> = {}): RunOptions {
  const base = { out: out(), threads: 1, quiet: true, everyEvent: false, audit: false, runner: fakeResult };
  return { ...base, report: new Echo(), ...changes };
}

/** Relative paths of everything in a folder. */
const tree = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
const read = (name: string, folder = out()): string => readFileSync(join(folder, name), 'utf8');
const manifest = (folder = out()) => JSON.parse(read('manifest.json', folder));
/** The error a run ends with. */
const failure = async (changes: Partial<RunOptions>, thePlan = plan): Promise<unknown> =>
  executeRun(thePlan, options(changes)).then(
    () => undefined,
    (error: unknown) => error,
  );

function failingFiles(broken: Partial<FileSystem>): FileSystem {
  return { ...nodeFileSystem, ...broken };
}
const errno = (code: string): Error => Object.assign(new Error(code), { code });

describe('a run', () => {
  it('stores every point and writes the reports in plan order', async () => {
    const summary = await executeRun(plan, options());
    expect(summary).toMatchObject({ status: 'complete', total: 12, computed: 12, reused: 0, violations: 0 });
    expect(tree(out()).filter((name) => name.startsWith('points/'))).toHaveLength(12);
    expect(
      read('echo.csv')
        .split('\n')
        .slice(1, -1)
        .map((line) => line.split(' ')[0]),
    ).toEqual(plan.points.map((p) => p.id));
  });

  it('leaves a manifest with hashes of all files and no temporary file', async () => {
    const summary = await executeRun(plan, options({ command: ['iommusim', 'run'], workloadSha256: 'abc' }));
    const facts = manifest();
    expect(facts).toMatchObject({
      state: 'complete',
      schema: 1,
      seeds: [1, 2, 3],
      computed: 12,
      workload: { sha256: 'abc' },
    });
    expect(facts.files['echo.csv']).toBe(summary.files['echo.csv']);
    expect(Object.keys(facts.files)).toHaveLength(13);
    expect(facts.points).toHaveLength(12);
    expect(tree(out()).filter((name) => name.includes('.tmp'))).toEqual([]);
  });

  it('computes a point that occurs twice once, and reports it twice', async () => {
    const twice = { ...plan, points: [...plan.points, plan.points[0]!] };
    const { calls, runner } = counting();
    const summary = await executeRun(twice, options({ runner }));
    expect(calls).toHaveLength(12);
    expect(summary.total).toBe(12);
    expect(read('echo.csv').split('\n')).toHaveLength(15);
  });

  it('counts audit violations', async () => {
    expect((await executeRun(plan, options({ audit: true }))).violations).toBe(3);
  });
});

describe('resume', () => {
  it('computes nothing again and gives the same bytes', async () => {
    await executeRun(plan, options());
    const before = read('echo.csv');
    const { calls, runner } = counting();
    const summary = await executeRun(plan, options({ runner }));
    expect(calls).toEqual([]);
    expect(summary).toMatchObject({ computed: 0, reused: 12 });
    expect(read('echo.csv')).toBe(before);
  });

  it('continues after an interruption, to the same bytes as a run in one go', async () => {
    await executeRun(plan, options({ out: out('whole') }));
    const controller = new AbortController();
    const { calls, runner } = counting((spec, o) => {
      if (calls.length === 5) controller.abort();
      return fakeResult(spec, o);
    });
    const first = await executeRun(plan, options({ runner, signal: controller.signal }));
    expect(first.status).toBe('interrupted');
    expect(first.computed).toBe(5);
    expect(tree(out()).filter((name) => name.endsWith('.csv'))).toEqual([]);
    expect(manifest()).toMatchObject({ state: 'unfinished', files: {} });

    const second = await executeRun(plan, options());
    expect(second).toMatchObject({ status: 'complete', computed: 7, reused: 5 });
    expect(tree(out())).toEqual(tree(out('whole')));
    for (const name of tree(out()).filter((file) => /\.csv$|points\//.test(file))) {
      expect(read(name)).toBe(read(name, out('whole')));
    }
  });

  it('recomputes damaged points, and points of another mode', async () => {
    await executeRun(plan, options());
    const path = join(out(), 'points', `${plan.points[3]!.id}.json`);
    const good = readFileSync(path, 'utf8');
    writeFileSync(path, good.slice(0, 100));
    const { calls, runner } = counting();
    await executeRun(plan, options({ runner }));
    expect(calls).toHaveLength(1);
    expect(readFileSync(path, 'utf8')).toBe(good);
    expect((await executeRun(plan, options({ everyEvent: true }))).computed).toBe(12);
  });

  it('removes temporary files of a process that is gone', async () => {
    await executeRun(plan, options());
    writeFileSync(join(out(), 'points', '.tmp-4194999-x.json'), 'half');
    await executeRun(plan, options());
    expect(tree(out()).filter((name) => name.includes('.tmp'))).toEqual([]);
  });
});

describe('a point that throws', () => {
  const runner: PointRunner = (spec, o) => {
    if (spec.seed === 2) throw new Error('zero walkers');
    return fakeResult(spec, o);
  };

  it('is named with its swept values; the others are kept', async () => {
    const error = await failure({ runner });
    expect(error).toBeInstanceOf(PointError);
    const { id } = plan.points[1]!;
    expect(error).toMatchObject({ point: id, failures: 4 });
    expect(String(error)).toContain(
      `point ${id} (os.dma.mode=strict, devices.nic.size=64B, seed 2) failed: zero walkers`,
    );
    expect(tree(out()).filter((name) => name.startsWith('points/'))).toHaveLength(8);
    expect(tree(out())).not.toContain('echo.csv');
    expect((await executeRun(plan, options())).computed).toBe(4);
  });
});

describe('the output folder', () => {
  it('must not hold another run', async () => {
    await executeRun(plan, options());
    const before = tree(out());
    const error = await failure({}, fakePlan(1, 1, 'other'));
    expect(error).toMatchObject({ code: 'output-other-run' });
    expect(String(error)).toContain('"fake"');
    expect(tree(out())).toEqual(before);
  });

  it('must not hold foreign files, nor a manifest that is none', async () => {
    writeFileSync(join(root, 'thesis.tex'), '');
    expect(await failure({ out: root })).toMatchObject({ code: 'output-not-empty' });
    rmSync(join(root, 'thesis.tex'));
    writeFileSync(join(root, 'manifest.json'), '{"half');
    expect(await failure({ out: root })).toMatchObject({ code: 'output-other-run' });
  });

  it('must be a folder and lie in one', async () => {
    writeFileSync(join(root, 'file'), '');
    for (const path of [join(root, 'file'), join(root, 'file', 'below')]) {
      const error = await failure({ out: path });
      expect(error).toBeInstanceOf(OutputError);
      expect(error).toMatchObject({ code: 'output-unwritable' });
      expect(String(error)).toContain('is a file');
    }
  });

  it('is created with the folders above it', async () => {
    expect((await executeRun(plan, options({ out: out('a/b/c') }))).out).toBe(out('a/b/c'));
    expect(tree(out('a/b/c'))).toContain('manifest.json');
  });

  it.runIf(process.platform === 'linux')('may be refused by a file system that has no folders to create', async () => {
    expect(await failure({ out: '/proc/iommusim/run' })).toMatchObject({ code: 'output-unwritable' });
  });

  it.each(['EACCES', 'EROFS', 'EPERM'])(
    'must be writable (%s), which is found before anything is computed',
    async (code) => {
      const files = failingFiles({ write: () => Promise.reject(errno(code)) });
      const { calls, runner } = counting();
      expect(await failure({ files, runner })).toMatchObject({ code: 'output-unwritable' });
      expect(calls).toEqual([]);
    },
  );
});

describe('a full disk', () => {
  /** Writes half of the text and fails, from the `n`th file on. */
  const fullAfter = (n: number): FileSystem => {
    let writes = 0;
    return failingFiles({
      async write(path, chunks, sync) {
        if (++writes <= n) return nodeFileSystem.write(path, chunks, sync);
        const text = chunks.join('');
        await nodeFileSystem.write(path, [text.slice(0, text.length / 2)], sync);
        throw errno('ENOSPC');
      },
    });
  };

  it.each([0, 1, 6, 13])('after %i files is one error, leaves nothing half-written, and the run resumes', async (n) => {
    expect(await failure({ files: fullAfter(n) })).toMatchObject({ code: 'output-full', message: /the disk is full/ });
    const names = tree(out());
    expect(names.filter((name) => name.includes('.tmp'))).toEqual([]);
    expect(names).not.toContain('echo.csv');
    const kept = names.filter((name) => name.startsWith('points/')).length;
    expect(kept).toBe(Math.max(0, Math.min(n - 1, 12)));
    expect(await executeRun(plan, options())).toMatchObject({ status: 'complete', reused: kept, computed: 12 - kept });
  });
});

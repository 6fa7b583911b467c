/** The committed reference results come out again, byte for byte, from the committed workloads, with the audit on. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { RunFiles } from '../report/files.js';
import { executeRun } from '../run/execute.js';
import { runPoint } from '../run/point.js';
import { allMetrics } from '../system/metrics.js';
import { resolveWorkload } from '../workload/resolve.js';

const golden = fileURLToPath(new URL('../../results/golden/', import.meta.url));
const names = readdirSync(golden, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name);

describe('golden results', () => {
  it('are at least two', () => {
    expect(names.length).toBeGreaterThanOrEqual(2);
  });

  it.each(names)('%s', async (name) => {
    const folder = join(golden, name);
    const plan = resolveWorkload(readFileSync(join(folder, 'workload.yaml'), 'utf8'), `${name}.yaml`);
    const out = mkdtempSync(join(tmpdir(), 'golden-'));
    try {
      const report = new RunFiles(plan, allMetrics());
      const options = { threads: 1, quiet: true, everyEvent: false, audit: true, report, runner: runPoint };
      const summary = await executeRun(plan, { ...options, out: join(out, 'run') });
      expect(summary.violations).toBe(0);
      for (const file of ['points.csv', 'summary.csv']) {
        expect(readFileSync(join(out, 'run', file), 'utf8')).toBe(readFileSync(join(folder, file), 'utf8'));
      }
    } finally {
      rmSync(out, { recursive: true });
    }
  });
});

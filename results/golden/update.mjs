// Regenerates the golden results with the built program (npm run golden). A change needs a line in CHANGELOG.md.
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const golden = fileURLToPath(new URL('.', import.meta.url));
const main = join(golden, '../../dist/cli/main.js');
for (const name of readdirSync(golden, { withFileTypes: true })) {
  if (!name.isDirectory()) continue;
  const folder = join(golden, name.name);
  const out = mkdtempSync(join(tmpdir(), 'golden-'));
  execFileSync(process.execPath, [main, 'run', join(folder, 'workload.yaml'), '--out', join(out, 'run'), '--audit', '--quiet'], {
    stdio: 'inherit',
  });
  for (const file of ['points.csv', 'summary.csv']) copyFileSync(join(out, 'run', file), join(folder, file));
  rmSync(out, { recursive: true });
}

// Second half of `npm run build`. Joins the modules of the program and of its workers, and the packages they use, into a few files:
// finding, reading and linking some 250 small modules took a third of the time to a short run's first result. Works on what tsc has
// written and replaces the two entries; the other modules in dist stay for programs that embed the simulator. A joined file lies as
// deep as the modules in it, because they find workers, workloads and package.json relative to themselves.
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

await build({
  input: { 'cli/main': 'dist/cli/main.js', 'run/worker': 'dist/run/worker.js' },
  platform: 'node',
  // Starts worker threads from files of its own.
  external: ['piscina'],
  resolve: { alias: { yaml: fileURLToPath(new URL('node_modules/yaml/browser/index.js', import.meta.url)) } },
  output: { dir: 'dist', entryFileNames: '[name].js', chunkFileNames: 'program/[name].js' },
});

/** `iommusim schema`: JSON Schema of workload files, for completion and checks in editors. */
import { Command } from 'commander';
import { workloadJsonSchema } from '../workload/file-schema.js';
import type { Context } from './context.js';

export function schemaCommand({ output }: Context): Command {
  return new Command('schema')
    .description('print the JSON Schema of workload files (for editors)')
    .action(() => output.out(`${JSON.stringify(workloadJsonSchema(), null, 2)}\n`));
}

/** `iommusim models`: the model sheets that ship, each number with unit, confidence and source. */
import { Command } from 'commander';
import { findSheet, SHEETS } from '../models/catalog.js';
import { sheetRows } from '../models/sheet.js';
import { inputError } from '../workload/errors.js';
import { nearest } from '../workload/nearest.js';
import type { Context, Output } from './context.js';
import { formatTable } from './table.js';

export function modelsCommand({ output }: Context): Command {
  const command = new Command('models').description(
    'list the model sheets, or show one with the source of each number',
  );
  command
    .command('list', { isDefault: true })
    .description('list the model sheets')
    .action(() => list(output));
  command
    .command('show')
    .argument('<name>', 'name of a sheet')
    .description('print a sheet: value, unit, confidence and source of each parameter')
    .action((name: string) => show(name, output));
  return command;
}

function list(output: Output): void {
  const rows = SHEETS.map((sheet) => [sheet.kind, sheet.name, sheet.title]);
  output.out(formatTable(['kind', 'name', 'title'], rows));
}

function show(name: string, output: Output): void {
  const sheet = findSheet(name);
  if (sheet === null) {
    const names = SHEETS.map((each) => each.name);
    throw inputError('E505', `there is no model "${name}"; iommusim models lists them`, '', nearest(name, names));
  }
  const rows = sheetRows(sheet).map((row) => [row.path, row.value, row.unit, row.confidence, row.source]);
  output.out(`${sheet.name} (${sheet.kind}): ${sheet.title}\n${sheet.description}\n\n`);
  output.out(formatTable(['parameter', 'value', 'unit', 'confidence', 'source'], rows));
}

/** The command line: commands, options, and what each error means for the exit status. */
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../run/identity.js';
import { inputError } from '../workload/errors.js';
import { checkCommand } from './check.js';
import { ExitCode, type Output, printError } from './errors.js';
import { explainCommand } from './explain.js';
import { figureCommand } from './figure.js';
import { fitCommand } from './fit.js';
import { modelsCommand } from './models.js';
import { runCommand } from './run.js';
import { schemaCommand } from './schema.js';
import { validateCommand } from './validate.js';

/** What a command does with its output and how it reports its exit status. */
export interface Context {
  readonly output: Output;
  /** Arguments of the program, for the manifest. */
  readonly argv: readonly string[];
  exitCode: number;
}

const COMMANDS = [
  runCommand,
  checkCommand,
  figureCommand,
  modelsCommand,
  explainCommand,
  schemaCommand,
  validateCommand,
  fitCommand,
];

/** Runs one command line and returns the exit status: 0 done, 1 internal error, 2 bad input, 130 interrupted. */
export async function runProgram(argv: readonly string[], output: Output): Promise<number> {
  const context: Context = { output, argv, exitCode: ExitCode.Ok };
  const program = new Command('iommusim')
    .description('A deterministic performance simulator of IOMMUs.')
    .version(packageVersion());
  for (const command of COMMANDS) program.addCommand(command(context));
  program.addHelpText('after', '\nStart with: iommusim run workloads/quickstart.yaml');
  silence(program, output);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return context.exitCode;
  } catch (error) {
    return error instanceof CommanderError ? usage(error, output) : printError(error, output);
  }
}

/** Commander reports errors by throwing; what it would print itself is dropped in favour of coded errors. */
function silence(command: Command, output: Output): void {
  command.exitOverride().configureOutput({ writeOut: output.out, writeErr: output.err, outputError: () => undefined });
  for (const child of command.commands) silence(child, output);
}

function usage(error: CommanderError, output: Output): number {
  switch (error.code) {
    case 'commander.helpDisplayed':
    case 'commander.version':
      return ExitCode.Ok;
    case 'commander.help':
      return ExitCode.BadInput;
  }
  const code = CODES[error.code] ?? 'E503';
  const suggestion = /\(Did you mean (?:one of )?([^?,)]+)/.exec(error.message)?.[1] ?? null;
  const message = error.message.replace(/^error: /, '').replace(/\s*\(Did you mean.*$/s, '');
  return printError(inputError(code, message, '', suggestion), output);
}

const CODES: Readonly<Record<string, 'E501' | 'E502'>> = {
  'commander.unknownCommand': 'E501',
  'commander.unknownOption': 'E502',
};

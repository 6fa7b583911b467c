/** The command line: commands, options, and what each error means for the exit status. */
import { Command, CommanderError } from 'commander';
import { packageVersion } from '../run/identity.js';
import { inputError } from '../workload/errors.js';
import type { Context, Output } from './context.js';
import { ExitCode, printError } from './errors.js';

type CommandFactory = (context: Context) => Command;

/** Each command is loaded when it is asked for: what one needs (figures, worker pool, fit) is no start-up time of the others. */
const COMMANDS: Readonly<Record<string, () => Promise<CommandFactory>>> = {
  run: async () => (await import('./run.js')).runCommand,
  check: async () => (await import('./check.js')).checkCommand,
  models: async () => (await import('./models.js')).modelsCommand,
  explain: async () => (await import('./explain.js')).explainCommand,
  schema: async () => (await import('./schema.js')).schemaCommand,
  figure: async () => (await import('./figure.js')).figureCommand,
  validate: async () => (await import('./validate.js')).validateCommand,
  fit: async () => (await import('./fit.js')).fitCommand,
  walk: async () => (await import('./walk.js')).walkCommand,
  vectors: async () => (await import('./vectors.js')).vectorsCommand,
};

/** The command that the arguments name; all of them when they name none, for help and suggestions. */
async function commandsFor(argv: readonly string[]): Promise<readonly CommandFactory[]> {
  const name = argv[0] ?? '';
  const loaders = Object.hasOwn(COMMANDS, name) ? [COMMANDS[name]!] : Object.values(COMMANDS);
  return Promise.all(loaders.map((load) => load()));
}

/** Runs one command line and returns the exit status: 0 done, 1 internal error, 2 bad input, 130 interrupted. */
export async function runProgram(argv: readonly string[], output: Output): Promise<number> {
  const context: Context = { output, argv, exitCode: ExitCode.Ok };
  const program = new Command('iommusim')
    .description('A deterministic performance simulator of IOMMUs.')
    .version(packageVersion());
  for (const command of await commandsFor(argv)) program.addCommand(command(context));
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

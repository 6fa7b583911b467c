/** `iommusim vectors`: writes what the simulator believes as translation vectors, and replays files of them. */
import { Command, Option } from 'commander';
import { compareOver } from '../check/vectors/compare.js';
import { GENERATORS, simulatedModes, vectorsOf } from '../check/vectors/generators.js';
import { REFERENCES } from '../check/vectors/references.js';
import { replay } from '../check/vectors/replay.js';
import { SIMULATOR } from '../check/vectors/simulate.js';
import { writeVector } from '../check/vectors/text.js';
import type { Architecture, Generator } from '../check/vectors/vector.js';
import { readVectorFile } from '../check/vectors/vector-file.js';
import { inputError } from '../workload/errors.js';
import { nearest } from '../workload/nearest.js';
import { ExitCode } from './errors.js';
import { readWhole } from './numbers.js';
import type { Context } from './context.js';
import { vectorError } from './vector-errors.js';

interface Options {
  readonly arch?: string;
  readonly count: string;
  readonly seed: string;
  readonly mode?: string;
  readonly memory: boolean;
  readonly check?: string;
  readonly reference: boolean;
  readonly compare: boolean;
}

const MOST_ACCESSES = 2 ** 31 - 1;
/** Disagreements that are printed in full, one after the other. */
const SHOWN = 3;

export function vectorsCommand(context: Context): Command {
  return new Command('vectors')
    .description('write translation vectors (OVEC 1) for other IOMMU implementations, or replay a file of them')
    .option('--arch <name>', `architecture: ${Object.keys(GENERATORS).join(', ')}`)
    .option('--count <n>', 'number of accesses', '1000')
    .option('--seed <n>', 'seed of the generator', '1')
    .option('--mode <name>', 'what the vectors vary (default: common, what every emulator can take)')
    .option('--no-memory', 'leave out the memory accesses of each translation (m lines)')
    .option('--check <file>', 'replay a file; print where the simulator disagrees; exit status 1 if it does')
    .addOption(new Option('--reference', 'answers of the plain reference walker').default(false).hideHelp())
    .option('--compare', 'compare the simulator with the plain reference walker, in one mode or all', false)
    .addHelpText('after', () => `\n${modesHelp()}`)
    .action((options: Options, command: Command) => {
      if (options.check === undefined) return write(options, context);
      const unused = ['arch', 'count', 'seed', 'mode', 'memory', 'compare'].find((key) => {
        return command.getOptionValueSource(key) === 'cli';
      });
      if (unused !== undefined) {
        const name = unused === 'memory' ? 'no-memory' : unused;
        throw inputError('E503', `--check replays a file as it is: --${name} has no meaning beside it`);
      }
      return check(options.check, context);
    });
}

function modesHelp(): string {
  const lines = Object.entries(GENERATORS).flatMap(([name, generator]) => [
    `Modes of ${name}:`,
    ...simulatedModes(generator).map((mode) => `  ${mode.padEnd(14)} ${generator.modes[mode]}`),
  ]);
  return lines.join('\n');
}

async function write(options: Options, context: Context): Promise<void> {
  const generator = readGenerator(options.arch);
  const count = readWhole('--count', options.count, 1, MOST_ACCESSES);
  const seed = readWhole('--seed', options.seed, 0, Number.MAX_SAFE_INTEGER);
  const modes = readModes(options, generator);
  if (options.compare) {
    compareModes(generator, modes, seed, count, context);
    return;
  }
  const { out, drained } = context.output;
  const responder = options.reference ? REFERENCES[generator.architecture] : SIMULATOR;
  const [mode] = modes as [string];
  for (const vector of vectorsOf(generator, mode, seed, count)) {
    try {
      out(writeVector(vector, responder.answer(vector), { memoryAccesses: options.memory }));
    } catch (error) {
      throw vectorError(error, '');
    }
    await drained?.();
  }
}

function readGenerator(name: string | undefined): Generator {
  const names = Object.keys(GENERATORS);
  if (name !== undefined && names.includes(name)) return GENERATORS[name as Architecture];
  const list = `--arch expects one of ${names.join(', ')}`;
  if (name === undefined) throw inputError('E503', list);
  throw inputError('E503', `${list}, got "${name}"`, '', nearest(name, names));
}

/** The mode asked for; without one the first, or every one to compare. */
function readModes({ mode, compare, reference }: Options, generator: Generator): readonly string[] {
  const { architecture } = generator;
  const names = reference ? Object.keys(generator.modes) : simulatedModes(generator);
  if (mode === undefined) return compare ? names : names.slice(0, 1);
  if (names.includes(mode)) return [mode];
  const message = `--mode of ${architecture} expects one of ${names.join(', ')}, got "${mode}"`;
  throw inputError('E503', message, '', nearest(mode, names));
}

function compareModes(
  generator: Generator,
  modes: readonly string[],
  seed: number,
  count: number,
  context: Context,
): void {
  const { output } = context;
  const { architecture } = generator;
  for (const mode of modes) {
    const sides = [
      { name: 'simulator', responder: SIMULATOR },
      { name: 'reference', responder: REFERENCES[architecture] },
    ] as const;
    const { accesses, faults, disagreement } = compareOver(generator, mode, seed, count, sides);
    const verdict = disagreement === null ? 'agree' : 'DISAGREE';
    output.out(`${architecture} ${mode}: ${accesses} accesses (${faults} refused) ${verdict}\n`);
    if (disagreement === null) continue;
    output.out(`${disagreement}\n`);
    context.exitCode = ExitCode.Internal;
  }
}

async function check(file: string, context: Context): Promise<void> {
  const { output } = context;
  let [vectors, accesses, stated, wrong] = [0, 0, 0, 0];
  try {
    for await (const parsed of readVectorFile(file)) {
      const { disagreements, peeks } = replay(parsed);
      vectors++;
      accesses += parsed.vector.accesses.length;
      stated += parsed.answers.length;
      for (const line of peeks) output.out(`${line}\n`);
      for (const { id, what, text } of disagreements) {
        output.out(wrong++ < SHOWN ? `${text}\n` : `access ${id}: ${what} differs\n`);
      }
      await output.drained?.();
    }
  } catch (error) {
    throw vectorError(error, file);
  }
  if (vectors === 0) throw inputError('E701', 'the file holds no vector', file);
  const verdict = stated === 0 ? 'the file states no answers' : `${wrong} of ${stated} answers disagree`;
  output.out(`${vectors} vectors, ${accesses} accesses; ${verdict}\n`);
  if (wrong > 0) context.exitCode = ExitCode.Internal;
}

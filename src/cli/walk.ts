/** `iommusim walk`: one translation step by step, from tables in a file of vectors. */
import { Command } from 'commander';
import { Simulation } from '../check/vectors/simulate.js';
import type { AccessKind, Vector, VectorAccess } from '../check/vectors/vector.js';
import { readVectorFile } from '../check/vectors/vector-file.js';
import { explainWalk } from '../check/walk/explain.js';
import type { IommuSpec } from '../iommu/spec.js';
import { findSheet, sheetNames } from '../models/catalog.js';
import { sheetInput } from '../models/sheet.js';
import { inputError } from '../workload/errors.js';
import { requester } from '../workload/fields.js';
import { nearest } from '../workload/nearest.js';
import { iommuSchema } from '../workload/schema-machine.js';
import { readWhole, readWord } from './numbers.js';
import type { Context } from './context.js';
import { vectorError } from './vector-errors.js';

interface Options {
  readonly tables: string;
  readonly model?: string;
  readonly access?: string;
  readonly iova?: string;
  readonly pasid?: string;
  readonly rid?: string;
  readonly write: boolean;
  readonly execute: boolean;
  readonly privileged: boolean;
}

export function walkCommand({ output }: Context): Command {
  return new Command('walk')
    .description('print one translation step by step: entries read, fields, result or fault, what caches hold')
    .requiredOption('--tables <file>', 'tables and registers: a file of vectors (OVEC 1)')
    .option('--model <name>', 'IOMMU model sheet (default: the unit that the cfg lines of the file describe)')
    .option('--access <id>', 'walk this access of the file (default: its first, unless --iova is given)')
    .option('--iova <address>', 'address to translate')
    .option('--pasid <n>', 'PASID of the request')
    .option('--rid <b:d.f>', 'requester id, bus:device.function (default: 00:01.0)')
    .option('--write', 'a write; without it a read', false)
    .option('--execute', 'a read for execution', false)
    .option('--privileged', 'a privileged request', false)
    .action(async (options: Options) => output.out(await walk(options)));
}

async function walk(options: Options): Promise<string> {
  const { tables: file } = options;
  const request = readRequest(options);
  const model = options.model === undefined ? null : readModel(options.model);
  try {
    const { vector, index } = await findVector(file, options.access);
    if (model !== null && model.architecture !== vector.architecture) {
      const message = `the tables are for ${vector.architecture}, model ${options.model} is a unit of ${model.architecture}`;
      throw inputError('E703', message, file);
    }
    const simulation = new Simulation(vector, model);
    const access = request ?? vector.accesses[index];
    if (access === undefined) throw inputError('E704', 'the file has no x line: give the request with --iova', file);
    // What earlier accesses did to accessed and dirty bits stays; what they left in caches does not.
    if (request === null) for (const earlier of vector.accesses.slice(0, index)) simulation.access(earlier);
    simulation.flush();
    const unit = options.model ?? 'the unit of the cfg lines';
    return explainWalk(simulation, `${simulation.kind.title}: ${unit}`, access);
  } catch (error) {
    throw vectorError(error, file);
  }
}

/** The request of the options; null: one of the file's. */
function readRequest(options: Options): VectorAccess | null {
  const { iova, pasid, rid, write, execute, privileged, access } = options;
  if (write && execute) throw inputError('E503', '--write and --execute exclude each other');
  if (iova === undefined) {
    const extra = (['pasid', 'rid', 'write', 'execute', 'privileged'] as const).find((key) => {
      return options[key] !== undefined && options[key] !== false;
    });
    if (extra !== undefined) throw inputError('E503', `--${extra} needs --iova`);
    return null;
  }
  if (access !== undefined) throw inputError('E503', '--access and --iova exclude each other');
  const kind: AccessKind = write ? 'w' : execute ? 'x' : 'r';
  return {
    id: 0,
    rid: readRequester(rid ?? '00:01.0'),
    pasid: pasid === undefined ? null : Number(readWord('--pasid', pasid, 20)),
    iova: readWord('--iova', iova, 64),
    kind,
    privileged,
  };
}

/** Also a plain number, for stream ids of more than 16 bits. */
function readRequester(text: string): number {
  if (/^(?:0[xX][0-9a-fA-F]+|[0-9]+)$/.test(text)) return Number(readWord('--rid', text, 24));
  const parsed = requester().safeParse(text);
  if (parsed.success) return parsed.data;
  throw inputError('E503', `--rid expects bus:device.function such as "3:00.0", got "${text}"`);
}

function readModel(name: string): IommuSpec {
  const names = sheetNames('iommu');
  const sheet = names.includes(name) ? findSheet(name) : null;
  if (sheet === null) {
    const message = `there is no IOMMU model "${name}"; there are ${names.join(', ')}`;
    throw inputError('E505', message, '', nearest(name, names));
  }
  return iommuSchema.parse({ ...sheetInput(sheet), socket: 's0' });
}

/** The vector with access `id`, or the only one of the file. */
async function findVector(file: string, id: string | undefined): Promise<{ vector: Vector; index: number }> {
  const wanted = id === undefined ? null : readWhole('--access', id, 0, 2 ** 31 - 1);
  let only: Vector | null = null;
  for await (const { vector } of readVectorFile(file)) {
    const index = vector.accesses.findIndex((access) => wanted === null || access.id === wanted);
    if (wanted !== null && index >= 0) return { vector, index };
    if (wanted !== null) continue;
    if (only !== null) throw inputError('E704', 'the file holds several vectors: choose a request with --access', file);
    only = vector;
  }
  if (wanted !== null) throw inputError('E704', `the file has no access ${wanted}`, file);
  if (only === null) throw inputError('E701', 'the file holds no vector', file);
  return { vector: only, index: 0 };
}

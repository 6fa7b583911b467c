/**
 * The text format of translation vectors, OVEC 1: one directive a line, in which the simulator states what it believes so that
 * independent implementations can replay it. `writeVector` and `parseVectors` are inverses of each other.
 *
 *     ovec 1 <architecture>               a fresh machine
 *     cfg <key> <value>                   before the rest
 *     table <addr> [<bytes>]              table memory whose words are all 0 (4096 bytes unless given)
 *     mem <addr> <word> ...               at most 512 consecutive 64-bit words; other memory is 0
 *     reg <offset> <4|8> <value>
 *     x <id> <rid> <pasid|-> <iova> <r|w|x|rw> [priv] [len=N] [at=ats|at=translated]
 *     e <id> ok <pa> [size=N] [nmem=N]
 *     e <id> fault <code> [addr=A] [addr2=A] [silent=1]
 *     m <id> <r|a|w> <bytes> <addr>       one memory access of a cold x <id>, in order
 *     flush
 *     peek <addr> [<words>]               (1 word unless given)
 *
 * nmem counts the reads only, not the atomic updates. Not supported: mem, table and reg after the first x.
 */
import { Line, MAX_WORD } from './text-line.js';
import type { Answer, Architecture, MemoryAccess, RegisterWrite, Vector, VectorAccess } from './vector.js';

const WORDS_A_LINE = 512;
const DEFAULT_TABLE_BYTES = 4096;
const ARCHITECTURES: readonly Architecture[] = ['vtd', 'amdvi', 'smmuv3', 'riscv'];
const MAX_COUNT = 2 ** 31;

export interface Peek {
  readonly address: bigint;
  readonly words: number;
}

/** What is in the text beside the vector: a reader's orders, which no answer depends on. */
export interface Orders {
  /** Caches are dropped before the access of this index; the number of accesses for a flush at the end. */
  readonly flushes: readonly number[];
  /** Memory to state afterwards. */
  readonly peeks: readonly Peek[];
}

/** An answer as a text states it: `reads` is nmem where the accesses themselves are not listed. */
export type StatedAnswer = Answer & { readonly reads?: number };

export interface ParsedVector extends Orders {
  readonly vector: Vector;
  /** One for each access, or empty if the text states none. */
  readonly answers: readonly StatedAnswer[];
}

export interface WriteOptions extends Partial<Orders> {
  /** Write the `m` lines; true unless given. */
  readonly memoryAccesses?: boolean;
}

function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** @throws RangeError if there are answers, but not one for each access. */
export function writeVector(vector: Vector, answers: readonly StatedAnswer[], options: WriteOptions = {}): string {
  const { accesses } = vector;
  if (answers.length !== 0 && answers.length !== accesses.length) {
    throw new RangeError(`${accesses.length} accesses have ${answers.length} answers`);
  }
  const lines = [`ovec 1 ${vector.architecture}`];
  for (const [key, value] of vector.config) lines.push(`cfg ${key} ${value}`);
  for (const { address, bytes } of vector.tables) lines.push(`table ${hex(address)} ${bytes}`);
  writeMemory(lines, vector.words);
  for (const { offset, bytes, value } of vector.registers) lines.push(`reg ${hex(offset)} ${bytes} ${hex(value)}`);
  const flushes = new Set(options.flushes);
  accesses.forEach((access, index) => {
    if (flushes.has(index)) lines.push('flush');
    writeAccess(lines, access);
    const answer = answers[index];
    if (answer !== undefined) writeAnswer(lines, access.id, answer, options.memoryAccesses ?? true);
  });
  if (flushes.has(accesses.length)) lines.push('flush');
  for (const { address, words } of options.peeks ?? []) lines.push(`peek ${hex(address)} ${words}`);
  return `${lines.join('\n')}\n`;
}

/** Non-zero words by address, neighbours on one line. */
function writeMemory(lines: string[], words: ReadonlyMap<bigint, bigint>): void {
  const addresses = [...words.keys()].filter((address) => words.get(address) !== 0n);
  addresses.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  let run: string[] = [];
  let next = -1n;
  for (const address of addresses) {
    if (address !== next || run.length === WORDS_A_LINE + 2) {
      if (run.length > 0) lines.push(run.join(' '));
      run = ['mem', hex(address)];
    }
    run.push(hex(words.get(address)!));
    next = address + 8n;
  }
  if (run.length > 0) lines.push(run.join(' '));
}

function writeAccess(lines: string[], access: VectorAccess): void {
  const { id, rid, pasid, iova, kind, privileged, length, at } = access;
  const words = ['x', id, hex(rid), pasid === null ? '-' : hex(pasid), hex(iova), kind];
  if (privileged === true) words.push('priv');
  if (length !== undefined) words.push(`len=${length}`);
  if (at !== undefined) words.push(`at=${at}`);
  lines.push(words.join(' '));
}

function writeAnswer(lines: string[], id: number, answer: StatedAnswer, memoryAccesses: boolean): void {
  const words = ['e', id];
  if (answer.ok) {
    words.push('ok', hex(answer.pa));
    if (answer.size !== undefined) words.push(`size=${answer.size}`);
    words.push(`nmem=${answer.reads ?? readsOf(answer.accesses)}`);
  } else {
    words.push('fault', answer.code);
    if (answer.address2 !== undefined) words.push(`addr2=${hex(answer.address2)}`);
    if (answer.silent === true) words.push('silent=1');
  }
  lines.push(words.join(' '));
  if (!memoryAccesses) return;
  for (const { kind, bytes, address } of answer.accesses) lines.push(`m ${id} ${kind} ${bytes} ${hex(address)}`);
}

function readsOf(accesses: readonly MemoryAccess[]): number {
  return accesses.filter((access) => access.kind === 'r').length;
}

/**
 * Reads every vector of a text. `addr` of a fault is checked to be a number and not kept: a record's first address follows from
 * the access.
 * @throws VectorSyntaxError, which names line and column.
 */
export function parseVectors(text: string): ParsedVector[] {
  const parsed: ParsedVector[] = [];
  let reader: VectorReader | null = null;
  text.split(/\r?\n/).forEach((source, index) => {
    const line = new Line(source, index + 1);
    if (line.empty) return;
    const directive = line.text('directive');
    if (directive === 'ovec') {
      if (reader !== null) parsed.push(reader.finish());
      reader = new VectorReader(line);
    } else if (reader === null) {
      throw line.problem('a vector starts with "ovec 1 <architecture>"');
    } else {
      reader.read(directive, line);
    }
    line.end();
  });
  const last = reader as VectorReader | null;
  if (last !== null) parsed.push(last.finish());
  return parsed;
}

/** What is known of one access: where its `x` stands, and what `e` and `m` lines say. */
interface Stated {
  readonly access: VectorAccess;
  readonly line: Line;
  readonly memory: MemoryAccess[];
  answer: ((accesses: readonly MemoryAccess[]) => StatedAnswer) | null;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Collects the directives of one vector. */
class VectorReader {
  readonly #architecture: Architecture;
  readonly #config: [string, string][] = [];
  readonly #words = new Map<bigint, bigint>();
  readonly #tables: { address: bigint; bytes: number }[] = [];
  readonly #registers: RegisterWrite[] = [];
  readonly #stated = new Map<number, Stated>();
  readonly #flushes: number[] = [];
  readonly #peeks: Peek[] = [];
  #configEnded = false;

  constructor(line: Line) {
    line.oneOf('version', ['1']);
    this.#architecture = line.oneOf('architecture', ARCHITECTURES);
  }

  read(directive: string, line: Line): void {
    if (directive === 'cfg') {
      if (this.#configEnded) throw line.problem('cfg must stand before all other directives');
      const key = line.text('key');
      if (this.#config.some(([known]) => known === key)) throw line.problem(`cfg ${key} is given twice`);
      this.#config.push([key, line.text('value')]);
      return;
    }
    this.#configEnded = true;
    switch (directive) {
      case 'mem':
        this.readMemory(line);
        break;
      case 'table':
        this.readTable(line);
        break;
      case 'reg':
        this.readRegister(line);
        break;
      case 'x':
        this.readAccess(line);
        break;
      case 'e':
        this.readAnswer(line);
        break;
      case 'm':
        this.readMemoryAccess(line);
        break;
      case 'flush':
        this.#flushes.push(this.#stated.size);
        break;
      case 'peek':
        this.#peeks.push({ address: line.alignedAddress(), words: line.hasMore ? line.int('words', MAX_COUNT) : 1 });
        break;
      default:
        throw line.problem(`unknown directive "${directive}"`);
    }
  }

  finish(): ParsedVector {
    const stated = [...this.#stated.values()];
    const answers: StatedAnswer[] = [];
    for (const { answer, memory, line } of stated) {
      if (answer !== null) answers.push(answer(memory));
      else if (memory.length > 0) throw line.problem('the access has m lines, but no e line');
    }
    const unanswered = stated.find((candidate) => candidate.answer === null);
    if (answers.length > 0 && unanswered !== undefined) {
      throw unanswered.line.problem('the access has no e line, unlike others of this vector');
    }
    return {
      vector: {
        architecture: this.#architecture,
        config: this.#config,
        words: this.#words,
        tables: this.#tables,
        registers: this.#registers,
        accesses: stated.map(({ access }) => access),
      },
      answers,
      flushes: this.#flushes,
      peeks: this.#peeks,
    };
  }

  private noAccessYet(directive: string, line: Line): void {
    if (this.#stated.size > 0) throw line.problem(`${directive} after the first x is not supported`);
  }

  private readMemory(line: Line): void {
    this.noAccessYet('mem', line);
    let address = line.alignedAddress();
    let count = 0;
    do {
      const word = line.big('word');
      if (++count > WORDS_A_LINE) throw line.problem(`more than ${WORDS_A_LINE} words`);
      if (address > MAX_WORD) throw line.problem('words beyond the end of the address space');
      if (this.#words.has(address)) throw line.problem(`the word at ${hex(address)} is given twice`);
      if (word !== 0n) this.#words.set(address, word);
      address += 8n;
    } while (line.hasMore);
  }

  private readTable(line: Line): void {
    this.noAccessYet('table', line);
    const address = line.alignedAddress();
    this.#tables.push({ address, bytes: line.hasMore ? line.int('bytes', MAX_COUNT) : DEFAULT_TABLE_BYTES });
  }

  private readRegister(line: Line): void {
    this.noAccessYet('reg', line);
    const offset = line.int('offset', MAX_COUNT);
    const bytes = line.oneOf('bytes', ['4', '8']) === '4' ? 4 : 8;
    this.#registers.push({ offset, bytes, value: line.big('value', bytes === 4 ? 0xffffffffn : MAX_WORD) });
  }

  private readAccess(line: Line): void {
    const id = line.int('id', MAX_COUNT);
    if (this.#stated.has(id)) throw line.problem(`access ${id} is given twice`);
    const rid = line.int('requester id', 0xffffff);
    const pasidText = line.text('pasid');
    const pasid = pasidText === '-' ? null : Number(line.parse('pasid', pasidText, 0xfffffn));
    const iova = line.big('iova');
    const kind = line.oneOf('kind', ['r', 'w', 'x', 'rw']);
    const access: Writable<VectorAccess> = { id, rid, pasid, iova, kind };
    line.options({
      priv: (value) => {
        if (value !== '') throw line.problem('priv has no value');
        access.privileged = true;
      },
      len: (value) => {
        access.length = Number(line.parse('len', value, BigInt(MAX_COUNT)));
      },
      at: (value) => {
        if (value !== 'ats' && value !== 'translated') throw line.problem('at must be ats or translated');
        access.at = value;
      },
    });
    this.#stated.set(id, { access, line, memory: [], answer: null });
  }

  private statedOf(line: Line): Stated {
    const id = line.int('id', MAX_COUNT);
    const stated = this.#stated.get(id);
    if (stated === undefined) throw line.problem(`there is no x ${id} above`);
    return stated;
  }

  private readAnswer(line: Line): void {
    const stated = this.statedOf(line);
    if (stated.answer !== null) throw line.problem(`access ${stated.access.id} is answered twice`);
    stated.answer = line.oneOf('outcome', ['ok', 'fault']) === 'ok' ? readSuccess(line) : readFault(line);
  }

  private readMemoryAccess(line: Line): void {
    const { memory } = this.statedOf(line);
    const kind = line.oneOf('kind of access', ['r', 'a', 'w']);
    memory.push({ kind, bytes: line.int('bytes', MAX_COUNT), address: line.big('address') });
  }
}

function readSuccess(line: Line): NonNullable<Stated['answer']> {
  const pa = line.big('physical address');
  let size: bigint | undefined;
  let reads: number | undefined;
  line.options({
    size: (value) => {
      size = line.parse('size', value, MAX_WORD);
    },
    nmem: (value) => {
      reads = Number(line.parse('nmem', value, BigInt(MAX_COUNT)));
    },
  });
  return (accesses) => {
    const stated = { ok: true, pa, accesses, ...(size !== undefined && { size }) } as const;
    if (reads === undefined || reads === readsOf(accesses)) return stated;
    if (accesses.length > 0) throw line.problem(`nmem is ${reads}, but ${readsOf(accesses)} reads are listed`);
    return { ...stated, reads };
  };
}

function readFault(line: Line): NonNullable<Stated['answer']> {
  const code = line.int('code', 0xffff);
  let address2: bigint | undefined;
  let silent = false;
  line.options({
    addr: (value) => void line.parse('addr', value, MAX_WORD),
    addr2: (value) => {
      address2 = line.parse('addr2', value, MAX_WORD);
    },
    silent: (value) => {
      if (value !== '0' && value !== '1') throw line.problem('silent must be 0 or 1');
      silent = value === '1';
    },
  });
  return (accesses) => ({
    ok: false,
    code,
    accesses,
    ...(address2 !== undefined && { address2 }),
    ...(silent && { silent }),
  });
}

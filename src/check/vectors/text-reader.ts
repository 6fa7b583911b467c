/**
 * Collects the directives of one OVEC vector (grammar in `text.ts`), and what a reader of the text gets.
 */
import { type Line, MAX_WORD } from './text-line.js';
import type {
  Answer,
  Architecture,
  CompletionStatus,
  MemoryAccess,
  RegisterWrite,
  TranslationPermissions,
  Vector,
  VectorAccess,
} from './vector.js';

export const WORDS_A_LINE = 512;
const DEFAULT_TABLE_BYTES = 4096;
const ARCHITECTURES: readonly Architecture[] = ['vtd', 'amdvi', 'smmuv3', 'riscv'];
const MAX_COUNT = 2 ** 31;
const PERMISSIONS: readonly TranslationPermissions[] = ['r', 'w', 'rw', 'rx', 'rwx'];
const STATUSES: readonly CompletionStatus[] = ['success', 'ur', 'ca'];

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

export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** How many of the accesses are reads: nmem. */
export function readsOf(accesses: readonly MemoryAccess[]): number {
  return accesses.filter((access) => access.kind === 'r').length;
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
export class VectorReader {
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
  let permissions: TranslationPermissions | undefined;
  line.options({
    perm: (value) => {
      permissions = PERMISSIONS.find((each) => each === value);
      if (permissions === undefined) throw line.problem(`perm must be ${PERMISSIONS.join(', ')}`);
    },
    size: (value) => {
      size = line.parse('size', value, MAX_WORD);
    },
    nmem: (value) => {
      reads = Number(line.parse('nmem', value, BigInt(MAX_COUNT)));
    },
  });
  return (accesses) => {
    const stated = {
      ok: true,
      pa,
      accesses,
      ...(size !== undefined && { size }),
      ...(permissions !== undefined && { permissions }),
    } as const;
    if (reads === undefined || reads === readsOf(accesses)) return stated;
    if (accesses.length > 0) throw line.problem(`nmem is ${reads}, but ${readsOf(accesses)} reads are listed`);
    return { ...stated, reads };
  };
}

function readFault(line: Line): NonNullable<Stated['answer']> {
  const code = line.int('code', 0xffff);
  let address2: bigint | undefined;
  let silent = false;
  let status: CompletionStatus | undefined;
  line.options({
    status: (value) => {
      status = STATUSES.find((each) => each === value);
      if (status === undefined) throw line.problem(`status must be ${STATUSES.join(', ')}`);
    },
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
    ...(status !== undefined && { status }),
  });
}

/**
 * One line of OVEC text as words with their columns, read from left to right, and the error that names line and column.
 */

/** Text that is not OVEC 1. Line and column count from 1. */
export class VectorSyntaxError extends Error {
  constructor(
    readonly problem: string,
    readonly line: number,
    readonly column: number,
  ) {
    super(`line ${line}, column ${column}: ${problem}`);
    this.name = 'VectorSyntaxError';
  }
}

interface Word {
  readonly text: string;
  readonly column: number;
}

const NUMBER = /^(?:0[xX][0-9a-fA-F]+|[0-9]+)$/;

export const MAX_WORD: bigint = (1n << 64n) - 1n;

/** The words of a line; a comment starts at `#`. */
export class Line {
  readonly #words: Word[] = [];
  readonly #end: number;
  #next = 0;

  constructor(
    text: string,
    readonly number: number,
  ) {
    const comment = text.indexOf('#');
    const code = comment < 0 ? text : text.slice(0, comment);
    for (const match of code.matchAll(/\S+/g)) this.#words.push({ text: match[0], column: match.index + 1 });
    this.#end = code.trimEnd().length + 1;
  }

  get empty(): boolean {
    return this.#words.length === 0;
  }

  get hasMore(): boolean {
    return this.#next < this.#words.length;
  }

  /** An error at the word read last. */
  problem(message: string): VectorSyntaxError {
    const word = this.#words[Math.max(this.#next, 1) - 1];
    return new VectorSyntaxError(message, this.number, word?.column ?? 1);
  }

  /** The next word; `name` says in an error what is missing. */
  text(name: string): string {
    const word = this.#words[this.#next];
    if (word === undefined) throw new VectorSyntaxError(`${name} is missing`, this.number, this.#end);
    this.#next++;
    return word.text;
  }

  oneOf<T extends string>(name: string, allowed: readonly T[]): T {
    const text = this.text(name);
    const found = allowed.find((candidate) => candidate === text);
    if (found === undefined) throw this.problem(`${name} must be one of ${allowed.join(', ')}, not "${text}"`);
    return found;
  }

  /** An unsigned number, decimal or 0x-hex, at most `max`. */
  big(name: string, max: bigint = MAX_WORD): bigint {
    return this.parse(name, this.text(name), max);
  }

  int(name: string, max: number): number {
    return Number(this.big(name, BigInt(max)));
  }

  /** A multiple of 8 bytes. */
  alignedAddress(): bigint {
    const address = this.big('address');
    if (address % 8n !== 0n) throw this.problem('address must be a multiple of 8');
    return address;
  }

  parse(name: string, text: string, max: bigint): bigint {
    if (!NUMBER.test(text)) throw this.problem(`${name} must be a decimal or 0x-hex number, not "${text}"`);
    const value = BigInt(text);
    if (value > max) throw this.problem(`${name} is larger than 0x${max.toString(16)}`);
    return value;
  }

  /** Remaining words, each `key=value` or a bare flag (value empty); a key's handler runs while its word is the last one read. */
  options(handlers: Readonly<Record<string, (value: string) => void>>): void {
    const found = new Set<string>();
    while (this.hasMore) {
      const text = this.text('option');
      const at = text.indexOf('=');
      const key = at < 0 ? text : text.slice(0, at);
      if (!Object.hasOwn(handlers, key)) {
        throw this.problem(`unknown option "${key}"; known: ${Object.keys(handlers).join(', ')}`);
      }
      if (found.has(key)) throw this.problem(`option ${key} is given twice`);
      found.add(key);
      handlers[key]!(at < 0 ? '' : text.slice(at + 1));
    }
  }

  end(): void {
    if (!this.hasMore) return;
    const text = this.text('');
    throw this.problem(`"${text}" is too much`);
  }
}

/** The `cfg` lines of a vector, read key by key with checks, so that no key is ignored. */

/** A `cfg` line that the architecture does not have, or a value that it does not allow. */
export class VectorConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'VectorConfigError';
  }
}

export class Config {
  private readonly values: ReadonlyMap<string, string>;

  /** @throws VectorConfigError for keys that are not in `known` */
  constructor(
    lines: readonly (readonly [key: string, value: string])[],
    private readonly title: string,
    known: readonly string[],
  ) {
    const all = [...known, 'cache'];
    for (const [key] of lines) {
      if (!all.includes(key)) throw new VectorConfigError(`cfg ${key}: ${title} has only ${all.join(', ')}`);
    }
    this.values = new Map(lines);
  }

  /** One of `allowed`; the first of them when the vector does not say. */
  oneOf<const T extends string>(key: string, allowed: readonly [T, ...T[]]): T {
    const value = this.values.get(key);
    if (value === undefined) return allowed[0];
    const found = allowed.find((each) => each === value);
    if (found === undefined) {
      throw new VectorConfigError(`cfg ${key} ${value}: ${this.title} has ${key} ${allowed.join(', ')}`);
    }
    return found;
  }

  /** A number of at most `bits` bits, or `otherwise`. */
  word(key: string, bits: number, otherwise: bigint): bigint {
    const value = this.values.get(key);
    if (value === undefined) return otherwise;
    const word = /^(?:0[xX][0-9a-fA-F]+|[0-9]+)$/.test(value) ? BigInt(value) : -1n;
    if (word < 0n || word >> BigInt(bits) !== 0n) {
      throw new VectorConfigError(`cfg ${key} ${value}: expected a number of at most ${bits} bits`);
    }
    return word;
  }

  /** `cfg cache 1`: caches keep what they hold from one access to the next. */
  get keepsCaches(): boolean {
    return this.oneOf('cache', ['0', '1']) === '1';
  }
}

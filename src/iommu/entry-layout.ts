/**
 * Named fields of directory entries, for people who read walks: one small table per architecture (`arch/NAME/fields.ts`). The encoders
 * and checks of the architecture do not use it.
 */

export interface EntryField {
  readonly name: string;
  /** Bits of the whole entry, both included, numbered as in the specification. */
  readonly high: number;
  readonly low: number;
  readonly meaning: string;
  /** Names of values. */
  readonly values?: Readonly<Record<number, string>>;
  /** The value is an address whose lower bits are zero: shown in place, not shifted down. */
  readonly address?: boolean;
}

export interface EntryLayout {
  readonly title: string;
  /** Document and section. */
  readonly source: string;
  readonly fields: readonly EntryField[];
}

/** A field in the order (name, high, low, meaning). */
export function field(
  name: string,
  high: number,
  low: number,
  meaning: string,
  values?: Readonly<Record<number, string>>,
): EntryField {
  return { name, high, low, meaning, ...(values !== undefined && { values }) };
}

/** A pointer. */
export function pointer(name: string, high: number, low: number, meaning: string): EntryField {
  return { name, high, low, meaning, address: true };
}

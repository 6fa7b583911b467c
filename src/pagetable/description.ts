/**
 * What an entry format is, as data: named bit fields, and rules that say what an entry means and what software writes.
 * Levels count up from the leaf: a level 1 table holds the entries of pages of one granule (4 KiB). Sizes are log2 of bytes.
 * Not expressible yet: one mapping spread over several entries (Arm contiguous bit, AMD size codes), tables that skip levels,
 * addresses in two pieces.
 */

/** Bits `high` down to `low` of a 64-bit word, both included. */
export type BitRange = readonly [high: number, low: number];
/** Field name to the value it must have, or is given. */
export type FieldValues = Readonly<Record<string, number>>;

/** A permission is granted always, or when every field named has the value given. Permissions are ANDed along the walk. */
export type Grant = 'always' | FieldValues;

/** What an entry means when it matches. The first rule that covers the level and matches decides. */
export interface EntryRule {
  readonly kind: 'absent' | 'table' | 'leaf';
  /** Levels the rule is for, both included. */
  readonly levels: readonly [low: number, high: number];
  readonly when: FieldValues;
  /** Bits that must be zero in an entry of this kind, besides the address bits above the host address width. */
  readonly reserved: readonly BitRange[];
  readonly grants: { readonly read: Grant; readonly write: Grant; readonly execute: Grant; readonly user: Grant };
  /** What software writes besides `when`, the address and the permissions; the second part only for writable pages. */
  readonly preset: FieldValues;
  readonly presetIfWritable: FieldValues;
  /** What hardware sets in an entry it uses, and in the leaf of a write (accessed and dirty bits). */
  readonly setWhenUsed: FieldValues;
  readonly setWhenWritten: FieldValues;
}

export interface FormatDescription {
  readonly name: string;
  /** Document and section of the entry layouts. */
  readonly source: string;
  readonly granuleLg2: number;
  /** Input bits that one level decodes, and how many more the root decodes (concatenated root tables). */
  readonly indexBits: number;
  readonly rootExtraBits: number;
  /** Table heights that exist. */
  readonly heights: readonly number[];
  /** Input addresses are limited to this many bits even where the tables could decode more. */
  readonly inputLimitLg2: number;
  /** Bits above the input width must repeat its top bit (canonical addresses) instead of being zero. */
  readonly signExtended: boolean;
  /** Host physical address bits; address bits from here on are reserved in every present entry. */
  readonly hostAddressWidth: number;
  readonly fields: Readonly<Record<string, BitRange>>;
  /** The field that holds the page or table address, and the address bit its lowest bit stands for. */
  readonly address: { readonly field: string; readonly lowestBit: number };
  /** Permissions checked at every entry, before its reserved bits; the others are checked at the leaf, after them. */
  readonly earlyPermissions: number;
  readonly rules: readonly EntryRule[];
}

/**
 * What an entry format is, as data: named bit fields, and rules that say what an entry means and what software writes.
 * Levels count up from the leaf: a level 1 table holds the entries of pages of one granule. Sizes are log2 of bytes.
 */

/** Bits `high` down to `low` of a 64-bit word, both included. */
export type BitRange = readonly [high: number, low: number];
/** Field name to the value it must have, or is given. */
export type FieldValues = Readonly<Record<string, number>>;

/**
 * A permission is granted always, never, when every field named has the value given, or when one of several such alternatives
 * holds (software writes the first). Permissions are ANDed along the walk.
 */
export type Grant = 'always' | 'never' | FieldValues | readonly FieldValues[];

export interface Grants {
  readonly read: Grant;
  readonly write: Grant;
  readonly execute: Grant;
  readonly user: Grant;
  readonly supervisor: Grant;
  readonly supervisorExecute: Grant;
}

/** Everything is permitted: what most formats' table entries, and what entries without permissions, grant. */
export const UNRESTRICTED: Grants = {
  read: 'always',
  write: 'always',
  execute: 'always',
  user: 'always',
  supervisor: 'always',
  supervisorExecute: 'always',
};

/** Page size in the address field itself, identical in every entry that the page covers. */
export interface SizeCode {
  /** `ones`: n low ones below a zero mean granule * 2^(n+1) (AMD-Vi). `napot`: n low zeros below a one do (RISC-V Svnapot). */
  readonly form: 'ones' | 'napot';
  /** Sizes (log2) that are legal; the others are reserved encodings. */
  readonly least: number;
  readonly most: number;
}

/** What an entry means when it matches. The first rule that covers the level and matches decides. */
export interface EntryRule {
  readonly kind: 'absent' | 'refused' | 'table' | 'leaf';
  /** Levels the rule is for, both included. */
  readonly levels: readonly [low: number, high: number];
  readonly when: FieldValues;
  /** Refused entries: the fault; `reserved` by default. */
  readonly fault?: 'reserved' | 'level' | 'not-present';
  /** Bits that must be zero in an entry of this kind, besides the address bits above the host address width. */
  readonly reserved: readonly BitRange[];
  readonly grants: Grants;
  /** What software writes besides `when`, the address and the permissions; the second part only for writable pages. */
  readonly preset: FieldValues;
  readonly presetIfWritable: FieldValues;
  /** What hardware sets in an entry it uses (accessed), and what the leaf of a write is made to have (dirty); in bits 31:0. */
  readonly setWhenUsed: FieldValues;
  readonly dirty: FieldValues;
  /** Tables: level of the table pointed to, if not the next lower one. */
  readonly nextLevel?: number;
  /** Leaves: log2 of the number of neighbouring entries, with consecutive addresses, that form one page. */
  readonly contiguousLg2?: number;
  readonly sizeCode?: SizeCode;
}

export interface FormatDescription {
  readonly name: string;
  /** Document and section of the entry layouts. */
  readonly source: string;
  readonly granuleLg2: number;
  /** Input bits that one level decodes, and how many more the root may decode (concatenated root tables). */
  readonly indexBits: number;
  readonly rootExtraBits: number;
  /** Table heights that exist. */
  readonly heights: readonly number[];
  /** Input addresses are limited to this many bits even where the tables could decode more. */
  readonly inputLimitLg2: number;
  /** Bits above the input width must repeat its top bit (canonical addresses) instead of being zero. */
  readonly signExtended: boolean;
  /** Bits above the input width may all be ones as well as zeros: the upper half of an input space with two roots (Arm TTB1). */
  readonly upperHalf?: boolean;
  /** Width of the addresses that software writes, and that present entries may hold: bits from here on end the walk. */
  readonly hostAddressWidth: number;
  /** How they end it; `reserved` by default. `unchecked`: they do not, it is memory that refuses such an address. */
  readonly beyondWidth?: 'reserved' | 'output-size' | 'unchecked';
  readonly fields: Readonly<Record<string, BitRange>>;
  /** The field that holds the page or table address, and the address bit its lowest bit stands for. */
  readonly address: { readonly field: string; readonly lowestBit: number };
  /** A field of bits 31:0 that holds more address bits, from `lowestBit` (at least 32) up. */
  readonly addressTop?: { readonly field: string; readonly lowestBit: number };
  /** Permissions checked at every entry, before its reserved bits; the others are checked at the leaf, after them. */
  readonly earlyPermissions: number;
  /** A leaf is global when this field has this value. */
  readonly global?: { readonly field: string; readonly value: 0 | 1 };
  /** Hardware updates accessed and dirty bits (default), or ends the walk with Fault.AccessFlag. */
  readonly updates?: 'hardware' | 'fault';
  /** As a first stage: reading its tables marks their second-stage pages dirty where writable, in case entries need updates. */
  readonly marksTables?: boolean;
  /**
   * As a first stage: the update of an entry whose second-stage page is clean marks that page with the leaf that the walk has at hand;
   * otherwise the page is translated again, for a write.
   */
  readonly updatesAtOnce?: boolean;
  /** Leaf sizes (log2) that software does not use. */
  readonly avoidedSizes?: readonly number[];
  readonly rules: readonly EntryRule[];
}

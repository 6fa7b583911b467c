/**
 * Hand-made SMMUv3 machines for tests: words as Arm IHI 0070G and DDI 0487 lay them out and as Linux writes them
 * (drivers/iommu/arm/arm-smmu-v3, drivers/iommu/io-pgtable-arm.c).
 */
import { SMMUV3_REFERENCE } from '../reference/smmuv3.js';
import type { Answer, Vector, VectorAccess } from '../vectors/vector.js';

export const RID = 0x208;
/** Linear stream table of 2^16 STEs; the STE of RID. */
export const STREAMS = 0x1_0000_0000n;
export const STE = STREAMS + BigInt(RID * 64);
export const CD = 0x1_0100_0000n;
export const TABLES1 = 0x1_0200_0000n;
export const TABLES2 = 0x1_0300_0000n;
export const PAGE = 0x1_4567_0000n;

export const V1 = 1n;
export const CONFIG = { abort: 0n, bypass: 4n << 1n, s1: 5n << 1n, s2: 6n << 1n, nested: 7n << 1n } as const;
/** CD.V, AA64, A, R, IPS 44 bits. */
export const CD_GOOD = (1n << 31n) | (1n << 41n) | (1n << 46n) | (1n << 45n) | (4n << 32n);
export const EPD0 = 1n << 14n;
export const EPD1 = 1n << 30n;
/** S2AA64, S2R, S2PS 44 bits. */
export const S2_GOOD = (1n << 51n) | (1n << 58n) | (4n << 48n);

export const AF = 1n << 10n;
/** AP[1]: unprivileged access. Stage 1 page and block fit for any use. */
export const USER = 1n << 6n;
export const READ_ONLY = 1n << 7n;
export const FIT1 = AF | USER;
/** S2AP read and write. */
export const FIT2 = AF | (3n << 6n);
export const DBM = 1n << 51n;

export type Words = Map<bigint, bigint>;

export function put(words: Words, address: bigint, ...list: bigint[]): void {
  for (const [index, word] of list.entries()) words.set(address + BigInt(8 * index), word);
}

interface Shape {
  readonly granule: number;
  readonly bits: number;
  readonly start: number;
}

export const S1_4K48: Shape = { granule: 12, bits: 48, start: 0 };
export const S2_4K44: Shape = { granule: 12, bits: 44, start: 0 };

const SLOT = 0x1_0000n;

/** Builds a path of tables, each in the next free 64 KiB from `root`, and the leaf; gives the addresses of its entries. */
export function path(words: Words, root: bigint, shape: Shape, input: bigint, level: number, leaf: bigint): bigint[] {
  const entries: bigint[] = [];
  let table = root;
  for (let at = shape.start; at <= level; at++) {
    const shift = BigInt(shape.granule + (3 - at) * (shape.granule - 3));
    const bits = at === shape.start ? BigInt(shape.bits) - shift : BigInt(shape.granule - 3);
    const entry = table + ((input >> shift) & ((1n << bits) - 1n)) * 8n;
    entries.push(entry);
    if (at === level) {
      words.set(entry, leaf);
      break;
    }
    const known = words.get(entry);
    if (known === undefined) {
      words.set(entry, 0n);
      const taken = new Set([...words.keys()].map((address) => address / SLOT));
      table = root + SLOT;
      while (taken.has(table / SLOT)) table += SLOT;
      words.set(entry, table | 3n);
    } else table = known & 0xffff_ffff_f000n;
  }
  return entries;
}

export interface Setup {
  readonly config?: readonly (readonly [string, string])[];
  readonly strtab?: bigint;
  readonly cfg?: bigint;
  readonly cr0?: bigint;
}

function vectorOf(words: Words, accesses: readonly Partial<VectorAccess>[], setup: Setup = {}): Vector {
  return {
    architecture: 'smmuv3',
    config: setup.config ?? [['stage', 'nested']],
    words,
    tables: [],
    registers: [
      { offset: 0x80, bytes: 8, value: setup.strtab ?? STREAMS },
      { offset: 0x88, bytes: 4, value: setup.cfg ?? 16n },
      { offset: 0x20, bytes: 4, value: setup.cr0 ?? 1n },
    ],
    accesses: accesses.map((access, id) => ({ id, rid: RID, pasid: null, iova: 0n, kind: 'r', ...access })),
  };
}

export function answers(words: Words, accesses: readonly Partial<VectorAccess>[], setup?: Setup): Answer[] {
  return SMMUV3_REFERENCE.answer(vectorOf(words, accesses, setup));
}

export function one(words: Words, access: Partial<VectorAccess> = {}, setup?: Setup): Answer {
  const [answer] = answers(words, [access], setup);
  if (answer === undefined) throw new Error('no answer');
  return answer;
}

export function code(answer: Answer): number | 'ok' {
  return answer.ok ? 'ok' : answer.code;
}

/** Reads and updates in order: `r64@100002000`. */
export function log(answer: Answer): string[] {
  return answer.accesses.map(({ kind, bytes, address }) => `${kind}${bytes}@${address.toString(16)}`);
}

export const IOVA = 0x1234_5678_9ab8n;

/** Stage 1 alone: 4 KiB, 48 bits, TTB0, one page. */
export function stage1(leaf = PAGE | FIT1 | 3n, control = 0n, level = 3): Words {
  const words: Words = new Map();
  put(words, STE, V1 | CONFIG.s1 | CD);
  put(words, CD, CD_GOOD | 16n | EPD1 | control, TABLES1);
  path(words, TABLES1, S1_4K48, IOVA, level, leaf);
  return words;
}

/** Stage 2 alone: 4 KiB, 44 bits from level 0. */
export function stage2(leaf = PAGE | FIT2 | 3n, control = 0n, level = 3): Words {
  const words: Words = new Map();
  put(words, STE, V1 | CONFIG.s2, 0n, S2_GOOD | (20n << 32n) | (2n << 38n) | control, TABLES2);
  path(words, TABLES2, S2_4K44, 0x345_6789_0000n, level, leaf);
  return words;
}
export const IPA = 0x345_6789_0ab8n;

/** Maps pages of stage 2 one to one. */
export function identity(words: Words, shape: Shape, attributes: bigint, ...pages: bigint[]): void {
  for (const page of pages) path(words, TABLES2, shape, page, 3, page | attributes | 3n);
}

/** Nested: stage 1 tables at TABLES1, one to one in stage 2, the page of data at IPA 0x2_2222_2000. */
export const DATA_IPA = 0x2_2222_2000n;
export function nested(
  shape1: Shape,
  shape2: Shape,
  sl0: bigint,
  change: { s1?: bigint; s2?: bigint; cd?: bigint; tables?: bigint; s2control?: bigint } = {},
): Words {
  const words: Words = new Map();
  put(
    words,
    STE,
    V1 | CONFIG.nested | CD,
    0n,
    S2_GOOD | (BigInt(64 - shape2.bits) << 32n) | (sl0 << 38n) | (change.s2control ?? 0n),
    TABLES2,
  );
  put(words, CD, CD_GOOD | BigInt(64 - shape1.bits) | EPD1 | (change.cd ?? 0n), TABLES1);
  path(words, TABLES1, shape1, IOVA & ((1n << BigInt(shape1.bits)) - 1n), 3, DATA_IPA | (change.s1 ?? FIT1) | 3n);
  identity(words, shape2, FIT2, CD);
  identity(
    words,
    shape2,
    change.tables ?? FIT2,
    TABLES1,
    TABLES1 + 0x1_0000n,
    TABLES1 + 0x2_0000n,
    TABLES1 + 0x3_0000n,
  );
  path(words, TABLES2, shape2, DATA_IPA, 3, PAGE | (change.s2 ?? FIT2) | 3n);
  return words;
}

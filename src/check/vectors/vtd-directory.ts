/**
 * Root tables, context tables, PASID directories and PASID tables of VT-d vectors (Intel VT-d specification rev. 5.10, 9.1 to 9.6),
 * as words in an image. Every entry is given by its fields; flaws are planted by those who choose the fields.
 */
import type { Space } from './vtd-space.js';
import type { Image } from './vtd-image.js';

export class Directory {
  readonly root: bigint;
  /** Context tables by 2 * bus + upper half (scalable mode only). */
  private readonly contexts = new Map<number, bigint>();

  constructor(
    private readonly image: Image,
    readonly scalable: boolean,
  ) {
    this.root = image.allocate();
  }

  private half(rid: number): number {
    return 2 * (rid >> 8) + (this.scalable ? (rid >> 7) & 1 : 0);
  }

  /** Address of the qword of the root entry that a requester uses. */
  rootEntry(rid: number): bigint {
    return this.root + 8n * BigInt(this.half(rid));
  }

  /** Address of a requester's context entry; makes root entry and table if they are missing. */
  contextEntry(rid: number): bigint {
    const half = this.half(rid);
    let table = this.contexts.get(half);
    if (table === undefined) {
      table = this.image.allocate();
      this.contexts.set(half, table);
      this.image.write(this.rootEntry(rid), table | 1n);
    }
    return table + (this.scalable ? 32n * BigInt(rid & 0x7f) : 16n * BigInt(rid & 0xff));
  }
}

export interface LegacyContext {
  readonly present: boolean;
  readonly faultsOff: boolean;
  readonly type: bigint;
  readonly pointer: bigint;
  readonly width: bigint;
  readonly domain: number;
  /** More bits of the low and the high word. */
  readonly low?: bigint;
  readonly high?: bigint;
}

export function writeLegacyContext(image: Image, at: bigint, c: LegacyContext): void {
  const flags = (c.present ? 1n : 0n) | (c.faultsOff ? 2n : 0n) | (c.type << 2n);
  image.write(at, c.pointer | flags | (c.low ?? 0n));
  image.write(at + 8n, c.width | (BigInt(c.domain) << 8n) | (c.high ?? 0n));
}

export interface ScalableContext {
  readonly present: boolean;
  readonly faultsOff: boolean;
  readonly pasidEnable: boolean;
  /** PDTS. */
  readonly directorySize: number;
  readonly directory: bigint;
  readonly requesterPasid: number;
  /** More bits of the four words. */
  readonly extra: readonly [bigint, bigint, bigint, bigint];
}

export function writeScalableContext(image: Image, at: bigint, c: ScalableContext): void {
  const flags = (c.present ? 1n : 0n) | (c.faultsOff ? 2n : 0n) | (c.pasidEnable ? 8n : 0n);
  image.write(at, c.directory | flags | (BigInt(c.directorySize) << 9n) | c.extra[0]);
  image.write(at + 8n, BigInt(c.requesterPasid) | c.extra[1]);
  image.write(at + 16n, c.extra[2]);
  image.write(at + 24n, c.extra[3]);
}

/** PASID structures of one device. */
export class PasidTables {
  readonly directory: bigint;
  private readonly tables = new Map<number, bigint>();

  constructor(
    private readonly image: Image,
    readonly directorySize: number,
  ) {
    // 2^(PDTS + 7) entries of 8 bytes, at least a page.
    this.directory = image.allocate(1 << Math.max(0, directorySize - 2));
  }

  directoryEntry(pasid: number): bigint {
    return this.directory + 8n * BigInt(pasid >> 6);
  }

  has(pasid: number): boolean {
    return this.tables.has(pasid >> 6);
  }

  /** Address of a PASID's entry; makes directory entry and table if they are missing. */
  entry(pasid: number): bigint {
    let table = this.tables.get(pasid >> 6);
    if (table === undefined) {
      table = this.image.allocate();
      this.tables.set(pasid >> 6, table);
      this.image.write(this.directoryEntry(pasid), table | 1n);
    }
    return table + 64n * BigInt(pasid & 63);
  }
}

const TYPES = { first: 1n, second: 2n, nested: 3n, pass: 4n } as const;

/** The eight words of a present PASID entry for a space, before any flaw. `width`: AW where there is no second stage. */
export function pasidEntryWords(space: Space, width: bigint): bigint[] {
  const { options } = space;
  const second = options.type === 'second' || options.type === 'nested';
  const aw = second ? BigInt(options.secondLevels - 2) : width;
  const words = [0n, 0n, 0n, 0n, 0n, 0n, 0n, 0n];
  words[0] = space.secondRoot | (options.secondFlags ? 0x200n : 0n) | (TYPES[options.type] << 6n) | (aw << 2n) | 1n;
  words[1] = BigInt(space.domain) | (options.coherent ? 1n << 23n : 0n);
  const mode = options.type === 'first' || options.type === 'nested' ? BigInt(options.firstLevels - 4) : 0n;
  words[2] = space.firstRoot | (mode << 2n);
  return words;
}

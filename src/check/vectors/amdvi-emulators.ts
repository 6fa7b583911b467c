/**
 * What the releases of QEMU's AMD IOMMU observably make of an access (hw/i386/amd_iommu.c), so that the common mode keeps to
 * accesses on which all of them and the specification agree. Where they part, every case avoided by that:
 *
 * - Device ids past the device table are looked up all the same, in the memory behind it.
 * - Reserved bits: checked before V; bits 255:128 too. Before 10.1: also 7 (HAD), 53:52, 72, and all of 255:192.
 * - V=1, TV=0 passes untranslated with IR and IW as permissions, before 10.2.
 * - Mode 0: IR and IW are not looked at in 10.2 once INVALIDATE_DEVTAB_ENTRY has switched the device to pass-through.
 * - Entries of host tables: no reserved bits, no check of NextLevel against the level, size codes of any size, leaves at level 6.
 * - Skipped levels: 10.2 goes down one level at a time whatever NextLevel says; before, the skipped address bits are ignored.
 * - Address past the width of Mode: before 10.2 the bits above are ignored.
 * - Not present: before 10.2 a last entry with PR=0 that is not 0 translates; 10.2 tests it.
 * - IR and IW: 10.2 takes those of the last entry alone, unless together all entries grant nothing: then it takes those of the
 *   entry at which that happens, and if they suffice translates to the address in that entry.
 * - Natural pages above level 1: 10.2 takes the offset from the size of the level below (a 2 MiB page maps its first 4 KiB everywhere).
 * - No guest translation, no PASID, no accessed and dirty bits.
 */
import type { Vector, VectorAccess } from './vector.js';

/** A kind of release. */
interface Release {
  readonly reserved: readonly [bigint, bigint, bigint, bigint];
  readonly walk: 'each level' | 'last entry';
  /** Pass-through devices (V=0, or Mode 0) do not reach the permission check. */
  readonly bypass: boolean;
}

const RESERVED_OLD = [0x8030_0000_0000_00fcn, 0x100n, 0x08f0_0000_0000_0000n, (1n << 64n) - 1n] as const;
const RESERVED_NEW = [0x8000_0000_0000_007cn, 0n, 0x0030_0000_0000_0000n, 0x003f_0000_0000_7fffn] as const;

/** 6.1 to 9.x (10.0 until its stable fixes); 10.1; 10.2, before and after the driver has invalidated the device table entry. */
const RELEASES: readonly Release[] = [
  { reserved: RESERVED_OLD, walk: 'each level', bypass: false },
  { reserved: RESERVED_NEW, walk: 'each level', bypass: false },
  { reserved: RESERVED_NEW, walk: 'last entry', bypass: false },
  { reserved: RESERVED_NEW, walk: 'last entry', bypass: true },
];

const ADDRESS = 0x000f_ffff_ffff_f000n;
/** Entries an endless chain of tables is followed for. */
const LONGEST_CHAIN = 16;

const grants = (entry: bigint): number => Number((entry >> 61n) & 3n);
const nextLevel = (entry: bigint): number => Number((entry >> 9n) & 7n);
const isPresent = (entry: bigint): boolean => (entry & 1n) !== 0n;

/** A physical address, or undefined for a refusal. */
type Outcome = bigint | undefined;

function combine(entry: bigint, sizeLg2: number, iova: bigint): bigint {
  const offset = (1n << BigInt(sizeLg2)) - 1n;
  return (entry & ADDRESS & ~offset) | (iova & offset);
}

function codedSizeLg2(entry: bigint): number {
  let size = 13;
  for (let bits = entry >> 12n; (bits & 1n) === 1n && size < 64; bits >>= 1n) size++;
  return size;
}

class Emulation {
  private readonly words: ReadonlyMap<bigint, bigint>;
  private readonly release: Release;

  constructor(words: ReadonlyMap<bigint, bigint>, release: Release) {
    this.words = words;
    this.release = release;
  }

  private word(address: bigint): bigint {
    return this.words.get(address) ?? 0n;
  }

  translate(deviceTable: bigint, access: VectorAccess): Outcome {
    const { rid, iova } = access;
    const need = access.kind === 'w' ? 2 : 1;
    const at = deviceTable + 32n * BigInt(rid);
    const entry = [0n, 8n, 16n, 24n].map((offset) => this.word(at + offset));
    if (entry.some((word, i) => (word & this.release.reserved[i]!) !== 0n)) return undefined;
    const first = entry[0]!;
    if (!isPresent(first)) return iova;
    const permitted = (grants(first) & need) === need;
    if ((first & 2n) === 0n) return this.release.walk === 'each level' && permitted ? iova : undefined;
    const mode = nextLevel(first);
    if (mode === 7) return undefined;
    if (mode === 0) return permitted || this.release.bypass ? iova : undefined;
    return this.release.walk === 'each level'
      ? this.walkEachLevel(first, iova, need)
      : this.walkLast(first, iova, need);
  }

  /** Before 10.2: permissions at each level, NextLevel obeyed. */
  private walkEachLevel(root: bigint, iova: bigint, need: number): Outcome {
    let entry = root;
    for (let steps = 0; steps < LONGEST_CHAIN; steps++) {
      const level = nextLevel(entry);
      if (!isPresent(entry) || (grants(entry) & need) !== need) return undefined;
      entry = this.word((entry & ADDRESS) + 8n * ((iova >> BigInt(3 + 9 * level)) & 0x1ffn));
      if (entry === 0n) return undefined;
      const next = nextLevel(entry);
      if (next !== 0 && next !== 7) continue;
      if ((grants(entry) & need) !== need) return undefined;
      return combine(entry, next === 7 ? codedSizeLg2(entry) : 3 + 9 * level, iova);
    }
    return undefined;
  }

  /** 10.2: one level at a time, permissions of the entry the walk ends with. */
  private walkLast(root: bigint, iova: bigint, need: number): Outcome {
    const mode = nextLevel(root);
    let common = grants(root);
    if (common === 0 || (mode < 6 && iova >> BigInt(12 + 9 * mode) !== 0n)) return undefined;
    let entry = root;
    let sizeLg2 = 12;
    for (let level = mode - 1; level >= 0; level--) {
      sizeLg2 = 12 + 9 * level;
      common &= grants(entry);
      if (common === 0 || !isPresent(entry)) break;
      if (entry !== root && (nextLevel(entry) === 0 || nextLevel(entry) === 7)) break;
      entry = this.word((entry & ADDRESS) + 8n * ((iova >> BigInt(sizeLg2)) & 0x1ffn));
    }
    if (!isPresent(entry) || (grants(entry) & need) !== need) return undefined;
    const coded = common !== 0 && nextLevel(entry) === 7;
    return combine(entry, coded ? codedSizeLg2(entry) : sizeLg2, iova);
  }
}

/** True if every release translates the access to `expected`, or refuses it where that is undefined. */
export function emulatorsAgree(vector: Vector, access: VectorAccess, expected: Outcome): boolean {
  if (access.pasid !== null || (access.kind !== 'r' && access.kind !== 'w')) return false;
  const base = (vector.registers.find(({ offset }) => offset === 0)?.value ?? 0n) & ADDRESS;
  return RELEASES.every((release) => new Emulation(vector.words, release).translate(base, access) === expected);
}

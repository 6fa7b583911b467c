/**
 * The common mode against a model of what QEMU's SMMUv3 can be seen to do (hw/arm/smmuv3.c, smmu-common.c and their headers, release
 * 10.2), with its peculiarities: both TTBs translated when the CD is read, addresses checked after permissions, APTable judged at the
 * table descriptor, concatenated start tables of stage 2 cut to the first, only the start of a stage 1 table translated. Where QEMU
 * would stop (an assertion) or read unmapped memory, the model throws: common vectors must not get there.
 */
import { describe, expect, test } from 'vitest';
import { RandomStream } from '../../kernel/random.js';
import { SMMUV3_REFERENCE } from '../reference/smmuv3.js';
import { SMMUV3_GENERATOR } from './smmuv3.js';
import type { Vector, VectorAccess } from './vector.js';

type Outcome = { pa: bigint } | { code: number; silent: boolean };

class Refusal extends Error {
  constructor(
    readonly code: number,
    readonly silent = false,
  ) {
    super(`event ${code}`);
  }
}

const OAS = 44;
const SIZES = [32, 36, 40, 42, 44, 48];

const cut = (word: bigint, low: number, length: number): number =>
  Number((word >> BigInt(low)) & ((1n << BigInt(length)) - 1n));
const mask = (bits: number): bigint => (1n << BigInt(bits)) - 1n;
const shiftOf = (level: number, granule: number): number => granule + (3 - level) * (granule - 3);

interface Stage2Config {
  granule: number;
  base: bigint;
  start: number;
  tsz: number;
  bits: number;
  affd: boolean;
  record: boolean;
}

interface HalfConfig {
  tsz: number;
  granule: number;
  base: bigint;
  had: boolean;
}

interface ContextConfig {
  bits: number;
  tbi: number;
  affd: boolean;
  record: boolean;
  halves: (HalfConfig | null)[];
}

/** A leaf as the emulator keeps it: output of the page, and its mask. */
interface Hit {
  base: bigint;
  mask: bigint;
}

class Qemu {
  private readonly words: Map<bigint, bigint>;
  private readonly stages: string;
  private readonly base: bigint;
  private readonly config: bigint;

  constructor(vector: Vector) {
    this.words = new Map(vector.words);
    expect(vector.config.map(([key]) => key)).toEqual(['stage']);
    this.stages = vector.config[0]?.[1] ?? '';
    const registers = new Map(vector.registers.map(({ offset, value }) => [offset, value]));
    this.base = (registers.get(0x80) ?? 0n) & 0xffffffffffffc0n & ~(1n << 62n);
    this.config = registers.get(0x88) ?? 0n;
    expect(registers.get(0x20)).toBe(1n);
  }

  translate(access: VectorAccess): Outcome {
    expect(access.pasid).toBe(null);
    expect(access.privileged).toBe(undefined);
    expect(['r', 'w']).toContain(access.kind);
    try {
      return { pa: this.run(access.rid, access.iova, access.kind === 'w') };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { code: error.code, silent: error.silent };
    }
  }

  private read(address: bigint): bigint {
    if (address < 0x1_0000_0000n || address >= 0x1_8000_0000n) throw new Error(`read at ${address.toString(16)}`);
    return this.words.get(address & ~7n) ?? 0n;
  }

  private stream(sid: number): bigint {
    const size = cut(this.config, 0, 6);
    if (sid >= 2 ** Math.min(size, 16)) throw new Refusal(0x02);
    if (cut(this.config, 16, 2) !== 1) return (this.base & ~mask(size + 5)) + BigInt(sid * 64);
    const split = cut(this.config, 6, 5);
    const pointer = this.read((this.base & ~mask(Math.max(5, size - split + 2))) + BigInt((sid >> split) * 8));
    const span = cut(pointer, 0, 5);
    if (span === 0) throw new Refusal(0x02);
    const inner = sid & (2 ** split - 1);
    if (inner > 2 ** span - 1) throw new Refusal(0x04);
    return (pointer & 0xffff_ffff_ffc0n) + BigInt(inner * 64);
  }

  private stage2(entry: bigint): Stage2Config {
    const control = this.read(entry + 16n);
    if (cut(control, 51, 1) === 0) throw new Error('assertion: S2AA64');
    const granule = [12, 16, 14][cut(control, 46, 2)];
    const field = cut(control, 38, 2);
    const tsz = cut(control, 32, 6);
    const bits = SIZES[Math.min(4, cut(control, 48, 3))] ?? 0;
    const base = this.read(entry + 24n) & 0xfff_ffff_ffff_fff0n & mask(52);
    if (granule === undefined || field === 3 || base >> BigInt(bits) !== 0n) throw new Refusal(0x04);
    // Releases differ on the least S2T0SZ between the unit's and the stream's address size; neither may matter.
    const least = (size: number): number => (granule === 16 ? 64 - size : Math.max(64 - size, 16));
    if (tsz > 39 || tsz < least(OAS)) throw new Refusal(0x04);
    if (tsz < least(bits)) throw new Error('S2T0SZ between the limits of two releases');
    const start = (granule === 12 ? 2 : 3) - field;
    if (mask(64 - tsz) >> BigInt(shiftOf(start - 1, granule)) > 15n) throw new Refusal(0x04);
    if (shiftOf(start, granule) >= 64 - tsz) throw new Error('start level too deep: negative shift');
    if (cut(control, 52, 1) === 1 || cut(control, 57, 1) === 1) throw new Refusal(0x04);
    if (cut(control, 55, 2) !== 0) throw new Error('S2HA, S2HD are not judged');
    return { granule, base, start, tsz, bits, affd: cut(control, 53, 1) === 1, record: cut(control, 58, 1) === 1 };
  }

  private run(sid: number, iova: bigint, write: boolean): bigint {
    if (iova >= mask(64)) throw new Error('beyond the memory region');
    const entry = this.stream(sid);
    const first = this.read(entry);
    const second = this.read(entry + 8n);
    const config = cut(first, 1, 3);
    if (cut(first, 0, 1) === 0) throw new Refusal(0x04);
    if (config < 4) throw new Refusal(0, true);
    if (config === 4) return iova;
    const one = (config & 1) !== 0;
    const two = (config & 2) !== 0;
    if ((one && this.stages === '2') || (two && this.stages === '1')) throw new Refusal(0x04);
    const stage2 = two ? this.stage2(entry) : null;
    if (cut(first, 59, 5) !== 0 || cut(second, 27, 1) !== 0) throw new Refusal(0x04);
    if (!one && stage2 !== null) {
      if (iova >> BigInt(OAS) !== 0n) throw new Error('a stage 1 address size fault without a CD');
      return outputOf(this.walk2(iova, write, stage2), iova);
    }
    const pointer = first & 0xff_ffff_ffff_ffc0n;
    const place = stage2 === null ? pointer : this.ipa(pointer, stage2, OAS);
    const context = this.context(place, stage2);
    const hit = this.walk1(iova, write, context, stage2);
    const address = outputOf(hit, iova);
    return stage2 === null ? address : outputOf(this.walk2(address, write, stage2), address);
  }

  /** A fetch through stage 2: of a CD, a TTB or a table, by its start. */
  private ipa(address: bigint, stage2: Stage2Config, limit: number): bigint {
    if (address >> BigInt(limit) !== 0n) throw new Error('an intermediate address beyond the limit of stage 1');
    return outputOf(this.walk2(address, false, stage2), address);
  }

  private context(place: bigint, stage2: Stage2Config | null): ContextConfig {
    const control = this.read(place);
    const has = (position: number): boolean => cut(control, position, 1) === 1;
    if (!has(31) || !has(41) || !has(46) || has(44) || has(43) || has(42)) throw new Refusal(0x0a);
    const size = SIZES[cut(control, 32, 3)];
    if (size === undefined) throw new Error('assertion: IPS');
    const bits = Math.min(size, OAS);
    const halves = [0, 1].map((which): HalfConfig | null => {
      const low = 16 * which;
      if (has(low + 14)) return null;
      const tsz = cut(control, low, 6);
      const granule = (which === 0 ? [12, 16, 14] : [undefined, 14, 12, 16])[cut(control, low + 6, 2)];
      if (tsz < 16 || tsz > 39 || granule === undefined || has(15)) throw new Refusal(0x0a);
      const word = this.read(place + BigInt(8 + 8 * which));
      let base = word & 0xf_ffff_ffff_fff0n;
      if (base >> BigInt(bits) !== 0n) throw new Refusal(0x0a);
      if (stage2 !== null) {
        base = this.ipa(base, stage2, bits);
        if (base >> BigInt(bits) !== 0n) throw new Error('a translated TTB that is cut to IPS');
      }
      return { tsz, granule, base, had: (word & 2n) !== 0n };
    });
    return { bits, tbi: cut(control, 38, 2), affd: has(35), record: has(45), halves };
  }

  private select(iova: bigint, context: ContextConfig): HalfConfig | null {
    // TBI0 is tested for both halves.
    const top = (context.tbi & 1) === 1 ? 56 : 64;
    const [lower, upper] = context.halves;
    if (lower && cut(iova, 64 - lower.tsz, lower.tsz - 64 + top) === 0) return lower;
    if (upper) {
      const length = upper.tsz - 64 + top;
      if (cut(iova, 64 - upper.tsz, length) === 2 ** length - 1) return upper;
    }
    return null;
  }

  private walk1(iova: bigint, write: boolean, context: ContextConfig, stage2: Stage2Config | null): Hit {
    const refuse = (code: number): Refusal => new Refusal(code, !context.record);
    const half = this.select(iova, context);
    if (half === null) throw refuse(0x10);
    const stride = half.granule - 3;
    const input = 64 - half.tsz;
    let level = 4 - Math.floor((input - 4) / stride);
    let table = half.base & ~mask(input - stride * (4 - level));
    for (; ; level++) {
      const shift = shiftOf(level, half.granule);
      const entry = this.read(table + BigInt(cut(iova & mask(input), shift, stride)) * 8n);
      const type = Number(entry & 3n);
      if ((type & 1) === 0 || (level === 3 && type === 1)) throw refuse(0x10);
      if (level < 3 && type === 3) {
        if (!half.had && write && cut(entry, 62, 1) === 1) throw refuse(0x13);
        table = entry & mask(48) & ~mask(half.granule);
        if (stage2 !== null) table = this.ipa(table, stage2, context.bits);
        continue;
      }
      if (cut(entry, 10, 1) === 0 && !context.affd) throw refuse(0x12);
      if (write && cut(entry, 7, 1) === 1) throw refuse(0x13);
      const base = entry & mask(48) & ~mask(shift);
      if (base >> BigInt(context.bits) !== 0n) throw refuse(0x11);
      return { base, mask: mask(shift) };
    }
  }

  private walk2(ipa: bigint, write: boolean, stage2: Stage2Config): Hit {
    const refuse = (code: number): Refusal => new Refusal(code, !stage2.record);
    const { granule } = stage2;
    const stride = granule - 3;
    const input = 64 - stage2.tsz;
    if (ipa >> BigInt(input) !== 0n) throw refuse(0x10);
    const index = ipa >> BigInt(shiftOf(stage2.start - 1, granule));
    let table = stage2.base + index * BigInt(8 << stride);
    table &= ~mask(input - stride * (4 - stage2.start));
    for (let level = stage2.start; ; level++) {
      const shift = shiftOf(level, granule);
      const entry = this.read(table + BigInt(cut(ipa & mask(input), shift, stride)) * 8n);
      const type = Number(entry & 3n);
      if ((type & 1) === 0 || (level === 3 && type === 1)) throw refuse(0x10);
      if (level < 3 && type === 3) {
        table = entry & mask(48) & ~mask(granule);
        continue;
      }
      if (cut(entry, 10, 1) === 0 && !stage2.affd) throw refuse(0x12);
      if (cut(entry, write ? 7 : 6, 1) === 0) throw refuse(0x13);
      const base = entry & mask(48) & ~mask(shift);
      if (base >> BigInt(stage2.bits) !== 0n) throw refuse(0x11);
      return { base, mask: mask(shift) };
    }
  }
}

function outputOf(hit: Hit, address: bigint): bigint {
  return hit.base + (address & hit.mask);
}

/** Accesses of a mode, and those where the model says otherwise than the reference or would not answer. */
function compare(mode: string, seeds: number): { accesses: number; differing: string[] } {
  const differing: string[] = [];
  let accesses = 0;
  for (let seed = 0; seed < seeds; seed++) {
    const vector = SMMUV3_GENERATOR.generate(new RandomStream(seed, `vectors/smmuv3/${mode}`), mode);
    const qemu = new Qemu(vector);
    const expected = SMMUV3_REFERENCE.answer(vector);
    for (const [index, access] of vector.accesses.entries()) {
      const answer = expected[index];
      const reference = answer?.ok ? `0x${answer.pa.toString(16)}` : `event ${answer?.code} ${answer?.silent ?? false}`;
      let emulated: string;
      try {
        const outcome = qemu.translate(access);
        emulated = 'pa' in outcome ? `0x${outcome.pa.toString(16)}` : `event ${outcome.code} ${outcome.silent}`;
      } catch (error) {
        emulated = String(error);
      }
      if (emulated !== reference) differing.push(`seed ${seed} access ${index}: ${emulated}, not ${reference}`);
      accesses++;
    }
  }
  return { accesses, differing };
}

describe('model of QEMU and reference', () => {
  test('agree on every access of the common mode', () => {
    const { accesses, differing } = compare('common', 300);
    expect(differing).toEqual([]);
    expect(accesses).toBeGreaterThan(10_000);
  });

  test('differ where the strict mode goes', () => {
    const { accesses, differing } = compare('strict', 60);
    expect(differing.length).toBeGreaterThan(accesses / 50);
  });
});

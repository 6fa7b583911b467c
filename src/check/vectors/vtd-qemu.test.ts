/**
 * The common mode against a model of what QEMU 10's intel-iommu can be seen to do (hw/i386/intel_iommu.c, release 10.0 to 10.2), with
 * its peculiarities: the order of its checks, PASID 0 checked before the PASID of the request, FPD looked up apart from the entries,
 * present bits of PASID entries not always checked. Where QEMU would go on with an entry it has found unusable, or take a word of
 * ones for a failed read, the model throws: common vectors must not get there.
 */
import { expect, test } from 'vitest';
import { RandomStream } from '../../kernel/random.js';
import { VTD_REFERENCE } from '../reference/vtd.js';
import type { Vector, VectorAccess } from './vector.js';
import { VTD_GENERATOR } from './vtd.js';

type Outcome = { pa: bigint } | { code: number; silent: boolean };

class Refusal extends Error {
  constructor(readonly code: number) {
    super(`0x${code.toString(16)}`);
  }
}

/** Reasons that FPD does not suppress. */
const ALWAYS_RECORDED = [0x01, 0x08, 0x09, 0x0a, 0x50, 0x58];
const PAGE = ~0xfffn;

class Qemu {
  private readonly words: Map<bigint, bigint>;
  private readonly width: bigint;
  private readonly scalableDevice: boolean;
  private readonly scalableRoot: boolean;
  /** Property x-flts: a device translates by the first stage or by the second. */
  private readonly firstStage: boolean;
  private readonly root: bigint;

  constructor(vector: Vector, firstStage: boolean) {
    const config = new Map(vector.config);
    this.words = new Map(vector.words);
    this.width = BigInt(config.get('aw')!);
    this.scalableDevice = config.get('scalable') === '1';
    this.firstStage = firstStage;
    if (firstStage) expect(this.width).toBe(48n);
    const rtaddr = vector.registers[0]!.value;
    this.scalableRoot = this.scalableDevice && (rtaddr & 0x400n) !== 0n;
    this.root = rtaddr & ((1n << this.width) - 1n) & PAGE;
  }

  private read(address: bigint): bigint {
    if (address >> 31n !== 2n) throw new Error(`read at 0x${address.toString(16)}, outside the window of vectors`);
    const word = this.words.get(address) ?? 0n;
    if (word === (1n << 64n) - 1n) throw new Error('a word of ones counts as a failed read');
    return word;
  }

  private above(): bigint {
    return ((1n << 64n) - 1n) ^ ((1n << this.width) - 1n);
  }

  private levelSupported(level: bigint): boolean {
    return level === 3n || (level === 4n && this.width === 48n);
  }

  /** Context entry words; `fpd` as far as a context entry has been read. */
  private context(access: VectorAccess, seen: { fpd: boolean }): bigint[] {
    const devfn = access.rid & 0xff;
    const entry = this.root + 16n * BigInt(access.rid >> 8);
    const [lo, hi] = [this.read(entry), this.read(entry + 8n)];
    const half = this.scalableRoot && devfn > 127 ? hi : lo;
    if ((half & 1n) === 0n) throw new Refusal(0x01);
    const reserved = 0xffen | this.above();
    if ((lo & reserved) !== 0n || (this.scalableRoot ? (hi & reserved) !== 0n : hi !== 0n)) throw new Refusal(0x0a);
    const at = (half & PAGE) + (this.scalableRoot ? 32n * BigInt(devfn & 127) : 16n * BigInt(devfn));
    const c = Array.from({ length: this.scalableRoot ? 4 : 2 }, (_, i) => this.read(at + BigInt(8 * i)));
    seen.fpd = (c[0]! & 2n) !== 0n;
    if ((c[0]! & 1n) === 0n) throw new Refusal(0x02);
    if (this.scalableRoot) {
      if (((c[0]! & (0x1e0n | this.above())) | (c[1]! >> 21n) | c[2]! | c[3]!) !== 0n) throw new Refusal(0x0b);
      this.pasidEntry(c, 0n);
    } else {
      if ((c[1]! & 0xffff_ffff_ff00_0080n) !== 0n || (c[0]! & (0xff0n | this.above())) !== 0n) throw new Refusal(0x0b);
      if (!this.levelSupported(2n + (c[1]! & 7n))) throw new Refusal(0x03);
      const type = (c[0]! >> 2n) & 3n;
      if (type === 1n) throw new Error('TT = 1 depends on the device-iotlb property');
      if (type === 3n) throw new Refusal(0x03);
    }
    return c;
  }

  private typedEntry(table: bigint, pasid: bigint): bigint[] {
    const at = (table & PAGE) + 64n * (pasid & 63n);
    const entry = Array.from({ length: 8 }, (_, i) => this.read(at + BigInt(8 * i)));
    const type = (entry[0]! >> 6n) & 7n;
    if (type !== (this.firstStage ? 1n : 2n) && type !== 4n) throw new Refusal(0x5b);
    if (type === 2n && !this.levelSupported(2n + ((entry[0]! >> 2n) & 7n))) throw new Refusal(0x5b);
    if (type === 1n && ((entry[2]! >> 2n) & 3n) !== 0n) throw new Refusal(0x5b);
    return entry;
  }

  private pasidEntry(context: readonly bigint[], pasid: bigint): bigint[] {
    const directory = this.read((context[0]! & PAGE) + 8n * (pasid >> 6n));
    if ((directory & 1n) === 0n) throw new Refusal(0x51);
    const entry = this.typedEntry(directory, pasid);
    if ((entry[0]! & 1n) === 0n) throw new Refusal(0x59);
    return entry;
  }

  private pasidFpd(context: readonly bigint[], pasid: bigint): boolean {
    const directory = this.read((context[0]! & PAGE) + 8n * (pasid >> 6n));
    if ((directory & 2n) !== 0n) return true;
    if ((directory & 1n) === 0n) throw new Refusal(0x51);
    return (this.typedEntry(directory, pasid)[0]! & 2n) !== 0n;
  }

  private translate(access: VectorAccess, seen: { fpd: boolean }): bigint {
    const context = this.context(access, seen);
    if (!this.scalableRoot) {
      expect(access.pasid).toBeNull();
      if (((context[0]! >> 2n) & 3n) === 2n) return access.iova;
      return this.second(context[0]! & PAGE, context[1]! & 7n, access);
    }
    const pasid = BigInt(access.pasid ?? 0);
    expect(pasid < 256n && (context[1]! & 0xfffffn) === 0n).toBe(true);
    if (access.pasid !== null) expect(context[0]! & 8n).toBe(8n);
    if (!seen.fpd) seen.fpd = this.pasidFpd(context, pasid);
    let entry: bigint[];
    try {
      entry = this.pasidEntry(context, pasid);
    } catch {
      throw new Error('QEMU goes on with a PASID entry that is not usable');
    }
    if (((entry[0]! >> 6n) & 7n) === 4n) return access.iova;
    if (!this.firstStage) return this.second(entry[0]! & PAGE, (entry[0]! >> 2n) & 7n, access);
    return this.first(entry[2]! & PAGE, (entry[0]! >> 2n) & 7n, access);
  }

  private second(root: bigint, aw: bigint, access: VectorAccess): bigint {
    const { iova, kind } = access;
    const limit = 30n + 9n * aw < this.width ? 30n + 9n * aw : this.width;
    if (iova >> limit !== 0n) throw new Refusal(0x04);
    let table = root;
    for (let level = 2n + aw; ; level--) {
      const entry = this.read(table + 8n * ((iova >> (3n + 9n * level)) & 511n));
      if ((entry & (kind === 'w' ? 2n : 1n)) === 0n) throw new Refusal(kind === 'w' ? 0x05 : 0x06);
      const large = (level === 2n || level === 3n) && (entry & 0x80n) !== 0n;
      let reserved = this.above() & ~0xbff0_0000_0000_0000n;
      if (large) reserved |= level === 2n ? 0x1f_f000n : 0x3fff_f000n;
      if (level === 4n) reserved |= 0x80n;
      if (!(this.scalableDevice && (large || level === 1n))) reserved |= 0x800n;
      if ((entry & reserved) !== 0n) throw new Refusal(0x0c);
      if (large || level === 1n) return this.page(entry, level, iova);
      table = entry & ((1n << this.width) - 1n) & PAGE;
    }
  }

  private first(root: bigint, aw: bigint, access: VectorAccess): bigint {
    const { iova, kind } = access;
    const limit = 30n + 9n * aw < this.width ? 30n + 9n * aw : this.width;
    const top = iova >> (limit - 1n);
    if (top !== 0n && top !== (1n << (65n - limit)) - 1n) throw new Refusal(0x80);
    let table = root;
    for (let level = 4n; ; level--) {
      const at = table + 8n * ((iova >> (3n + 9n * level)) & 511n);
      const entry = this.read(at);
      if ((entry & 1n) === 0n) throw new Refusal(0x71);
      if ((entry & 4n) === 0n) throw new Refusal(0x81);
      if (kind === 'w' && (entry & 2n) === 0n) throw new Refusal(0x85);
      const large = (level === 2n || level === 3n) && (entry & 0x80n) !== 0n;
      let reserved = this.above() & ~0xfff0_0000_0000_0000n;
      if (large) reserved |= level === 2n ? 0x1f_e000n : 0x3fff_e000n;
      if (level === 4n) reserved |= 0x80n;
      if ((entry & reserved) !== 0n) throw new Refusal(0x72);
      const flags = (large || level === 1n) && kind === 'w' ? 0x60n : 0x20n;
      if ((entry & flags) === 0n) this.words.set(at, entry | flags);
      if (large || level === 1n) return this.page(entry, level, iova);
      table = entry & ((1n << this.width) - 1n) & PAGE;
    }
  }

  private page(entry: bigint, level: bigint, iova: bigint): bigint {
    const low = (1n << (3n + 9n * level)) - 1n;
    const output = (entry & ((1n << this.width) - 1n) & PAGE & ~low) | (iova & low);
    if (output >> 31n !== 2n) throw new Error(`page at 0x${output.toString(16)}, outside the window of vectors`);
    return output;
  }

  access(access: VectorAccess): Outcome {
    const seen = { fpd: false };
    try {
      return { pa: this.translate(access, seen) };
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      return { code: error.code, silent: seen.fpd && !ALWAYS_RECORDED.includes(error.code) };
    }
  }
}

/** Whether the first request is translated by a first stage: then the vector is for a device with x-flts=on. */
function asksForFirstStage(vector: Vector): boolean {
  const word = (address: bigint): bigint => vector.words.get(address) ?? 0n;
  const { rid, pasid } = vector.accesses[0]!;
  expect(pasid).toBeNull();
  const half = word((vector.registers[0]!.value & PAGE) + 8n * BigInt(rid >> 7));
  const context = word((half & PAGE) + 32n * BigInt(rid & 0x7f));
  const type = (word(word(context & PAGE) & PAGE) >> 6n) & 7n;
  expect([1n, 2n]).toContain(type);
  return type === 1n;
}

test('common vectors have the same answers in the model of QEMU', () => {
  let compared = 0;
  const kinds = { first: 0, second: 0, legacy: 0 };
  for (let seed = 0; seed < 500; seed++) {
    const vector = VTD_GENERATOR.generate(new RandomStream(seed, 'vectors/vtd/qemu'), 'common');
    const answers = VTD_REFERENCE.answer(vector);
    const scalable = (vector.registers[0]!.value & 0x400n) !== 0n;
    const wanted = answers.map((answer): Outcome => {
      return answer.ok ? { pa: answer.pa } : { code: answer.code, silent: answer.silent === true };
    });
    const run = (firstStage: boolean): Outcome[] => {
      const qemu = new Qemu(vector, firstStage);
      return vector.accesses.map((access) => qemu.access(access));
    };
    // Which of the two a scalable vector is for shows in the first request.
    const firstStage = scalable && asksForFirstStage(vector);
    expect(run(firstStage), `seed ${seed}`).toEqual(wanted);
    kinds[firstStage ? 'first' : scalable ? 'second' : 'legacy']++;
    compared += wanted.length;
  }
  expect(compared).toBeGreaterThan(15_000);
  expect(Math.min(...Object.values(kinds))).toBeGreaterThan(100);
});

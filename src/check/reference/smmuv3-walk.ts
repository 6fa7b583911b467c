/**
 * Table walks of an Arm SMMUv3, one transaction at a time: VMSAv8-64 stage 1, stage 2, and stage 1 in the address space of stage 2
 * (every stage 1 descriptor is fetched through it). Arm DDI 0487 D8.2 to D8.5 and IHI 0070G 3.13, 7.3.12 to 7.3.16. Order of faults in a
 * descriptor: translation, address size, access flag, permission. Written for plainness; nothing is cached.
 * Hardware updates happen only for an access that the stage permits; the specification also allows the flag to be set otherwise.
 */
import type { MemoryAccess } from '../vectors/vector.js';
import {
  addressBits,
  type Context,
  field,
  flag,
  type Geometry,
  levelShift,
  type Region,
  type Stage2,
} from './smmuv3-structures.js';

export const Event = {
  C_BAD_STREAMID: 0x02,
  C_BAD_STE: 0x04,
  F_BAD_ATS_TREQ: 0x05,
  F_STREAM_DISABLED: 0x06,
  F_TRANSL_FORBIDDEN: 0x07,
  C_BAD_SUBSTREAMID: 0x08,
  C_BAD_CD: 0x0a,
  F_TRANSLATION: 0x10,
  F_ADDR_SIZE: 0x11,
  F_ACCESS: 0x12,
  F_PERMISSION: 0x13,
} as const;

/** A transaction ends without a translation. */
export class Fault extends Error {
  constructor(
    readonly code: number,
    readonly silent = false,
    /** IPA field of the event record, bits 11:0 zero; stage 2 faults only. */
    readonly ipa: bigint | null = null,
  ) {
    super(`event 0x${code.toString(16)}`);
  }
}

/** Table memory: 64-bit words, and the accesses of the transaction under way. */
export class TableMemory {
  log: MemoryAccess[] = [];

  constructor(readonly words: Map<bigint, bigint>) {}

  read(address: bigint, bytes: number): bigint[] {
    this.log.push({ kind: 'r', bytes, address });
    return Array.from({ length: bytes / 8 }, (_, index) => this.words.get(address + BigInt(8 * index)) ?? 0n);
  }

  update(address: bigint, word: bigint): void {
    this.log.push({ kind: 'a', bytes: 8, address });
    this.words.set(address, word);
  }
}

/** What a transaction, or a fetch on its behalf, wants to do. */
export interface Need {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  readonly privileged: boolean;
  /** A translation request of a device that means to write: what may be written is marked dirty (13.7). */
  readonly marks?: boolean;
}

const FETCH: Need = { read: true, write: false, execute: false, privileged: false };
const STORE: Need = { read: false, write: true, execute: false, privileged: false };

const AP_UNPRIVILEGED = 6;
const AP_READ_ONLY = 7;
const S2AP_READ = 6;
const S2AP_WRITE = 7;
const ACCESS_FLAG = 10;
const DIRTY_MODIFIER = 51;
const CONTIGUOUS = 52;

/** What a translation may be used for. */
export interface Granted {
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
}

/** The output of a descriptor, and where it is, for hardware updates. */
interface Leaf {
  readonly address: bigint;
  readonly sizeLg2: number;
  readonly place: bigint;
  descriptor: bigint;
}

export interface Translated {
  readonly address: bigint;
  readonly sizeLg2: number;
  readonly granted: Granted;
}

/** log2 of the entries of a contiguous group (DDI 0487 D8.7.1). */
export function contiguousLg2(granuleLg2: number, level: number): number {
  if (granuleLg2 === 12) return 4;
  if (granuleLg2 === 16) return 5;
  return level === 3 ? 7 : 5;
}

function blockAllowed(granuleLg2: number, level: number, oas: number): boolean {
  if (granuleLg2 === 12) return level === 1 || level === 2;
  return level === 2 || (granuleLg2 === 16 && level === 1 && oas === 52);
}

/** Address in a descriptor. With a 64 KiB granule and 52-bit addresses bits 15:12 hold address bits 51:48. */
function outputAddress(descriptor: bigint, granuleLg2: number, lowBit: number, oas: number): bigint {
  const address = addressBits(descriptor, 47, lowBit);
  return granuleLg2 === 16 && oas === 52 ? address | (addressBits(descriptor, 15, 12) << 36n) : address;
}

/** What table descriptors on the way took away (APTable, UXNTable, PXNTable). */
interface Hierarchy {
  readOnly: boolean;
  noUnprivileged: boolean;
  unprivilegedExecuteNever: boolean;
  privilegedExecuteNever: boolean;
}

type Step = { readonly next: bigint } | { readonly leaf: Leaf };

export class Walker {
  constructor(
    private readonly memory: TableMemory,
    private readonly oas: number,
    private readonly stage2: Stage2 | null,
  ) {}

  /** Fetches a context descriptor or a pointer to one: through stage 2 where there is one. */
  fetchConfiguration(address: bigint, bytes: number): bigint[] {
    return this.memory.read(this.stage2 === null ? address : this.translateIpa(address, FETCH).address, bytes);
  }

  /** Input address, privilege and kind to physical address; `context` null: stage 1 is bypassed. */
  translate(input: bigint, need: Need, context: Context | null): Translated {
    if (context === null) return this.translateIpa(input, need);
    const first = this.translateVa(input, need, context);
    if (this.stage2 === null) return first;
    const second = this.translateIpa(first.address, need);
    const granted = {
      read: first.granted.read && second.granted.read,
      write: first.granted.write && second.granted.write,
      execute: first.granted.execute && second.granted.execute,
    };
    return { address: second.address, sizeLg2: Math.min(first.sizeLg2, second.sizeLg2), granted };
  }

  private translateIpa(ipa: bigint, need: Need): Translated {
    const leaf = this.walkIpa(ipa);
    this.useStage2(leaf, ipa, need);
    const granted = {
      read: flag(leaf.descriptor, S2AP_READ),
      write: flag(leaf.descriptor, S2AP_WRITE),
      execute: executable2(leaf.descriptor, need),
    };
    return { address: leaf.address, sizeLg2: leaf.sizeLg2, granted };
  }

  private stage2Of(): Stage2 {
    if (this.stage2 === null) throw new Error('smmuv3: stage 2 is not configured');
    return this.stage2;
  }

  private walkIpa(ipa: bigint): Leaf {
    const stage2 = this.stage2Of();
    const fail = (code: number): Fault => new Fault(code, !stage2.record, (ipa >> 12n) << 12n);
    if (ipa >> BigInt(stage2.inputBits) !== 0n) throw fail(Event.F_TRANSLATION);
    let table = stage2.base;
    for (let level = stage2.startLevel; ; level++) {
      const place = table + this.offset(stage2, ipa, level);
      const descriptor = this.memory.read(place, 8)[0] ?? 0n;
      const step = this.decode(stage2, stage2.outputBits, level, descriptor, place, ipa, fail);
      if ('next' in step) {
        table = step.next;
        continue;
      }
      if (!flag(descriptor, ACCESS_FLAG) && !stage2.updateAccessFlag && !stage2.ignoreAccessFlag)
        throw fail(Event.F_ACCESS);
      return step.leaf;
    }
  }

  /** Permission of stage 2, then the hardware update that the access calls for. */
  private useStage2(leaf: Leaf, ipa: bigint, need: Need): void {
    const stage2 = this.stage2Of();
    const { descriptor } = leaf;
    const clean = stage2.updateDirty && flag(descriptor, DIRTY_MODIFIER) && !flag(descriptor, S2AP_WRITE);
    const denied =
      (need.read && !flag(descriptor, S2AP_READ)) ||
      (need.write && !flag(descriptor, S2AP_WRITE) && !clean) ||
      (need.execute && !executable2(descriptor, need));
    if (denied) throw new Fault(Event.F_PERMISSION, !stage2.record, (ipa >> 12n) << 12n);
    let updated = descriptor;
    if (stage2.updateAccessFlag) updated |= 1n << BigInt(ACCESS_FLAG);
    if (clean && (need.write || need.marks === true)) updated |= 1n << BigInt(S2AP_WRITE);
    if (updated === descriptor) return;
    this.memory.update(leaf.place, updated);
    leaf.descriptor = updated;
  }

  private translateVa(input: bigint, need: Need, context: Context): Translated {
    const fail = (code: number): Fault => new Fault(code, !context.record);
    const upper = flag(input, 55);
    const region = context.regions[upper ? 1 : 0];
    if (region === null || !inRange(input, upper, region)) throw fail(Event.F_TRANSLATION);
    const hierarchy = {
      readOnly: false,
      noUnprivileged: false,
      unprivilegedExecuteNever: false,
      privilegedExecuteNever: false,
    };
    let table = region.base;
    for (let level = region.startLevel; ; level++) {
      const pointer = table + this.offset(region, input, level);
      const holder = this.stage2 === null ? null : this.walkIpa(pointer);
      if (holder !== null) this.useStage2(holder, pointer, FETCH);
      const place = holder === null ? pointer : holder.address;
      const descriptor = this.memory.read(place, 8)[0] ?? 0n;
      const step = this.decode(region, context.outputBits, level, descriptor, place, input, fail);
      if ('next' in step) {
        if (!region.ignoreHierarchy) inherit(hierarchy, descriptor);
        table = step.next;
        continue;
      }
      if (!flag(descriptor, ACCESS_FLAG) && !context.updateAccessFlag && !context.ignoreAccessFlag)
        throw fail(Event.F_ACCESS);
      const clean = context.updateDirty && flag(descriptor, DIRTY_MODIFIER) && flag(descriptor, AP_READ_ONLY);
      if (!permitted1(descriptor, clean, hierarchy, need, context)) throw fail(Event.F_PERMISSION);
      let updated = descriptor;
      if (context.updateAccessFlag) updated |= 1n << BigInt(ACCESS_FLAG);
      const marks = need.marks === true && permitted1(descriptor, clean, hierarchy, { ...need, write: true }, context);
      if (clean && (need.write || marks)) updated &= ~(1n << BigInt(AP_READ_ONLY));
      if (updated !== descriptor) {
        if (holder !== null) this.useStage2(holder, pointer, STORE);
        this.memory.update(place, updated);
      }
      const read = permitted1(updated, false, hierarchy, { ...need, read: true, write: false }, context);
      const write = permitted1(updated, false, hierarchy, { ...need, read: false, write: true }, context);
      const execute = permitted1(descriptor, clean, hierarchy, { ...need, execute: true }, context);
      return { address: step.leaf.address, sizeLg2: step.leaf.sizeLg2, granted: { read, write, execute } };
    }
  }

  /** Byte offset of the descriptor in the tables of a level; the start level of stage 2 may be several tables side by side. */
  private offset(geometry: Geometry, input: bigint, level: number): bigint {
    const shift = levelShift(geometry.granuleLg2, level);
    const bits = level === geometry.startLevel ? geometry.inputBits - shift : geometry.granuleLg2 - 3;
    return BigInt(field(input, shift + bits - 1, shift)) * 8n;
  }

  private decode(
    geometry: Geometry,
    outputBits: number,
    level: number,
    descriptor: bigint,
    place: bigint,
    input: bigint,
    fail: (code: number) => Fault,
  ): Step {
    const { granuleLg2 } = geometry;
    const type = field(descriptor, 1, 0);
    if (type === 3 && level < 3) {
      const next = outputAddress(descriptor, granuleLg2, granuleLg2, this.oas);
      if (next >> BigInt(outputBits) !== 0n) throw fail(Event.F_ADDR_SIZE);
      return { next };
    }
    const isLeaf = level === 3 ? type === 3 : type === 1 && blockAllowed(granuleLg2, level, this.oas);
    if (!isLeaf) throw fail(Event.F_TRANSLATION);
    const shift = levelShift(granuleLg2, level);
    const output = outputAddress(descriptor, granuleLg2, shift, this.oas);
    if (output >> BigInt(outputBits) !== 0n) throw fail(Event.F_ADDR_SIZE);
    const sizeLg2 = shift + (flag(descriptor, CONTIGUOUS) ? contiguousLg2(granuleLg2, level) : 0);
    return { leaf: { address: output | addressBits(input, shift - 1, 0), sizeLg2, place, descriptor } };
  }
}

/** XN[1:0] with FEAT_XNX: 0 both, 1 unprivileged only, 2 neither, 3 privileged only. */
function executable2(descriptor: bigint, { privileged }: Need): boolean {
  const never = field(descriptor, 54, 53);
  return never === 0 || never === (privileged ? 3 : 1);
}

/** All bits above the region's size equal bit 55, the top byte excepted where it is ignored. */
function inRange(input: bigint, upper: boolean, region: Region): boolean {
  const above = field(input, region.ignoreTopByte ? 55 : 63, region.inputBits);
  const bits = (region.ignoreTopByte ? 56 : 64) - region.inputBits;
  return above === (upper ? 2 ** bits - 1 : 0);
}

function inherit(hierarchy: Hierarchy, descriptor: bigint): void {
  hierarchy.readOnly ||= flag(descriptor, 62);
  hierarchy.noUnprivileged ||= flag(descriptor, 61);
  hierarchy.unprivilegedExecuteNever ||= flag(descriptor, 60);
  hierarchy.privilegedExecuteNever ||= flag(descriptor, 59);
}

/** Direct permissions of the EL1&0 regime (DDI 0487 D8.4). */
function permitted1(descriptor: bigint, clean: boolean, hierarchy: Hierarchy, need: Need, context: Context): boolean {
  const writable = (!flag(descriptor, AP_READ_ONLY) || clean) && !hierarchy.readOnly;
  const unprivileged = flag(descriptor, AP_UNPRIVILEGED) && !hierarchy.noUnprivileged;
  const ownWritable = writable && (need.privileged || unprivileged);
  if (need.execute) {
    if (context.writeExecuteNever && ownWritable) return false;
    if (!need.privileged) return !flag(descriptor, 54) && !hierarchy.unprivilegedExecuteNever;
    // What unprivileged software can write is never executed with privilege.
    return !flag(descriptor, 53) && !hierarchy.privilegedExecuteNever && !(writable && unprivileged);
  }
  const readable = need.privileged ? !(context.privilegedAccessNever && unprivileged) : unprivileged;
  return readable && (!need.write || ownWritable);
}

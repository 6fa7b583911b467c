/**
 * Page-table formats of a RISC-V unit, compiled when a context first asks for one: first stage in physical or in guest memory, with or
 * without hardware updates (SADE) and supervisor access to user memory (SUM); second stage with or without hardware updates (GADE).
 */
import { compileFormat, type Format } from '../../../pagetable/format.js';
import { riscv } from '../../../pagetable/formats/riscv.js';
import { Capability } from './format.js';
import type { Registers } from './registers.js';

/** Bits that an entry's page number can express; guest addresses are limited by the second stage alone. */
const GUEST_BITS = 56;

/** What makes formats different. */
export const enum Variant {
  Second = 1 << 0,
  Updates = 1 << 1,
  /** First stage: entries hold guest-physical addresses. */
  Guest = 1 << 2,
  UserMemory = 1 << 3,
}

export class Formats {
  readonly compiled: Format[] = [];
  /** Index into `compiled` by Variant bits; -1: not compiled yet. */
  private readonly index = new Int8Array(16).fill(-1);

  constructor(private readonly registers: Registers) {}

  /** Index of the format with these Variant bits. */
  of(variant: number): number {
    if (this.index[variant]! < 0) this.index[variant] = this.compiled.push(this.compile(variant)) - 1;
    return this.index[variant]!;
  }

  private compile(variant: number): Format {
    const { registers } = this;
    return compileFormat(
      riscv({
        hostAddressWidth: (variant & Variant.Guest) !== 0 ? GUEST_BITS : registers.physicalBits,
        secondStage: (variant & Variant.Second) !== 0,
        hardwareUpdates: (variant & Variant.Updates) !== 0,
        napot: true,
        pageTypes: registers.has(Capability.Svpbmt),
        softwareBits: registers.has(Capability.Svrsw60t59b),
        userMemory: (variant & Variant.UserMemory) !== 0,
      }),
    );
  }
}

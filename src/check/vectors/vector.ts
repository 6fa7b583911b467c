/**
 * One translation vector: a memory image, register writes that bring the unit up, accesses, and what becomes of each. This is what
 * the text format OVEC 1 (`text.ts`) holds; generators build it, the simulator and the plain reference walkers answer it.
 * Off every hot path: addresses and words are bigints.
 */
export type Architecture = 'vtd' | 'amdvi' | 'smmuv3' | 'riscv';

/** `r` read, `w` write, `x` execute (instruction fetch), `rw` atomic. */
export type AccessKind = 'r' | 'w' | 'x' | 'rw';

export interface VectorAccess {
  readonly id: number;
  /** Requester id: bus 15:8, device and function 7:0. Stream id or device id of the other architectures. */
  readonly rid: number;
  /** null: no PASID prefix. */
  readonly pasid: number | null;
  /** Input byte address, 64 bits. */
  readonly iova: bigint;
  readonly kind: AccessKind;
  /** Privileged Mode Requested; false when absent. */
  readonly privileged?: boolean;
  /** Bytes; absent: a single access at `iova`. */
  readonly length?: number;
  /**
   * `ats`: an ATS translation request, which says that the device will not write (NW) unless its kind is `w`, and with a PASID asks to execute if it is `x`; `translated`: a request with a translated address.
   * Absent: untranslated.
   */
  readonly at?: 'ats' | 'translated';
}

export type TranslationPermissions = 'r' | 'w' | 'rw' | 'rx' | 'rwx';

/** Status of the completion of a translation request: Successful Completion, Unsupported Request, Completer Abort. */
export type CompletionStatus = 'success' | 'ur' | 'ca';

/** One access to memory of a cold translation, in order. `a`: atomic read-modify-write of an entry. */
export interface MemoryAccess {
  readonly kind: 'r' | 'a' | 'w';
  readonly bytes: number;
  readonly address: bigint;
}

export type Answer = { readonly accesses: readonly MemoryAccess[] } & (
  | {
      readonly ok: true;
      /** Physical byte address. */
      readonly pa: bigint;
      /** Bytes of the page of the translation (of the smaller one of two stages); absent when nothing was translated. */
      readonly size?: bigint;
      /** Of a translation request: R, W and Exe of its completion; Exe (x) only if it was asked for. */
      readonly permissions?: TranslationPermissions;
    }
  | {
      readonly ok: false;
      /** RISC-V cause, VT-d fault reason, SMMUv3 event number, AMD event code. */
      readonly code: number;
      /** Second address of the record, where the architecture has one (SMMU IPA or fetch address, RISC-V iotval2). */
      readonly address2?: bigint;
      /** No record is left. */
      readonly silent?: boolean;
      /** Of a translation request: how it is completed. With `success` R and W are clear, and nobody sees the code. */
      readonly status?: CompletionStatus;
    }
);

export interface RegisterWrite {
  readonly offset: number;
  readonly bytes: 4 | 8;
  readonly value: bigint;
}

export interface Vector {
  readonly architecture: Architecture;
  /** `cfg` lines, in order. */
  readonly config: readonly (readonly [key: string, value: string])[];
  /** Non-zero 64-bit words by byte address (8-aligned). */
  readonly words: ReadonlyMap<bigint, bigint>;
  /** Regions of table memory whose words may all be zero. */
  readonly tables: readonly { readonly address: bigint; readonly bytes: number }[];
  readonly registers: readonly RegisterWrite[];
  readonly accesses: readonly VectorAccess[];
}

/** A source of even random numbers below a bound (2 to 2^31), so that generators do not depend on the kernel's streams. */
export interface Random {
  below(bound: number): number;
}

/** Builds the next vector; `mode` is one of the generator's modes. */
export interface Generator {
  readonly architecture: Architecture;
  /** Names of modes with a sentence each; `common` is the first and is what every emulator can take. */
  readonly modes: Readonly<Record<string, string>>;
  generate(random: Random, mode: string): Vector;
}

/** Answers every access of a vector, caches cold before each one; tables change by accessed and dirty updates in order. */
export interface Responder {
  answer(vector: Vector): Answer[];
}

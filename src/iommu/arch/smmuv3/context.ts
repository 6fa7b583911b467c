/**
 * What a context descriptor says (Arm IHI 0070G 5.4), with the rules that make it ILLEGAL (C_BAD_CD): pseudocode CdIllegal.
 * Not modelled: units whose faults always stall (STALL_MODEL 0b10), faults that read as zero (TERM_MODEL 1), HAFT, UWXN, NSCFG, attributes (MAIR).
 */
import { Exclusion } from '../../../pagetable/exclusion.js';
import type { AddressSpace } from '../../address-space.js';
import type { Features } from './features.js';
import * as format from './format.js';
import { ContextBit } from './format.js';
import { fits, type Formats, type Granule, rootLg2 } from './formats.js';
import { updatesOf } from './stream.js';

/** The largest TxSZ without small translation tables (IDR3.STT = 0). */
const TXSZ_MAX = 39;

/** Bits of AddressSpace.flags. */
export const enum SpaceFlag {
  /** Stage 1 faults leave no record (CD.R = 0), stage 2 faults leave none (STE.S2R = 0). */
  SilentStage1 = 1,
  SilentStage2 = 2,
  /** TBI0, TBI1. */
  IgnoreTopByte0 = 4,
  IgnoreTopByte1 = 8,
  WriteExecuteNever = 16,
  PrivilegedAccessNever = 32,
  /** The CD is invalid or ILLEGAL: every request faults. */
  Illegal = 64,
  /** Leaves of the CD table hold 1024 CDs, not 64. */
  LargeLeaf = 128,
  /** STE.S1STALLD: a CD may not ask for stalls. CD.S: stage 1 faults stall. */
  StallDisabled = 256,
  Stalls = 512,
}

/** Permissions that stage 1 takes away from what a space's tables grant: what unprivileged requests write is never privileged code. */
export function exclusionsOf(flags: number): number {
  return (
    Exclusion.UserWritableCode |
    ((flags & SpaceFlag.WriteExecuteNever) !== 0 ? Exclusion.WritableCode : 0) |
    ((flags & SpaceFlag.PrivilegedAccessNever) !== 0 ? Exclusion.UserData : 0)
  );
}

interface Half {
  readonly format: number;
  readonly levels: number;
  readonly inputLg2: number;
  readonly rootHi: number;
  readonly rootLo: number;
}

/** A half without tables: every address in it faults. */
const DISABLED: Half = { format: 0, levels: 0, inputLg2: 0, rootHi: 0, rootLo: 0 };

/** Sets the stage 1 fields of a space from the dwords of a CD; false if it is invalid or ILLEGAL. */
export function decodeContext(d: Int32Array, features: Features, formats: Formats, space: AddressSpace): boolean {
  const [d0, d1] = [d[0]!, d[1]!];
  if ((d0 & ContextBit.V) === 0 || (d1 & ContextBit.AA64) === 0) return false;
  if ((d1 & ContextBit.A) === 0) return false;
  const stalls = (d1 & ContextBit.S) !== 0;
  if (stalls && (features.stalls === 0 || (space.flags & SpaceFlag.StallDisabled) !== 0)) return false;
  const access = (d1 & ContextBit.HA) !== 0;
  const dirty = (d1 & ContextBit.HD) !== 0;
  if ((access && features.hardwareUpdates === 0) || (dirty && features.hardwareUpdates < 2)) return false;
  const lower = decodeHalf(d, 0, features, formats);
  const upper = decodeHalf(d, 1, features, formats);
  if (lower === null || upper === null) return false;
  if ((d0 & ContextBit.ENDI) !== 0 && (lower !== DISABLED || upper !== DISABLED)) return false;
  space.format = lower.format;
  space.levels = lower.levels;
  space.inputLg2 = lower.inputLg2;
  space.rootHi = lower.rootHi;
  space.rootLo = lower.rootLo;
  space.upperFormat = upper.format;
  space.upperLevels = upper.levels;
  space.upperInputLg2 = upper.inputLg2;
  space.upperRootHi = upper.rootHi;
  space.upperRootLo = upper.rootLo;
  if ((d1 & ContextBit.R) === 0) space.flags |= SpaceFlag.SilentStage1;
  if (stalls) space.flags |= SpaceFlag.Stalls;
  if (format.topByteIgnored(d1, 0)) space.flags |= SpaceFlag.IgnoreTopByte0;
  if (format.topByteIgnored(d1, 1)) space.flags |= SpaceFlag.IgnoreTopByte1;
  if ((d1 & ContextBit.WXN) !== 0) space.flags |= SpaceFlag.WriteExecuteNever;
  if ((d1 & ContextBit.PAN) !== 0) space.flags |= SpaceFlag.PrivilegedAccessNever;
  return true;
}

/** Null: TxSZ, TGx or TTBx is ILLEGAL. They do not matter where walks are disabled. */
function decodeHalf(d: Int32Array, half: 0 | 1, features: Features, formats: Formats): Half | null {
  const [d0, d1] = [d[0]!, d[1]!];
  if (format.walksDisabled(d0, half)) return DISABLED;
  const granuleLg2 = format.contextGranule(d0, half);
  const inputLg2 = format.contextInputLg2(d0, half);
  if (granuleLg2 === 0 || inputLg2 < 64 - TXSZ_MAX) return null;
  if (inputLg2 > (granuleLg2 === 16 && features.wideInput ? 52 : 48)) return null;
  const outputLg2 = Math.min(format.contextOutputLg2(d1), features.outputLg2);
  const [lo, rootHi] = [d[2 + 2 * half]!, format.tableBaseHi(d[3 + 2 * half]!)];
  if (!fits(rootHi, granuleLg2 === 16 ? outputLg2 : Math.min(outputLg2, 48))) return null;
  const ignoreTableAttributes = format.tableAttributesIgnored(lo);
  const hardware = (d1 & ContextBit.HA) !== 0;
  const updates = updatesOf(hardware, (d1 & ContextBit.HD) !== 0, (d1 & ContextBit.AFFD) !== 0);
  const levels = Math.ceil((inputLg2 - granuleLg2) / (granuleLg2 - 3));
  const wanted = { granuleLg2: granuleLg2 as Granule, outputLg2, updates, ignoreTableAttributes };
  return {
    format: formats.indexOf({ stage: 1, ...wanted }, features.outputLg2),
    levels,
    inputLg2,
    rootHi,
    rootLo: lo & -16 & (-1 << rootLg2(granuleLg2, levels, inputLg2, outputLg2)),
  };
}

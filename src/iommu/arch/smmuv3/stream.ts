/**
 * What a stream table entry says (Arm IHI 0070G 5.2), with the rules that make it ILLEGAL (C_BAD_STE): pseudocode SteIllegal.
 * Not modelled: stalls of stage 2 (asking for them is ILLEGAL), S2PTW, split-stage ATS (EATS 0b10), attribute overrides, contiguity
 * of STEs (CONT).
 */
import type { Features } from './features.js';
import * as format from './format.js';
import { ContextFormat, DefaultSubstream, Stage2Bit, StreamConfig, StreamWorld } from './format.js';
import { fits, type Formats, type Granule, rootLg2, type Updates } from './formats.js';

/** The largest TxSZ without small translation tables (IDR3.STT = 0). */
const TXSZ_MAX = 39;

export class Stream {
  legal = false;
  /** Config 0b0xx. */
  aborts = false;
  stage1 = false;
  stage2 = false;
  /** S1ContextPtr, guest-physical when there is a stage 2. */
  contextHi = 0;
  contextLo = 0;
  /** S1CDMax, 0 where there are no substreams. */
  contextsLg2 = 0;
  /** log2 of the CDs in a leaf table; -1: linear. */
  leafLg2 = -1;
  defaultSubstream: DefaultSubstream = DefaultSubstream.Terminate;
  /** StreamWorld EL2 (with CR2.E2H: EL2-E2H) instead of NS-EL1. */
  el2 = false;
  vmid = 0;
  /** Stage 2: index of its format, levels, input size, root; S2R. */
  format = 0;
  levels = 0;
  inputLg2 = 0;
  rootHi = 0;
  rootLo = 0;
  recordsStage2 = true;
  /** EATS, which means nothing for a stream that passes or aborts. */
  ats = false;
  /** S1STALLD. */
  stallDisabled = false;

  constructor(
    private readonly features: Features,
    private readonly formats: Formats,
  ) {}

  /** Decodes the dwords of an STE, STE_DWORDS of them. */
  decode(d: Int32Array): void {
    const { features } = this;
    const config = format.streamConfig(d[0]!);
    this.aborts = config < StreamConfig.Bypass;
    this.stage1 = config === StreamConfig.Stage1 || config === StreamConfig.Nested;
    this.stage2 = config === StreamConfig.Stage2 || config === StreamConfig.Nested;
    this.legal = format.streamValid(d[0]!) && !(this.stage1 && !features.stage1) && !(this.stage2 && !features.stage2);
    this.contextsLg2 = features.substreamBits === 0 ? 0 : format.contextsLg2(d[1]!);
    this.defaultSubstream = format.defaultSubstream(d[2]!);
    this.ats = config > StreamConfig.Bypass && format.streamTranslatesRequests(d[2]!);
    this.el2 = false;
    if (this.stage1) this.legal &&= this.decodeContexts(d);
    this.vmid = features.stage2 && !this.el2 ? format.streamVmid(d[4]!) : 0;
    this.recordsStage2 = true;
    if (this.stage2) this.legal &&= this.decodeStage2(d[5]!, d[6]!, d[7]!);
  }

  private decodeContexts(d: Int32Array): boolean {
    const { features, contextsLg2 } = this;
    const s1Format = format.contextFormat(d[0]!);
    const twoLevel =
      contextsLg2 > 0 && (s1Format === ContextFormat.TwoLevel4K || s1Format === ContextFormat.TwoLevel64K);
    this.leafLg2 = !twoLevel ? -1 : s1Format === ContextFormat.TwoLevel4K ? 6 : 10;
    const tableLg2 = twoLevel
      ? Math.max(6, contextsLg2 - this.leafLg2 + format.POINTER_LG2)
      : contextsLg2 + format.CD_LG2;
    this.contextHi = format.pointerHi(d[1]!);
    this.contextLo = format.alignedLo(d[0]!, tableLg2);
    // StreamWorld counts for stage 1 alone; nested translation is NS-EL1's.
    if (!this.stage2 && features.hypervisor) {
      const world = format.streamWorld(d[2]!);
      if (world !== StreamWorld.NonSecureEL1 && world !== StreamWorld.EL2) return false;
      this.el2 = world === StreamWorld.EL2;
    }
    this.stallDisabled = format.stallDisabled(d[2]!);
    // Only a unit with both models can be told not to stall.
    return (
      !(this.stallDisabled && features.stalls === 0) &&
      contextsLg2 <= features.substreamBits &&
      fits(this.contextHi, features.outputLg2)
    );
  }

  private decodeStage2(control: number, rootLo: number, rootHi: number): boolean {
    const { features, formats } = this;
    const granuleLg2 = format.stage2Granule(control);
    const inputLg2 = format.stage2InputLg2(control);
    if (granuleLg2 === 0 || inputLg2 < 64 - TXSZ_MAX) return false;
    if (inputLg2 > Math.min(granuleLg2 === 16 ? 52 : 48, features.outputLg2)) return false;
    const levels = startLevels(granuleLg2, format.stage2Start(control), features.outputLg2);
    // At least two entries at the start level, at most 16 tables side by side.
    const startBits = inputLg2 - granuleLg2 - (levels - 1) * (granuleLg2 - 3);
    if (levels === 0 || startBits < 1 || startBits > granuleLg2 + 1) return false;
    const outputLg2 = Math.min(format.stage2OutputLg2(control), features.outputLg2);
    const hi = format.tableBaseHi(rootHi);
    if (!fits(hi, granuleLg2 === 16 ? outputLg2 : Math.min(outputLg2, 48))) return false;
    if ((control & Stage2Bit.S2AA64) === 0 || (control & (Stage2Bit.S2ENDI | Stage2Bit.S2S)) !== 0) return false;
    const access = (control & Stage2Bit.S2HA) !== 0;
    const dirty = (control & Stage2Bit.S2HD) !== 0;
    if ((access && features.hardwareUpdates === 0) || (dirty && features.hardwareUpdates < 2)) return false;
    const updates = updatesOf(access, dirty, (control & Stage2Bit.S2AFFD) !== 0);
    const wanted = { granuleLg2: granuleLg2 as Granule, outputLg2, updates, ignoreTableAttributes: true };
    this.format = formats.indexOf({ stage: 2, ...wanted }, features.outputLg2);
    this.levels = levels;
    this.inputLg2 = inputLg2;
    this.rootHi = hi;
    this.rootLo = rootLo & -16 & (-1 << rootLg2(granuleLg2, levels, inputLg2, outputLg2));
    this.recordsStage2 = (control & Stage2Bit.S2R) !== 0;
    return true;
  }
}

/** Table levels by STE.S2SL0; 0 where the value is reserved or needs larger output addresses. */
function startLevels(granuleLg2: number, start: number, outputLg2: number): number {
  if (start === 3) return 0;
  if (start === 2 && outputLg2 < (granuleLg2 === 14 ? 42 : 44)) return 0;
  return granuleLg2 === 12 ? start + 2 : start + 1;
}

/** HA, HD and AFFD together: HD counts only with HA, and AFFD only without. */
export function updatesOf(access: boolean, dirty: boolean, ignoresFlag: boolean): Updates {
  if (access) return dirty ? 'dirty' : 'access';
  return ignoresFlag ? 'ignore' : 'none';
}

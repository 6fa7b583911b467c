/**
 * How a DART translates a stream: TCR and TTBRs are registers, so that no memory is read before the tables (Linux drivers/iommu/
 * apple-dart.c). Faults set the one error register. The context cache stands for the registers: it holds every stream in use, and
 * what it says follows each register write. Translations are tagged as a first stage, whose tags tell the TTBRs apart. Not modelled: the interrupt of an error and the software that reads it.
 */
import type { Event } from '../../../kernel/event.js';
import { compileFormat, type Format } from '../../../pagetable/format.js';
import { dart } from '../../../pagetable/formats/dart.js';
import { Fault } from '../../../pagetable/walk.js';
import { Access } from '../../../protocol/access.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import { Stage } from '../../address-space.js';
import { type Architecture, Found } from '../../architecture.js';
import { ContextCaches, OwnProcess } from '../../contexts.js';
import { FaultCounters } from '../../fault-counters.js';
import type { Miss } from '../../miss.js';
import type { IommuSpec } from '../../spec.js';
import { Cause, ERROR_FLAG, errorCode, ttbrBits } from './format.js';
import type { Streams } from './streams.js';

export class Directory implements Architecture {
  readonly contexts: ContextCaches;
  readonly formats: readonly Format[];
  readonly pageSizes: readonly number[];
  readonly faults = new FaultCounters();
  /** ERROR and ERROR_ADDR. */
  error = 0;
  errorHi = 0;
  errorLo = 0;
  private readonly levels: number;
  private readonly bits: number;

  constructor(
    spec: IommuSpec,
    seed: number,
    name: string,
    private readonly streams: Streams,
  ) {
    const { layout } = streams;
    this.contexts = new ContextCaches(spec, seed, name, 0);
    this.contexts.bypass = false;
    const granuleLg2 = spec.granule === 4096 ? 12 : 14;
    this.levels = spec.levels;
    this.bits = ttbrBits(layout, spec.levels, granuleLg2);
    this.pageSizes = [granuleLg2];
    this.formats = [compileFormat(dart({ type: layout.entries, granuleLg2, inputLimitLg2: this.bits }))];
  }

  start(m: Miss): Found {
    const { streams, contexts } = this;
    const { layout } = streams;
    const stream = m.pasid >= 0 ? -1 : streams.streamOf(m.requester);
    const { space } = m;
    space.did = Math.max(stream, 0);
    space.pasid = 0;
    const tcr = stream < 0 ? 0 : streams.tcr[stream]!;
    const translate = (tcr & layout.tcrTranslate) !== 0;
    if (!translate && (tcr & layout.tcrBypass) === 0) {
      m.fault = errorCode(layout, Cause.NoTtbr);
      return Found.Refused;
    }
    space.stage = translate ? Stage.First : Stage.PassThrough;
    contexts.fillDevice(m.requester, space, OwnProcess.None, false);
    return Found.Located;
  }

  step(m: Miss): Found {
    return this.start(m);
  }

  /** Chooses the TTBR by the top address bits; the walk sees what is below them. */
  admit(m: Miss): number {
    const { space, walk } = m;
    const { bits } = this;
    if (space.stage === Stage.PassThrough) return 0;
    const { layout } = this.streams;
    const inside = m.inputHi >>> 0 < 2 ** (layout.inputLg2 - 32);
    const index = bits < 32 ? m.inputLo >>> bits : 0;
    const table = inside ? this.streams.tableOf(space.did, index) : -1;
    if (table < 0) return errorCode(layout, Cause.NoTtbr);
    space.tableNumber = index;
    space.format = 0;
    space.levels = this.levels;
    space.inputLg2 = bits;
    space.rootHi = Math.floor(table / 2 ** 32);
    space.rootLo = table | 0;
    walk.inputLo = bits < 32 ? m.inputLo & (2 ** bits - 1) : m.inputLo;
    return 0;
  }

  required(flags: number): number {
    const access = (flags & TlpFlag.Write) !== 0 ? Access.Write : Access.Read;
    return access | ((flags & TlpFlag.Atomic) !== 0 ? Access.Read : 0);
  }

  translationFault({ walk }: Miss): number {
    return errorCode(this.streams.layout, causeOf(walk.fault, walk.level));
  }

  accessFault(): number {
    return errorCode(this.streams.layout, Cause.NoTtbr);
  }

  /** The register keeps the first error until software clears it. */
  refused(tlp: Event, _requester: number, m: Miss): void {
    this.faults.count(m.fault);
    if (this.error < 0) {
      this.faults.lost++;
      return;
    }
    this.error = ERROR_FLAG | (m.space.did << this.streams.layout.errorStreamShift) | m.fault;
    this.errorHi = tlp.addressHi;
    this.errorLo = tlp.addressLo;
  }
}

function causeOf(fault: Fault, level: number): Cause {
  if (fault === Fault.WriteDenied) return Cause.Write;
  if (fault === Fault.ReadDenied) return Cause.Read;
  return level === 3 ? Cause.NoPgd : level === 2 ? Cause.NoPmd : Cause.NoPte;
}

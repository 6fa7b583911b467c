/**
 * An IOMMU that knows every translation: requests are answered from the tables as they are at that instant, without caches, reads or
 * invalidations, in no time. The baseline that shows what protection would cost if translation were free.
 */
import type { Event } from '../../../kernel/event.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import { compileFormat, type Format } from '../../../pagetable/format.js';
import { vtdSecondStage } from '../../../pagetable/formats/vtdss.js';
import { runWalk, Step, Walk } from '../../../pagetable/walk.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import { type Architecture, Found, type Hardware } from '../../architecture.js';
import { CommandCounters } from '../../command-counters.js';
import { ContextCaches } from '../../contexts.js';
import { FaultCounters } from '../../fault-counters.js';
import type { Miss } from '../../miss.js';
import type { IommuSpec } from '../../spec.js';
import type { Surroundings } from '../../surroundings.js';
import { IommuUnit } from '../../unit.js';
import { Entry, LEVELS, Register } from './format.js';

/** Fault code of a request that no table translates. */
const REFUSED = 1;

class Oracle implements Architecture {
  readonly contexts: ContextCaches;
  readonly formats: readonly Format[];
  readonly pageSizes = [12, 21, 30] as const;
  readonly faults = new FaultCounters();
  private readonly walk = new Walk();
  /** Root address and Entry bits, high and low word, by requester and PASID + 1. */
  private readonly tables = new Map<number, readonly [hi: number, lo: number]>();

  constructor(
    spec: IommuSpec,
    seed: number,
    name: string,
    private readonly physical: PhysicalMemory,
  ) {
    this.contexts = new ContextCaches(spec, seed, name, 0);
    this.contexts.bypass = false;
    const { hostAddressWidth } = spec;
    const options = { hostAddressWidth, guestAddressWidth: 48, largestPageLg2: 30 };
    this.formats = [
      compileFormat(vtdSecondStage({ ...options, scalable: false, snoopControl: true, accessedDirty: false })),
    ];
  }

  set(requester: number, context: number, hi: number, lo: number): void {
    this.tables.set(requester + context * 65536, [hi, lo]);
  }

  /** Sets the output address of a request, or refuses it. */
  answer(tlp: Event, requester: number, needed: number): boolean {
    const [rootHi, rootLo] = this.tables.get(requester + (tlp.context + 1) * 65536) ?? [0, 0];
    if ((rootLo & Entry.PassThrough) !== 0) {
      tlp.outHi = tlp.addressHi;
      tlp.outLo = tlp.addressLo;
      return true;
    }
    if ((rootLo & Entry.Valid) === 0) return this.refuse();
    const { walk } = this;
    const format = this.formats[0]!;
    walk.inputHi = tlp.addressHi;
    walk.inputLo = tlp.addressLo;
    walk.access = needed;
    if (runWalk(format, walk, this.physical, rootHi, rootLo & ~4095, LEVELS) !== Step.Done) return this.refuse();
    tlp.outHi = walk.outHi;
    tlp.outLo = walk.outLo;
    return true;
  }

  private refuse(): boolean {
    this.faults.count(REFUSED);
    return false;
  }

  start(m: Miss): Found {
    m.fault = REFUSED;
    return Found.Refused;
  }

  step(m: Miss): Found {
    return this.start(m);
  }

  admit(): number {
    return REFUSED;
  }

  required(): number {
    return 0;
  }

  translationFault(): number {
    return REFUSED;
  }

  accessFault(): number {
    return REFUSED;
  }

  refused(): void {
    this.faults.count(REFUSED);
  }
}

class Ideal implements Hardware {
  readonly commands = new CommandCounters(null);
  readonly faults: FaultCounters;
  private requester = 0;
  private context = 0;

  constructor(
    private readonly oracle: Oracle,
    private readonly recycle: (event: Event) => void,
  ) {
    this.faults = oracle.faults;
  }

  registerWrite(event: Event): void {
    if ((event.addressLo as Register) === Register.Select) {
      this.requester = event.outLo;
      this.context = event.outHi;
    } else this.oracle.set(this.requester, this.context, event.outHi, event.outLo);
    this.recycle(event);
  }

  step(): void {}

  connect(): void {}
}

function answerFrom(oracle: Oracle, unit: IommuUnit, tlp: Event): boolean {
  if (!oracle.answer(tlp, unit.requesters[tlp.source]!, unit.neededBy(tlp.flags))) {
    unit.counters.aborted++;
    tlp.flags |= TlpFlag.Aborted;
  }
  unit.ready(tlp);
  return true;
}

export function buildIdeal(
  name: string,
  index: number,
  spec: IommuSpec,
  s: Surroundings,
): { unit: IommuUnit; hardware: Hardware } {
  const oracle = new Oracle(spec, s.seed, name, s.physical);
  const unit = new IommuUnit(index, name, spec, s, oracle);
  unit.first = { takes: (tlp) => answerFrom(oracle, unit, tlp) };
  return { unit, hardware: new Ideal(oracle, s.recycle) };
}

/**
 * A machine around one unit of any architecture, for tests: kernel, memory and the unit that `build` makes; requests are handed over one at a
 * time and collected when they leave for memory. Register writes take effect at once.
 */
import { Event } from '../../kernel/event.js';
import { Kernel } from '../../kernel/kernel.js';
import { FrameAllocator } from '../../memory/frames.js';
import { PhysicalMemory } from '../../memory/physical.js';
import { MemorySystem } from '../../memory/system.js';
import { Op } from '../../protocol/op.js';
import { Cause, CAUSES, TlpFlag } from '../../protocol/tlp.js';
import { LatencyLedger } from '../../stats/latency-ledger.js';
import type { Hardware } from '../architecture.js';
import type { IommuSpec } from '../spec.js';
import type { HostSurroundings } from '../surroundings.js';
import type { IommuUnit } from '../unit.js';
import { MEMORY } from './spec.js';
import { unitEvent, unowned } from './unit-events.js';

const SLOTS = 512;

export interface BareRequest {
  /** Input address; `hi` replaces its upper half, for addresses that doubles do not hold. */
  readonly address: number;
  readonly hi?: number;
  readonly write?: boolean;
  /** Requester id. */
  readonly requester: number;
  readonly pasid?: number;
}

export interface BareDeparture {
  readonly id: number;
  /** When it left for memory, ps. */
  readonly at: number;
  readonly output: number;
  readonly aborted: boolean;
}

export type BuildUnit<H extends Hardware> = (
  name: string,
  index: number,
  spec: IommuSpec,
  surroundings: HostSurroundings,
) => { unit: IommuUnit; hardware: H };

export class BareRig<H extends Hardware> {
  readonly kernel = new Kernel(Op.Relay);
  readonly physical = new PhysicalMemory();
  readonly memory = new MemorySystem(MEMORY, this.kernel.clock);
  readonly frames: FrameAllocator;
  readonly ledger = new LatencyLedger(SLOTS, CAUSES);
  readonly unit: IommuUnit;
  readonly hardware: H;
  readonly departures: BareDeparture[] = [];
  /** Changes of status registers and stores that software may poll for, as they happen. */
  readonly seen: { what: string; at: number }[] = [];
  /** Time memory takes for a forwarded request, ps. */
  servicePs = 0;
  private readonly requesters: Int32Array;
  private readonly actions: (() => void)[] = [];
  private sent = 0;

  constructor(build: BuildUnit<H>, spec: IommuSpec, requesters: readonly number[]) {
    const { kernel, memory, physical, ledger } = this;
    this.requesters = Int32Array.from(requesters);
    this.frames = new FrameAllocator(memory.baseOf(0), memory.sizeOf(0));
    const frames = [this.frames];
    const recycle = (): void => {};
    const { unit, hardware } = build('rig', 0, spec, { kernel, memory, physical, ledger, seed: 1, recycle, frames });
    this.unit = unit;
    this.hardware = hardware;
    const forwarder = { forward: (tlp: Event) => this.forward(tlp) };
    unit.connect(
      requesters.map(() => forwarder),
      this.requesters,
      null,
    );
    hardware.connect({
      stored: (hi, lo) => this.seen.push({ what: `stored ${hex(hi, lo)}`, at: this.now }),
      changed: (_, offset, hi, lo) => this.seen.push({ what: `${offset.toString(16)} ${hex(hi, lo)}`, at: this.now }),
    });
  }

  get now(): number {
    return this.kernel.clock[0]!;
  }

  write(offset: number, hi: number, lo: number): void {
    const event = new Event();
    event.addressLo = offset;
    event.outHi = hi;
    event.outLo = lo;
    this.hardware.registerWrite(event);
  }

  send({ address, hi, write = false, requester, pasid = -1 }: BareRequest): number {
    const id = this.sent++;
    const tlp = new Event();
    tlp.id = id;
    tlp.source = this.requesters.indexOf(requester);
    tlp.flags = write ? TlpFlag.Write : 0;
    tlp.bytes = 64;
    tlp.addressHi = hi ?? Math.floor(address / 2 ** 32);
    tlp.addressLo = (address % 2 ** 32) | 0;
    tlp.context = pasid;
    this.ledger.start(id, this.now);
    this.unit.arrive(tlp);
    return id;
  }

  /** Sends one request and runs until nothing is left to do. */
  translate(request: BareRequest): BareDeparture {
    const id = this.send(request);
    this.run();
    return this.departures.find((d) => d.id === id)!;
  }

  /** Output of a request that must be translated. */
  output(request: BareRequest): number {
    const { aborted, output } = this.translate(request);
    return aborted ? -1 : output;
  }

  after(delayPs: number, action: () => void): void {
    const event = new Event();
    event.id = this.actions.push(action) - 1;
    this.kernel.after(delayPs, event, Op.Timer);
  }

  /** Directory and table reads so far. */
  get reads(): readonly [directory: number, table: number] {
    const { directoryReads, tableReads } = this.unit.counters;
    return [directoryReads, tableReads];
  }

  run(): void {
    for (let event = this.kernel.next(); event !== null; event = this.kernel.next()) this.dispatch(event);
  }

  private dispatch(event: Event): void {
    if (event.op === Op.Timer) this.actions[event.id]!();
    else if (!unitEvent(this.unit, this.hardware, event)) unowned(event);
  }

  private forward(tlp: Event): void {
    const output = (tlp.outHi >>> 0) * 2 ** 32 + (tlp.outLo >>> 0);
    this.departures.push({ id: tlp.id, at: this.now, output, aborted: (tlp.flags & TlpFlag.Aborted) !== 0 });
    this.ledger.charge(tlp.id, Cause.Order, this.now);
    this.ledger.finish(tlp.id, this.now);
    this.kernel.after(this.servicePs, tlp, Op.MemoryServed);
  }
}

function hex(hi: number, lo: number): string {
  return ((hi >>> 0) * 2 ** 32 + (lo >>> 0)).toString(16);
}

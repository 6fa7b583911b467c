/**
 * Hardware side of queued invalidation (VT-d specification 6.5.2): fetches descriptors from the ring in memory, a cache line at a
 * time, executes them in order, each with its own time, waits for requests that still use old translations where draining is
 * asked for, and writes the status word of wait descriptors. A malformed descriptor stops the queue (FSTS.IQE).
 * Not modelled: completion by interrupt, device-TLB invalidations (there is no ATS yet: they complete at once).
 */
import { Event } from '../../../kernel/event.js';
import type { Kernel } from '../../../kernel/kernel.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { MemorySystem } from '../../../memory/system.js';
import { Op } from '../../../protocol/op.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { InvalidationSpec } from '../../spec.js';
import type { IommuUnit } from '../../unit.js';
import type { Directory } from './directory.js';
import { decodeDescriptor, Descriptor, DescriptorType, Granularity, WaitFlag } from './format.js';
import {
  invalidateDomain,
  invalidateGlobal,
  invalidatePages,
  invalidatePasid,
  invalidatePasidPages,
  type PageRange,
} from './invalidation.js';
import type { Registers } from './registers.js';

const enum State {
  Idle,
  /** The doorbell has been heard. */
  Start,
  Fetch,
  Execute,
  Drain,
  Status,
}

const LINE = 64;

export class InvalidationQueue {
  private state: State = State.Idle;
  private readonly event = new Event();
  private readonly descriptor = new Descriptor();
  private readonly line = new Int32Array(LINE / 4);
  /** Descriptors of the ring that `line` holds: [bufferFirst, bufferEnd). */
  private bufferFirst = 0;
  private bufferEnd = 0;
  private readonly dwords = new Int32Array(8);

  /** Commands executed since the window began, by descriptor type, and of IOTLB commands by granularity. */
  readonly executed: Int32Array = new Int32Array(16);
  readonly iotlbByGranularity: Int32Array = new Int32Array(4);
  drains = 0;
  /** [0] start of the present busy period or -1, [1] busy time of the window, [2] drain time, [3] drain start. ps */
  private readonly clocks = Float64Array.of(-1, 0, 0, 0);
  private watch: StoreWatch | null = null;

  constructor(
    private readonly kernel: Kernel,
    private readonly unit: IommuUnit,
    private readonly spec: InvalidationSpec,
    private readonly registers: Registers,
    private readonly directory: Directory,
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
  ) {
    this.event.unit = unit.index;
    unit.onDrained = () => this.drained();
  }

  /** Who polls for status words. */
  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  /** IQT_REG has been written. */
  doorbell(): void {
    if (this.state !== State.Idle || this.registers.queueError || this.registers.head === this.registers.tail) return;
    this.clocks[0] = this.kernel.clock[0]!;
    this.state = State.Start;
    this.kernel.after(this.spec.start, this.event, Op.InvalidationStep);
  }

  /** Op.InvalidationStep. */
  step(): void {
    switch (this.state) {
      case State.Start:
        this.fetch();
        break;
      case State.Fetch:
        this.loadLine();
        this.decode();
        break;
      case State.Execute:
        this.execute();
        break;
      case State.Status:
        this.storeStatus();
        this.advance();
        break;
      default:
        break;
    }
  }

  private fetch(): void {
    const { head, tail, queueHi, queueLo, wide } = this.registers;
    if (head === tail) {
      this.idle();
      return;
    }
    if (head >= this.bufferFirst && head < this.bufferEnd) {
      this.decode();
      return;
    }
    const offset = head * (wide ? 32 : 16);
    this.state = State.Fetch;
    const delay = this.memory.walkerRead(this.socket, queueHi, (queueLo + offset) | 0, true);
    this.kernel.after(delay, this.event, Op.InvalidationStep);
  }

  private idle(): void {
    this.state = State.Idle;
    this.clocks[1]! += this.kernel.clock[0]! - this.clocks[0]!;
    this.clocks[0] = -1;
    this.bufferFirst = 0;
    this.bufferEnd = 0;
  }

  /** The line with the descriptor at the head has arrived; it is good for what software had queued by now. */
  private loadLine(): void {
    const { head, tail, queueHi, queueLo, wide, queueLg2 } = this.registers;
    const bytes = wide ? 32 : 16;
    const perLine = LINE / bytes;
    this.bufferFirst = head - (head % perLine);
    const end = this.bufferFirst + perLine;
    this.bufferEnd = tail > head ? Math.min(tail, end) : Math.min(2 ** queueLg2, end);
    const lo = queueLo + this.bufferFirst * bytes;
    for (let i = 0; i < LINE; i += 8) {
      this.physical.read(queueHi, (lo + i) | 0);
      this.line[i / 4] = this.physical.wordLo;
      this.line[i / 4 + 1] = this.physical.wordHi;
    }
  }

  private decode(): void {
    const { head, wide } = this.registers;
    const size = wide ? 8 : 4;
    const at = (head - this.bufferFirst) * size;
    for (let i = 0; i < size; i++) this.dwords[i] = this.line[at + i]!;
    if (!decodeDescriptor(this.dwords, wide, this.spec.maxAddressMask, this.descriptor)) {
      this.registers.queueError = true;
      this.idle();
      return;
    }
    this.state = State.Execute;
    this.kernel.after(this.timeOf(this.descriptor), this.event, Op.InvalidationStep);
  }

  private timeOf(d: Descriptor): number {
    const { spec } = this;
    switch (d.type) {
      case DescriptorType.ContextCache:
        return spec.context;
      case DescriptorType.PasidCache:
        return spec.pasid;
      case DescriptorType.Iotlb:
        if (d.granularity === Granularity.Global) return spec.iotlbGlobal;
        return d.granularity === Granularity.Domain ? spec.iotlbDomain : spec.iotlbPage;
      case DescriptorType.PasidIotlb:
        return d.granularity === Granularity.Domain ? spec.iotlbDomain : spec.iotlbPage;
      case DescriptorType.Wait:
        return spec.wait;
      default:
        return 0;
    }
  }

  private execute(): void {
    const d = this.descriptor;
    this.executed[d.type]!++;
    switch (d.type) {
      case DescriptorType.ContextCache:
        this.directory.invalidateContext(d.granularity, d.domain, d.source, d.functionMask);
        this.unit.overtake(-1, null);
        break;
      case DescriptorType.PasidCache:
        this.directory.invalidatePasid(d.granularity, d.domain, d.pasid);
        this.unit.overtake(-1, null);
        break;
      case DescriptorType.Iotlb:
      case DescriptorType.PasidIotlb:
        this.iotlb(d);
        return;
      case DescriptorType.Wait:
        if ((d.flags & WaitFlag.StatusWrite) !== 0) {
          this.state = State.Status;
          const delay = this.memory.hardwareWrite(this.socket, d.addressHi, d.addressLo, 4);
          this.kernel.after(delay, this.event, Op.InvalidationStep);
          return;
        }
        break;
      default:
        break;
    }
    this.advance();
  }

  private iotlb(d: Descriptor): void {
    const t = this.unit.translations;
    const range: PageRange = { hi: d.addressHi, lo: d.addressLo, addressMask: d.addressMask };
    const hint = d.hint === 1;
    this.iotlbByGranularity[d.granularity]!++;
    if (d.type === DescriptorType.PasidIotlb) {
      if (d.granularity === Granularity.Domain) invalidatePasid(t, d.domain, d.pasid);
      else invalidatePasidPages(t, d.domain, d.pasid, range, hint, this.spec);
    } else if (d.granularity === Granularity.Global) invalidateGlobal(t);
    else if (d.granularity === Granularity.Domain) invalidateDomain(t, d.domain);
    else invalidatePages(t, d.domain, range, hint, this.spec);
    const pages = d.granularity === Granularity.Selective && hint && this.spec.hintHonoured;
    this.unit.overtake(d.granularity === Granularity.Global ? -1 : d.domain, pages ? range : null);
    // PASID-based commands have no drain bits: hardware that has them always drains.
    const drain = d.type === DescriptorType.PasidIotlb || d.drainReads === 1 || d.drainWrites === 1;
    if (drain && this.spec.drain && this.unit.beginDrain() > 0) {
      this.drains++;
      this.state = State.Drain;
      this.clocks[3] = this.kernel.clock[0]!;
    } else this.advance();
  }

  private drained(): void {
    if (this.state !== State.Drain) return;
    this.clocks[2]! += this.kernel.clock[0]! - this.clocks[3]!;
    this.advance();
  }

  private storeStatus(): void {
    const { addressHi, addressLo, statusData } = this.descriptor;
    const { physical } = this;
    const aligned = addressLo & ~7;
    physical.read(addressHi, aligned);
    if ((addressLo & 4) === 0) physical.write(addressHi, aligned, physical.wordHi, statusData);
    else physical.write(addressHi, aligned, statusData, physical.wordLo);
    this.watch?.stored(addressHi, addressLo);
  }

  /** The descriptor at the head is complete. */
  private advance(): void {
    this.registers.head = (this.registers.head + 1) & (2 ** this.registers.queueLg2 - 1);
    if (this.registers.head === 0) this.bufferEnd = 0;
    this.fetch();
  }

  /** Share of the window in which the queue was not empty or idle. */
  busyPs(now: number): number {
    return this.clocks[1]! + (this.clocks[0]! < 0 ? 0 : now - this.clocks[0]!);
  }

  drainPs(): number {
    return this.clocks[2]!;
  }

  resetCounters(now: number): void {
    this.executed.fill(0);
    this.iotlbByGranularity.fill(0);
    this.drains = 0;
    this.clocks[1] = 0;
    this.clocks[2] = 0;
    if (this.clocks[0]! >= 0) this.clocks[0] = now;
  }
}

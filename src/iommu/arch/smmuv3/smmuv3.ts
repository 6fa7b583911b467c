/**
 * An SMMUv3 unit as software sees it: its registers, and the parts behind them (Arm IHI 0070G chapter 6). Register writes take effect
 * when they arrive. A command error stops the queue until software has acknowledged it in GERRORN.
 * Not modelled: reads of registers, interrupts but that of the event queue, GBPA attributes, the Secure and Realm register pages.
 */
import type { Event } from '../../../kernel/event.js';
import type { DeviceWait } from '../../../protocol/ats.js';
import type { StallLog } from '../../../protocol/stall.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { Hardware } from '../../architecture.js';
import type { CommandCounters } from '../../command-counters.js';
import type { CommandQueue } from '../../command-queue.js';
import type { FaultCounters } from '../../fault-counters.js';
import type { PageRequestQueue } from '../../page-request-queue.js';
import type { StallCounters } from '../../stall-counters.js';
import type { Commands } from './commands.js';
import type { Directory } from './directory.js';
import * as format from './format.js';
import {
  CommandError,
  Control0Bit,
  Control2Bit,
  GlobalBypassBit,
  GlobalErrorBit,
  InterruptBit,
  PAGE_1,
  Register,
} from './format.js';
import type { PageRequests } from './page-requests.js';
import type { Registers } from './registers.js';

export class Smmuv3 implements Hardware {
  readonly faults: FaultCounters;
  readonly stalls: StallCounters;
  readonly stallLog: StallLog;
  readonly pages: PageRequestQueue;
  /** Low dword of STRTAB_BASE as written. */
  private streamBase = 0;

  constructor(
    readonly registers: Registers,
    readonly directory: Directory,
    readonly queue: CommandQueue,
    readonly commands: CommandCounters,
    private readonly executed: Commands,
    private readonly pageRequests: PageRequests,
    private readonly recycle: (event: Event) => void,
    queues: number,
  ) {
    this.faults = directory.events.counters;
    this.stalls = directory.stalls.counters;
    this.stallLog = directory.stalls;
    this.pages = pageRequests.queue;
    for (let i = 1; i < queues; i++) queue.addRing();
    for (const ring of queue.rings) {
      ring.bytesLg2 = format.COMMAND_LG2;
      ring.wraps = true;
    }
  }

  get deviceWait(): DeviceWait {
    return this.queue;
  }

  connect(watch: StoreWatch): void {
    this.queue.connect(watch);
    this.executed.connect(watch);
    this.directory.events.connect(watch);
    this.pageRequests.connect(watch);
  }

  recorded(event: Event): void {
    this.directory.events.recorded(event);
  }

  step(): void {
    this.queue.step();
  }

  registerWrite(event: Event): void {
    this.queue.begin();
    this.write(event.addressLo, event.outHi, event.outLo);
    this.recycle(event);
    this.queue.end();
  }

  /** A write of `hi:lo` to the register at `offset`; registers that are not modelled ignore it. */
  write(offset: number, hi: number, lo: number): void {
    const { registers: r, queue } = this;
    const further = format.queueRegister(offset);
    const ring = queue.rings[further?.queue ?? 0];
    if (ring === undefined) return;
    const { events } = this.directory;
    switch (further?.register ?? ((offset >= PAGE_1 ? offset - PAGE_1 : offset) as Register)) {
      case Register.Control0:
        this.control(lo);
        break;
      case Register.Control2:
        r.recordsInvalidStreams = (lo & Control2Bit.RECINVSID) !== 0;
        break;
      case Register.GlobalBypass:
        if ((lo & GlobalBypassBit.UPDATE) !== 0) r.abortsAll = (lo & GlobalBypassBit.ABORT) !== 0;
        this.applyBypass();
        break;
      case Register.InterruptControl:
        events.enableInterrupts((lo & InterruptBit.EVENTQ) !== 0);
        this.pageRequests.interrupts = (lo & InterruptBit.PRIQ) !== 0;
        break;
      case Register.GlobalErrorAcknowledge:
        this.acknowledge(lo);
        break;
      case Register.StreamTableBase:
        r.streamHi = format.queueBaseHi(hi);
        this.streamBase = lo;
        this.alignStreamTable();
        break;
      case Register.StreamTableConfig:
        r.streamsLg2 = format.streamTableSizeLg2(lo);
        r.split = format.streamTableSplit(lo);
        this.alignStreamTable();
        break;
      case Register.CommandQueueBase:
        ring.hi = format.queueBaseHi(hi);
        ring.lo = format.queueBaseLo(lo);
        ring.entriesLg2 = format.queueSizeLg2(lo);
        break;
      case Register.CommandQueueProducer:
        ring.tail = ring.distance(0, lo);
        queue.doorbell();
        break;
      case Register.CommandQueueConsumer:
        ring.head = ring.distance(0, lo);
        break;
      case Register.PageRequestQueueBase:
        this.pageRequests.setUp(hi, lo);
        break;
      case Register.PageRequestQueueConsumer:
        this.pageRequests.consumed(lo);
        break;
      case Register.EventQueueBase:
        events.hi = format.queueBaseHi(hi);
        events.lo = format.queueBaseLo(lo);
        events.entriesLg2 = format.queueSizeLg2(lo);
        break;
      case Register.EventQueueProducer:
        events.producer = lo;
        break;
      case Register.EventQueueConsumer:
        events.consumer = lo;
        events.flush();
        break;
      default:
        break;
    }
  }

  /** The stream table is aligned to its size: lower bits of its address do not count. */
  private alignStreamTable(): void {
    const r = this.registers;
    const lg2 =
      r.split === 0 ? r.streamsLg2 + format.STE_LG2 : Math.max(6, r.streamsLg2 - r.split + format.POINTER_LG2);
    r.streamLo = format.alignedLo(this.streamBase, lg2);
  }

  private control(bits: number): void {
    const { registers: r, queue } = this;
    r.enabled = (bits & Control0Bit.SMMUEN) !== 0;
    const { events } = this.directory;
    events.enabled = (bits & Control0Bit.EVTQEN) !== 0;
    this.pageRequests.enabled = (bits & Control0Bit.PRIQEN) !== 0;
    events.flush();
    for (const ring of queue.rings) ring.enabled = (bits & Control0Bit.CMDQEN) !== 0;
    this.applyBypass();
    queue.doorbell();
  }

  /** While the unit is off requests pass, unless GBPA aborts them. */
  private applyBypass(): void {
    const { enabled, abortsAll } = this.registers;
    this.directory.contexts.bypass = !enabled && !abortsAll;
  }

  /** SMMU_GERRORN: errors whose bits agree with SMMU_GERROR are over. */
  private acknowledge(bits: number): void {
    const { registers: r, queue } = this;
    r.globalErrorAcknowledged = bits;
    if (((r.globalError ^ bits) & GlobalErrorBit.CMDQ) !== 0) return;
    r.commandError = CommandError.None;
    for (const ring of queue.rings) ring.stopped = false;
    queue.doorbell();
  }
}

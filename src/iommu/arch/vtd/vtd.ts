/**
 * A VT-d unit as software sees it: its registers, and the parts behind them. Register writes take effect when they arrive.
 * SRTP is followed by explicit invalidations of the caches by software, as CAP.ESRTPS = 0 demands.
 */
import type { Event } from '../../../kernel/event.js';
import type { DeviceWait } from '../../../protocol/ats.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { Hardware } from '../../architecture.js';
import type { CommandCounters } from '../../command-counters.js';
import type { CommandQueue } from '../../command-queue.js';
import type { FaultCounters } from '../../fault-counters.js';
import type { Directory } from './directory.js';
import type { FaultLog } from './fault-log.js';
import {
  descriptorBytes,
  FaultStatusBit,
  GlobalBit,
  pointerLo,
  queueBytes,
  queueIsWide,
  queueOffset,
  Register,
  TableMode,
  tableMode,
} from './format.js';
import type { PageRequests } from './page-requests.js';
import type { PageRequestQueue } from '../../page-request-queue.js';
import type { Registers } from './registers.js';

export class Vtd implements Hardware {
  readonly faults: FaultCounters;
  readonly pages: PageRequestQueue;
  private pendingRootHi = 0;
  private pendingRootLo = 0;
  private watch: StoreWatch | null = null;

  constructor(
    readonly registers: Registers,
    readonly directory: Directory,
    readonly queue: CommandQueue,
    readonly commands: CommandCounters,
    readonly log: FaultLog,
    private readonly pageRequests: PageRequests,
    private readonly recycle: (event: Event) => void,
  ) {
    this.faults = log.counters;
    this.pages = pageRequests.queue;
  }

  get deviceWait(): DeviceWait {
    return this.queue;
  }

  connect(watch: StoreWatch): void {
    this.watch = watch;
    this.queue.connect(watch);
    this.pageRequests.connect(watch);
  }

  /**
   * Invalidation Time-out Error (6.5.2.11): a wait descriptor that the device holds up (`waiting`) is dropped without its status write, and nothing
   * more is executed until software has cleared the error. Without anybody who waits the error goes unnoticed.
   */
  deviceTimedOut(unit: number, waiting: boolean): void {
    if (this.queue.holding === null) return;
    this.queue.abandon(waiting);
    this.watch?.changed?.(unit, Register.FaultStatus, waiting ? 1 : 0, FaultStatusBit.InvalidationTimeout);
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
    const { ring } = this.queue;
    switch (offset as Register) {
      case Register.RootTableAddress:
        this.pendingRootHi = hi;
        this.pendingRootLo = lo;
        break;
      case Register.GlobalCommand:
        this.globalCommand(lo);
        break;
      case Register.InvalidationQueueAddress:
        this.registers.wide = queueIsWide(lo);
        ring.hi = hi;
        ring.lo = pointerLo(lo);
        ring.bytesLg2 = this.registers.wide ? 5 : 4;
        ring.entriesLg2 = 0;
        while (descriptorBytes(lo) * 2 ** ring.entriesLg2 < queueBytes(lo)) ring.entriesLg2++;
        ring.head = 0;
        break;
      case Register.FaultStatus:
        if ((lo & FaultStatusBit.InvalidationTimeout) === 0 || !ring.stopped) break;
        ring.stopped = false;
        this.queue.doorbell();
        break;
      case Register.InvalidationQueueTail:
        ring.tail = queueOffset(lo) >>> ring.bytesLg2;
        this.queue.doorbell();
        break;
      default:
        this.pageRequests.write(offset, hi, lo);
    }
  }

  private globalCommand(command: number): void {
    const r = this.registers;
    if ((command & GlobalBit.SetRootTablePointer) !== 0) {
      r.rootHi = this.pendingRootHi;
      r.rootLo = pointerLo(this.pendingRootLo);
      const mode = tableMode(this.pendingRootLo);
      r.scalable = mode === TableMode.Scalable;
      r.modeInvalid = mode > TableMode.Scalable;
    }
    this.directory.contexts.bypass = (command & GlobalBit.TranslationEnable) === 0;
    this.queue.ring.enabled = (command & GlobalBit.QueuedInvalidationEnable) !== 0;
    this.queue.doorbell();
  }
}

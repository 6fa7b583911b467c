/**
 * A VT-d unit as software sees it: its registers, and the parts behind them. Register writes take effect when they arrive.
 * SRTP is followed by explicit invalidations of the caches by software, as CAP.ESRTPS = 0 demands.
 */
import type { Event } from '../../../kernel/event.js';
import type { Directory } from './directory.js';
import type { FaultLog } from './fault-log.js';
import {
  descriptorBytes,
  GlobalBit,
  pointerLo,
  queueBytes,
  queueIsWide,
  queueOffset,
  Register,
  TableMode,
  tableMode,
} from './format.js';
import type { InvalidationQueue } from './invalidation-queue.js';
import type { Registers } from './registers.js';

export class Vtd {
  private pendingRootHi = 0;
  private pendingRootLo = 0;

  constructor(
    readonly registers: Registers,
    readonly directory: Directory,
    readonly queue: InvalidationQueue,
    readonly faults: FaultLog,
    private readonly recycle: (event: Event) => void,
  ) {}

  /** Op.MmioWrite. */
  registerWrite(event: Event): void {
    this.write(event.addressLo, event.outHi, event.outLo);
    this.recycle(event);
  }

  /** A write of `hi:lo` to the register at `offset`; registers that are not modelled ignore it. */
  write(offset: number, hi: number, lo: number): void {
    const r = this.registers;
    switch (offset as Register) {
      case Register.RootTableAddress:
        this.pendingRootHi = hi;
        this.pendingRootLo = lo;
        break;
      case Register.GlobalCommand:
        this.globalCommand(lo);
        break;
      case Register.InvalidationQueueAddress: {
        r.queueHi = hi;
        r.queueLo = pointerLo(lo);
        r.wide = queueIsWide(lo);
        let lg2 = 0;
        while (descriptorBytes(lo) * 2 ** lg2 < queueBytes(lo)) lg2++;
        r.queueLg2 = lg2;
        r.head = 0;
        break;
      }
      case Register.InvalidationQueueTail:
        r.tail = queueOffset(lo) / (r.wide ? 32 : 16);
        if (r.queuedInvalidation) this.queue.doorbell();
        break;
      default:
        break;
    }
  }

  private globalCommand(command: number): void {
    const r = this.registers;
    if ((command & GlobalBit.SetRootTablePointer) !== 0) {
      r.rootHi = this.pendingRootHi;
      r.rootLo = pointerLo(this.pendingRootLo);
      r.scalable = tableMode(this.pendingRootLo) === TableMode.Scalable;
    }
    r.translation = (command & GlobalBit.TranslationEnable) !== 0;
    r.queuedInvalidation = (command & GlobalBit.QueuedInvalidationEnable) !== 0;
    if (r.queuedInvalidation) this.queue.doorbell();
  }
}

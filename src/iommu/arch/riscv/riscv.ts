/**
 * A RISC-V IOMMU as software sees it: its registers (RISC-V IOMMU specification, "Memory-mapped register interface") and the parts behind
 * them. Register writes take effect when they arrive: busy bits are never seen. Not modelled: reads of registers,
 * interrupts but that of the page-request queue, performance counters, the translation-request interface.
 */
import type { Event } from '../../../kernel/event.js';
import type { DeviceWait } from '../../../protocol/ats.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { Hardware } from '../../architecture.js';
import type { CommandCounters } from '../../command-counters.js';
import type { CommandQueue } from '../../command-queue.js';
import type { FaultCounters } from '../../fault-counters.js';
import type { Commands } from './commands.js';
import type { Directory } from './directory.js';
import type { FaultQueue } from './fault-queue.js';
import { DirectoryMode, pointerHi, pointerLo, QueueControl, queueEntriesLg2, Register } from './format.js';
import type { PageRequests } from './page-requests.js';
import type { PageRequestQueue } from '../../page-request-queue.js';
import type { Registers } from './registers.js';

/** fctl.WSI. */
const WIRED = 2;

export class Riscv implements Hardware {
  readonly faults: FaultCounters;
  readonly pages: PageRequestQueue;

  constructor(
    readonly registers: Registers,
    readonly directory: Directory,
    readonly queue: CommandQueue,
    private readonly executed: Commands,
    readonly commands: CommandCounters,
    readonly faultQueue: FaultQueue,
    private readonly pageRequests: PageRequests,
    private readonly recycle: (event: Event) => void,
  ) {
    this.faults = faultQueue.counters;
    this.pages = pageRequests.queue;
  }

  get deviceWait(): DeviceWait {
    return this.queue;
  }

  connect(watch: StoreWatch): void {
    this.queue.connect(watch);
    this.executed.connect(this.queue.ring, watch);
    this.pageRequests.connect(watch);
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

  /** cqcsr: errors that stop the queue. */
  get illegalCommand(): boolean {
    return this.executed.illegal;
  }

  /** A write of `hi:lo` to the register at `offset`; registers that are not modelled ignore it. */
  write(offset: number, hi: number, lo: number): void {
    const { registers, queue, faultQueue } = this;
    const { ring } = queue;
    switch (offset as Register) {
      case Register.FeaturesControl:
        registers.wired = (lo & WIRED) !== 0;
        break;
      case Register.DirectoryPointer:
        registers.writeDirectoryPointer(hi, lo);
        this.directory.contexts.dropAll();
        this.directory.contexts.bypass = registers.mode === DirectoryMode.Bare;
        break;
      case Register.CommandQueueBase:
        ring.hi = pointerHi(hi, lo);
        ring.lo = pointerLo(lo);
        ring.entriesLg2 = queueEntriesLg2(lo);
        ring.head = 0;
        break;
      case Register.CommandQueueTail:
        ring.tail = lo;
        queue.doorbell();
        break;
      case Register.CommandQueueControl:
        this.commandQueueControl(lo);
        break;
      case Register.FaultQueueBase:
        faultQueue.setBase(hi, lo);
        break;
      case Register.FaultQueueHead:
        faultQueue.head = lo;
        break;
      case Register.FaultQueueControl:
        faultQueue.enabled = (lo & QueueControl.Enable) !== 0;
        if ((lo & QueueControl.Overflow) !== 0) faultQueue.overflow = false;
        break;
      default:
        this.pageRequests.write(offset, hi, lo);
    }
  }

  /** Writing cmd_ill or cmd_to clears it, and the command at the head is tried again. */
  private commandQueueControl(lo: number): void {
    const { ring } = this.queue;
    ring.enabled = (lo & QueueControl.Enable) !== 0;
    if ((lo & QueueControl.IllegalCommand) !== 0) {
      this.executed.illegal = false;
      ring.stopped = this.executed.timedOut;
    }
    if ((lo & QueueControl.CommandTimeout) !== 0) {
      this.executed.timedOut = false;
      ring.stopped = this.executed.illegal;
    }
    this.queue.doorbell();
  }
}

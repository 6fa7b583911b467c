/** An AMD-Vi unit as software sees it: its registers (specification 3.4), and the parts behind them. Register writes take effect when they arrive. */
import type { Event } from '../../../kernel/event.js';
import type { DeviceWait } from '../../../protocol/ats.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { Hardware } from '../../architecture.js';
import type { CommandCounters } from '../../command-counters.js';
import type { CommandQueue } from '../../command-queue.js';
import type { FaultCounters } from '../../fault-counters.js';
import type { Directory } from './directory.js';
import type { EventLog } from './event-log.js';
import {
  ControlBit,
  ControlHighBit,
  deviceTableBytes,
  pointerHi,
  pointerLo,
  Register,
  ringEntriesLg2,
  ringIndex,
  StatusBit,
} from './format.js';
import type { PageRequests } from './page-requests.js';
import type { PageRequestQueue } from '../../page-request-queue.js';
import type { Registers } from './registers.js';

export class Amdvi implements Hardware {
  readonly faults: FaultCounters;
  readonly pages: PageRequestQueue;

  constructor(
    readonly registers: Registers,
    readonly directory: Directory,
    readonly queue: CommandQueue,
    readonly commands: CommandCounters,
    readonly log: EventLog,
    private readonly pageRequests: PageRequests,
    private readonly recycle: (event: Event) => void,
  ) {
    this.faults = log.counters;
    this.pages = pageRequests.queue;
  }

  /** The status register. */
  get status(): number {
    const { ring } = this.queue;
    return (
      this.log.status | this.pageRequests.status | (ring.enabled && !ring.stopped ? StatusBit.CommandBufferRunning : 0)
    );
  }

  get deviceWait(): DeviceWait {
    return this.queue;
  }

  connect(watch: StoreWatch): void {
    this.queue.connect(watch);
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

  /** A write of `hi:lo` to the register at `offset`; registers that are not modelled ignore it. */
  write(offset: number, hi: number, lo: number): void {
    const { registers, log } = this;
    const { ring } = this.queue;
    switch (offset as Register) {
      case Register.DeviceTableBase:
        registers.deviceTableHi = pointerHi(hi);
        registers.deviceTableLo = pointerLo(lo);
        registers.deviceTableBytes = deviceTableBytes(lo);
        break;
      case Register.CommandBufferBase:
        ring.hi = pointerHi(hi);
        ring.lo = pointerLo(lo);
        ring.entriesLg2 = ringEntriesLg2(hi);
        ring.head = 0;
        ring.tail = 0;
        break;
      case Register.EventLogBase:
        log.hi = pointerHi(hi);
        log.lo = pointerLo(lo);
        log.entriesLg2 = ringEntriesLg2(hi);
        log.head = 0;
        log.tail = 0;
        break;
      case Register.PageRequestLogBase:
        this.pageRequests.setUp(hi, lo);
        break;
      case Register.PageRequestHead:
        this.pageRequests.headMoved(lo);
        break;
      case Register.Control:
        this.control(hi, lo);
        break;
      case Register.CommandHead:
        ring.head = ringIndex(lo);
        break;
      case Register.CommandTail:
        ring.tail = ringIndex(lo);
        this.queue.doorbell();
        break;
      case Register.EventHead:
        log.head = ringIndex(lo);
        break;
      case Register.EventTail:
        log.tail = ringIndex(lo);
        break;
      case Register.Status:
        // Write 1 to clear; the run bits are read-only.
        this.pageRequests.clear(lo);
        log.status &= ~(lo & (StatusBit.EventOverflow | StatusBit.EventInterrupt));
        break;
      default:
        break;
    }
  }

  private control(hi: number, lo: number): void {
    const { registers, log } = this;
    const { ring } = this.queue;
    registers.guestTranslation = (lo & ControlBit.GuestTranslationEnable) !== 0;
    registers.gcr3GuestPhysical = (hi & ControlHighBit.Gcr3GuestPhysical) !== 0;
    this.directory.contexts.bypass = (lo & ControlBit.IommuEnable) === 0;
    if ((lo & ControlBit.EventLogEnable) !== 0) log.enable();
    else log.disable();
    this.pageRequests.control(
      (lo & ControlBit.PageRequestLogEnable) !== 0 && (lo & ControlBit.PageRequestEnable) !== 0,
      (lo & ControlBit.PageRequestInterruptEnable) !== 0,
      (hi & ControlHighBit.PageRequestAutoResponse) !== 0,
    );
    // A command buffer that stopped at an illegal command runs again when it is disabled and enabled.
    ring.enabled = (lo & ControlBit.CommandBufferEnable) !== 0;
    if (!ring.enabled) ring.stopped = false;
    this.queue.doorbell();
  }
}

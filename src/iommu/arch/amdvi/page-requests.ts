/**
 * The peripheral page request log of an AMD-Vi unit (specification 2.6, 3.4): a ring of entries of 16 bytes. An entry that finds it full is an
 * overflow: PPRRun clears, and until software has cleared PPROverflow and enabled the log again nothing is logged; PPRAutoRspEn makes hardware
 * answer the last request of a group meanwhile, else it is lost. A request of a device whose entry has PPR clear is an event and Invalid
 * Request. Not modelled: the early overflow, a second log (DualPPRLog), blocking of stop markers.
 */
import type { Event } from '../../../kernel/event.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { MemorySystem } from '../../../memory/system.js';
import { PageStatus } from '../../../protocol/page-request.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { PageRequestQueue, PageRequestRules } from '../../page-request-queue.js';
import type { Directory } from './directory.js';
import type { EventLog } from './event-log.js';
import * as format from './format.js';
import { EventCode, Register, StatusBit } from './format.js';
import type { Registers } from './registers.js';

export class PageRequests implements PageRequestRules {
  readonly recordLg2 = format.ENTRY_LG2;
  delayPs = 0;
  /** StatusBit values about the log. */
  status = 0;
  answersLost = false;
  private interrupts = false;
  private watch: StoreWatch | null = null;

  constructor(
    private readonly unit: number,
    readonly queue: PageRequestQueue,
    private readonly directory: Directory,
    private readonly registers: Registers,
    private readonly log: EventLog,
    private readonly memory: MemorySystem,
    private readonly physical: PhysicalMemory,
    private readonly socket: number,
  ) {
    queue.rules = this;
  }

  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  setUp(hi: number, lo: number): void {
    const entriesLg2 = format.ringEntriesLg2(hi);
    this.queue.setUp(format.pointerHi(hi), format.pointerLo(lo), entriesLg2, 2 ** entriesLg2 - 1);
  }

  headMoved(lo: number): void {
    this.queue.consume(format.ringIndex(lo), this.queue.entriesLg2);
  }

  /** PPRLogEn, PPRIntEn and PPRAutoRspEn. Enabling restarts a log whose overflow has been cleared. */
  control(enabled: boolean, interrupts: boolean, answersLost: boolean): void {
    this.interrupts = interrupts;
    this.answersLost = answersLost;
    if (!enabled) this.status &= ~StatusBit.PageRequestLogRunning;
    else if ((this.status & StatusBit.PageRequestOverflow) === 0) {
      this.status |= StatusBit.PageRequestLogRunning;
      this.queue.overflow = false;
    }
    this.tell();
  }

  /** Written ones of the status register. */
  clear(bits: number): void {
    this.status &= ~(bits & (StatusBit.PageRequestOverflow | StatusBit.PageRequestInterrupt));
    this.tell();
  }

  encode(words: Int32Array, requester: number, message: Event): void {
    const { context, value, parent, addressHi, addressLo } = message;
    format.encodePageRequest(words, requester, context, value, parent, addressHi, addressLo);
  }

  refuses(requester: number, { context, addressHi, addressLo }: Event): number {
    this.delayPs = 0;
    const { queue, status, log } = this;
    if (queue.capacity === 0) return PageStatus.Invalid;
    if (!this.permits(requester)) {
      log.record(EventCode.InvalidPageRequest, 0, requester, Math.max(context, 0), addressHi, addressLo);
      return PageStatus.Invalid;
    }
    // While it overflows the queue answers, or loses, by itself.
    return queue.overflow || (status & StatusBit.PageRequestLogRunning) !== 0 ? -1 : PageStatus.Invalid;
  }

  /** DTE.PPR: the entry is read; from memory if no cache has it. */
  private permits(requester: number): boolean {
    const { directory, registers, physical } = this;
    const offset = format.deviceEntryOffset(requester);
    if (offset >= registers.deviceTableBytes) return false;
    const lo = (registers.deviceTableLo + offset) | 0;
    const hi = registers.deviceTableHi;
    if (directory.contexts.device.find(requester, 0, 0) < 0) {
      this.delayPs = this.memory.walkerRead(this.socket, hi, lo, true);
    }
    physical.read(hi, lo);
    return format.deviceMayAsk(physical.wordLo, physical.wordHi);
  }

  recorded(): void {
    const { queue, watch, unit } = this;
    const slot = queue.visible & ((1 << queue.entriesLg2) - 1);
    watch?.changed?.(unit, Register.PageRequestTail, 0, slot << format.ENTRY_LG2);
    if ((this.status & StatusBit.PageRequestInterrupt) !== 0) return;
    this.status |= StatusBit.PageRequestInterrupt;
    this.tell();
    this.interrupt();
  }

  overflown(): void {
    this.status = (this.status | StatusBit.PageRequestOverflow) & ~StatusBit.PageRequestLogRunning;
    this.tell();
    this.interrupt();
  }

  private interrupt(): void {
    if (!this.interrupts) return;
    this.queue.counters.interrupts++;
    this.watch?.pagesRequested?.(this.unit);
  }

  private tell(): void {
    this.watch?.changed?.(this.unit, Register.Status, 0, this.status);
  }
}

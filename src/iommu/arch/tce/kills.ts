/**
 * TCE kills and DMA read syncs of a PHB4 (skiboot hw/phb4.c). A kill goes through two stages: the top bits of TCE_KILL clear when it has
 * been queued (here: when the one before it is done), TCE_KILL_STATUS when all are done. A kill written while the register still
 * holds one is lost. A sync completes when the kills before it have, and the requests translated until then have been served.
 */
import { Event } from '../../../kernel/event.js';
import type { Kernel } from '../../../kernel/kernel.js';
import { Op } from '../../../protocol/op.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import { CommandCounters, Removes } from '../../command-counters.js';
import { pagesOf } from '../../page-range.js';
import type { InvalidationSpec } from '../../spec.js';
import type { IommuUnit } from '../../unit.js';
import { Bit, KillBit, killPageLg2, killPe, Register } from './format.js';
import { killAll, killEndpoint, killPage } from './invalidation.js';

const enum State {
  Idle,
  Kill,
  Sync,
  Drain,
}

export class Kills {
  readonly counters: CommandCounters;
  /** TCE_KILL as software reads it. */
  registerHi = 0;
  syncComplete = false;
  private registerLo = 0;
  /** When the kill that waits was written. */
  private readonly writtenAt = new Float64Array(1);
  private state: State = State.Idle;
  private executingHi = 0;
  private executingLo = 0;
  private syncAsked = false;
  /** Work has begun and the counters know it. */
  private busy = false;
  private readonly event = new Event();
  private watch: StoreWatch | null = null;

  constructor(
    private readonly kernel: Kernel,
    private readonly unit: IommuUnit,
    private readonly spec: InvalidationSpec,
  ) {
    this.event.unit = unit.index;
    this.counters = new CommandCounters(unit.translations);
    unit.onDrained = () => this.drained();
  }

  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  /** Q_DMA_R as software reads it, upper word: TCE_KILL_STATUS while a kill waits or is under way. */
  get quiesceHi(): number {
    return this.waiting || this.state === State.Kill ? Bit.KillStatus : 0;
  }

  private get waiting(): boolean {
    return (this.registerHi & KillBit.Commands) !== 0;
  }

  /** A write to TCE_KILL. */
  kill(hi: number, lo: number): void {
    if (this.waiting || (hi & KillBit.Commands) === 0) return;
    this.registerHi = hi;
    this.registerLo = lo;
    this.writtenAt[0] = this.kernel.clock[0]!;
    this.next();
  }

  /** A write to DMARD_SYNC with the start bit. */
  sync(): void {
    this.syncComplete = false;
    this.syncAsked = true;
    this.next();
  }

  private next(): void {
    if (this.state !== State.Idle) return;
    if (this.waiting) {
      this.executingHi = this.registerHi;
      this.executingLo = this.registerLo;
      this.registerHi &= ~KillBit.Commands;
      this.watch?.changed?.(this.unit.index, Register.TceKill, this.registerHi, this.registerLo);
      this.begin(State.Kill, this.timeOf(this.executingHi));
    } else if (this.syncAsked) this.begin(State.Sync, this.spec.wait);
    else if (this.busy) {
      this.busy = false;
      this.counters.idle(this.kernel.clock[0]!);
    }
  }

  private timeOf(hi: number): number {
    const { iotlbGlobal, iotlbDomain, iotlbPage } = this.spec;
    return (hi & KillBit.All) !== 0 ? iotlbGlobal : (hi & KillBit.Pe) !== 0 ? iotlbDomain : iotlbPage;
  }

  private begin(state: State, time: number): void {
    if (!this.busy) this.counters.busy(this.kernel.clock[0]!);
    this.busy = true;
    this.state = state;
    const now = this.kernel.clock[0]!;
    this.counters.begins(now, state === State.Kill ? this.writtenAt[0]! : now);
    this.kernel.after(this.spec.start + time, this.event, Op.InvalidationStep);
  }

  /** Op.InvalidationStep. */
  step(): void {
    if (this.state === State.Kill) {
      this.counters.executes(this.kernel.clock[0]!);
      this.execute();
      this.counters.served(this.kernel.clock[0]!);
      this.state = State.Idle;
      if (!this.waiting) this.watch?.changed?.(this.unit.index, Register.QuiesceDma, 0, 0);
      this.next();
    } else if (this.state === State.Sync) {
      this.syncAsked = false;
      this.counters.wait++;
      if (this.spec.drain && this.unit.beginDrain() > 0) {
        this.state = State.Drain;
        this.counters.drainBegins(this.kernel.clock[0]!);
      } else this.synced();
    }
  }

  private drained(): void {
    if (this.state !== State.Drain) return;
    this.counters.drainEnds(this.kernel.clock[0]!);
    this.synced();
  }

  private synced(): void {
    this.state = State.Idle;
    this.syncComplete = true;
    this.watch?.changed?.(this.unit.index, Register.DmaReadSync, Bit.SyncComplete, 0);
    this.next();
  }

  private execute(): void {
    const { unit, counters, executingHi: hi, executingLo: lo } = this;
    const t = unit.translations;
    if ((hi & KillBit.All) !== 0) {
      counters.removes(Removes.Global, null);
      killAll(t);
      unit.walkers.overtake(-1, null);
    } else if ((hi & KillBit.Pe) !== 0) {
      counters.removes(Removes.Domain, null);
      killEndpoint(t, killPe(lo));
      unit.walkers.overtake(killPe(lo), null);
    } else {
      const pageLg2 = killPageLg2(hi, lo);
      const range = { hi: hi & 0x0fff_ffff, lo: lo & -(2 ** Math.min(pageLg2, 30)), addressMask: pageLg2 - 12 };
      counters.removes(Removes.Page, pagesOf(range));
      killPage(t, killPe(lo), range);
      unit.walkers.overtake(killPe(lo), range);
    }
  }
}

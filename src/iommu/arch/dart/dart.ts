/**
 * A DART as software sees it: registers, and TLB flushes of whole streams with a busy bit. T8020 flushes the streams of a bitmap with one
 * command, T8110 one stream or all. A command written while the last one is busy is ignored.
 */
import { Event } from '../../../kernel/event.js';
import type { Kernel } from '../../../kernel/kernel.js';
import { Op } from '../../../protocol/op.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { Hardware } from '../../architecture.js';
import { CommandCounters, Removes } from '../../command-counters.js';
import type { FaultCounters } from '../../fault-counters.js';
import type { InvalidationSpec } from '../../spec.js';
import { dropLeaves, dropStructures } from '../../sweep.js';
import { inDomain } from '../../tag-index.js';
import type { IommuUnit } from '../../unit.js';
import type { Directory } from './directory.js';
import { StreamCommand, TlbCommand, Variant } from './format.js';
import type { Streams } from './streams.js';

const ALL = -1;

const enum State {
  Idle,
  Flush,
  Drain,
}

export class Dart implements Hardware {
  readonly commands: CommandCounters;
  readonly faults: FaultCounters;
  private state: State = State.Idle;
  private selected = 0;
  /** Streams to flush: a bitmap (T8020) or a number (T8110), ALL for every one. */
  private target = 0;
  private readonly event = new Event();
  private watch: StoreWatch | null = null;
  private readonly old: boolean;

  constructor(
    private readonly kernel: Kernel,
    private readonly unit: IommuUnit,
    private readonly spec: InvalidationSpec,
    readonly streams: Streams,
    readonly directory: Directory,
    private readonly recycle: (event: Event) => void,
  ) {
    this.event.unit = unit.index;
    this.commands = new CommandCounters(unit.translations);
    this.faults = directory.faults;
    this.old = streams.layout.variant !== Variant.T8110;
    unit.onDrained = () => this.drained();
  }

  get busy(): boolean {
    return this.state !== State.Idle;
  }

  connect(watch: StoreWatch): void {
    this.watch = watch;
  }

  registerWrite(event: Event): void {
    this.write(event.addressLo, event.outLo);
    this.recycle(event);
  }

  /** A write of a 32-bit register; registers that are not modelled ignore it. */
  write(offset: number, value: number): void {
    const { directory, unit, streams } = this;
    if (streams.write(offset, value)) {
      directory.contexts.dropDevices();
      unit.walkers.overtake(-1, null);
    } else if (offset === streams.layout.error) {
      // Written with what was read: the error is taken.
      if ((value & directory.error) < 0) directory.error = 0;
    } else if (this.old) this.streamCommand(offset, value);
    else if ((offset as TlbCommand) === TlbCommand.Offset) this.tlbCommand(value);
  }

  private streamCommand(offset: number, value: number): void {
    if ((offset as StreamCommand) === StreamCommand.Select) this.selected = value & 0xffff;
    else if ((offset as StreamCommand) === StreamCommand.Offset && (value & StreamCommand.Invalidate) !== 0) {
      this.begin(this.selected, false);
    }
  }

  private tlbCommand(value: number): void {
    const operation = value & TlbCommand.OperationMask;
    if (operation === TlbCommand.FlushAll) this.begin(ALL, true);
    else if (operation === TlbCommand.FlushStream) this.begin(value & TlbCommand.StreamMask, false);
  }

  private begin(target: number, all: boolean): void {
    if (this.busy) return;
    const { start, iotlbGlobal, iotlbDomain } = this.spec;
    this.state = State.Flush;
    this.target = target;
    const now = this.kernel.clock[0]!;
    this.commands.busy(now);
    this.commands.begins(now, now);
    this.kernel.after(start + (all ? iotlbGlobal : iotlbDomain), this.event, Op.InvalidationStep);
  }

  /** Op.InvalidationStep. */
  step(): void {
    const { unit, commands, kernel } = this;
    const t = unit.translations;
    commands.executes(kernel.clock[0]!);
    if (this.target === ALL) {
      commands.removes(Removes.Global, null);
      t.invalidateAll();
    } else {
      commands.removes(Removes.Domain, null);
      this.flush();
    }
    unit.walkers.overtake(this.old || this.target === ALL ? -1 : this.target, null);
    if (this.spec.drain && unit.beginDrain() > 0) {
      this.state = State.Drain;
      commands.drainBegins(kernel.clock[0]!);
    } else this.done();
  }

  private flush(): void {
    if (!this.old) this.flushStream(this.target);
    else for (let stream = 0; stream < 32; stream++) if ((this.target & (1 << stream)) !== 0) this.flushStream(stream);
  }

  private flushStream(stream: number): void {
    const t = this.unit.translations;
    const scope = inDomain(stream);
    dropLeaves(t, scope, (tag) => tag.did === stream);
    dropStructures(t, scope, (tag) => tag.did === stream);
  }

  private drained(): void {
    if (this.state !== State.Drain) return;
    this.commands.drainEnds(this.kernel.clock[0]!);
    this.done();
  }

  /** The busy bit clears. */
  private done(): void {
    this.state = State.Idle;
    this.commands.served(this.kernel.clock[0]!);
    this.commands.idle(this.kernel.clock[0]!);
    this.watch?.changed?.(this.unit.index, this.old ? StreamCommand.Offset : TlbCommand.Offset, 0, 0);
  }
}

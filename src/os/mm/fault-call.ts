/**
 * handle_mm_fault (mm/memory.c) for one fault: what costs little, and a page of memory that is allocated, cleared and mapped; what is rarer the
 * handler's subroutines do. A record that the handler uses again.
 * Hot path: bench/faults.mjs.
 */
import type { Access } from '../../protocol/access.js';
import { type Call, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { MmEnvironment } from './environment.js';
import type { FaultHandler } from './fault.js';
import type { Mm } from './mm.js';
import { FAULT_KINDS, FaultKind } from './statistics.js';
import { MmStep } from './step.js';
import type { Vma } from './vma.js';

const enum State {
  Begin,
  Resolve,
  /** Another subroutine is at work. */
  Rare,
  /** A small page is wanted; memory is reclaimed for it. */
  Allocate,
  Reclaim,
  /** The page is ready. */
  Install,
  End,
}

/** What `next` returns at the end, by kind. */
const ENDED = FAULT_KINDS.map((_, kind): IteratorReturnResult<FaultKind> => ({ value: kind, done: true }));

export class FaultCall extends Routine<FaultKind> {
  private state = State.Begin;
  private thread: Thread | null = null;
  private mm: Mm | null = null;
  private region: Vma | null = null;
  private access = 0 as Access;
  private kind = FaultKind.Failed;
  private rare: Call<FaultKind> | null = null;
  private reclaim: Call<number> | null = null;
  /** [0] = page, [1] = its new frame, [2] = when the fault began, ps. */
  private readonly values = new Float64Array(3);

  constructor(
    private readonly handler: FaultHandler,
    private readonly environment: MmEnvironment,
  ) {
    super();
  }

  begin(thread: Thread, mm: Mm, region: Vma, page: number, access: Access): void {
    this.thread = thread;
    this.mm = mm;
    this.region = region;
    this.access = access;
    this.values[0] = page;
    this.state = State.Begin;
  }

  next(): IteratorResult<Wait, FaultKind> {
    const { handler, values } = this;
    const { scheduler, statistics, spec } = this.environment;
    const thread = this.thread!;
    const mm = this.mm!;
    const region = this.region!;
    for (;;) {
      switch (this.state) {
        case State.Begin:
          values[2] = scheduler.now() + thread.debt;
          thread.charge(MmStep.Fault, spec.costs.fault);
          this.state = State.Resolve;
          if (!scheduler.passes(thread)) return RUN;
          break;
        case State.Resolve: {
          const resolution = handler.resolve(thread, mm, region, values[0]!, this.access);
          if (resolution === null) this.state = State.Allocate;
          else if (typeof resolution === 'number') {
            this.kind = resolution;
            this.state = State.End;
          } else {
            this.rare = resolution;
            this.state = State.Rare;
          }
          break;
        }
        case State.Rare: {
          const turn = this.rare!.next();
          if (turn.done !== true) return turn;
          this.rare = null;
          this.kind = turn.value;
          this.state = State.End;
          break;
        }
        case State.Allocate:
          values[1] = handler.take(thread);
          if (values[1] >= 0) this.clear(thread, region);
          else {
            this.reclaim = handler.reclaimOne(thread);
            this.state = State.Reclaim;
            break;
          }
          if (!scheduler.passes(thread)) return RUN;
          break;
        case State.Reclaim: {
          const turn = this.reclaim!.next();
          if (turn.done !== true) return turn;
          this.reclaim = null;
          values[1] = turn.value;
          this.kind = FaultKind.Failed;
          this.state = State.End;
          if (values[1] < 0) break;
          this.clear(thread, region);
          if (!scheduler.passes(thread)) return RUN;
          break;
        }
        case State.Install:
          this.kind = handler.installSmall(mm, region, values[0]!, values[1]!, this.access);
          this.state = State.End;
          break;
        case State.End:
          if (thread.debt !== 0 && !scheduler.passes(thread)) return RUN;
          statistics.faults[this.kind]!.add(scheduler.now() - values[2]!);
          handler.ended(this);
          return ENDED[this.kind]!;
      }
    }
  }

  private clear(thread: Thread, region: Vma): void {
    this.handler.clear(thread, region);
    this.state = State.Install;
  }
}

/**
 * One thread of the DMA mapping benchmark (map_benchmark_thread in kernel/dma/map_benchmark.c): writes its buffer, maps it, pauses, unmaps it,
 * over and over. A record with a state: a generator would be entered anew at every wait.
 * Hot path: bench/map-unmap.mjs.
 */
import { copyTime } from '../copy.js';
import type { ScatterList } from '../dma/scatter-list.js';
import { Turn } from '../step.js';
import { type Call, DELAY, DONE, Routine, RUN, type Thread, type Wait } from '../thread.js';
import type { MapBenchmark } from './map-benchmark.js';

const enum State {
  Begin,
  Mapping,
  Mapped,
  Unmap,
  Unmapping,
  /** Invalidating what the unmap has held back: the buffer is mapped again at once. */
  Settling,
  Copy,
  End,
}

export class MapLoop extends Routine {
  private state = State.Begin;
  /** What the present state waits for. */
  private mapping: Call<number> | Call<boolean> | null = null;
  private unmapping: Call<void> | null = null;
  /** [0] = begin of the turn, [1] = time of the map, [2] = of the unmap, ps; [3] = DMA address of the buffer. */
  private readonly values = new Float64Array(4);

  /** `buffer`: its address, or its pages as a list. */
  constructor(
    private readonly job: MapBenchmark,
    private readonly thread: Thread,
    private readonly buffer: number | ScatterList,
  ) {
    super();
  }

  next(): IteratorResult<Wait, void> {
    const { job, thread, values } = this;
    for (;;) {
      switch (this.state) {
        case State.Begin:
          this.begin();
          break;
        case State.Mapping: {
          const turn = this.mapping!.next();
          if (turn.done !== true) return turn;
          this.mapped(Number(turn.value));
          break;
        }
        case State.Mapped:
          if (values[3] === 0) {
            job.failed++;
            job.endTurn(thread);
            return DONE;
          }
          values[1] = thread.lastCallPs;
          this.state = State.Unmap;
          if (job.spec.transfer === 0) break;
          thread.chargeExactly(Turn.Transfer, job.spec.transfer);
          return DELAY;
        case State.Unmap:
          this.unmapping = this.unmap();
          this.state = State.Unmapping;
          break;
        case State.Unmapping: {
          const turn = this.unmapping!.next();
          if (turn.done !== true) return turn;
          values[2] = thread.lastCallPs;
          this.state = State.Copy;
          if (!job.dma.holdsBack) break;
          this.unmapping = job.dma.settle(thread, job.environment.domain);
          this.state = State.Settling;
          break;
        }
        case State.Settling: {
          const turn = this.unmapping!.next();
          if (turn.done !== true) return turn;
          values[2] = values[2]! + thread.lastCallPs;
          this.state = State.Copy;
          break;
        }
        case State.Copy:
          job.count(values[1]!, values[2]!);
          this.state = State.End;
          if (job.spec.copy === 0) break;
          thread.charge(Turn.Copy, copyTime(job.environment.costs, job.spec.copy));
          return RUN;
        case State.End:
          this.end();
          break;
      }
    }
  }

  private begin(): void {
    const { job, thread, buffer } = this;
    const { dma, domain, scheduler } = job.environment;
    this.values[0] = scheduler.now();
    job.beginTurn(thread);
    if (job.spec.direction !== 'from-device') job.dirty(thread, buffer);
    this.state = State.Mapping;
    if (typeof buffer !== 'number') {
      this.mapping = dma.mapList(thread, domain, buffer, job.access);
      return;
    }
    const begun = dma.mapNow(thread, domain, buffer, job.bytes, job.access);
    if (typeof begun === 'number') this.mapped(begun);
    else this.mapping = begun;
  }

  /** `address`: 0 if no address space was left; of a list anything else. */
  private mapped(address: number): void {
    this.values[3] = address;
    this.state = State.Mapped;
  }

  private unmap(): Call<void> {
    const { job, thread, buffer } = this;
    const { dma, domain } = job.environment;
    if (typeof buffer !== 'number') return dma.unmapList(thread, domain, buffer, job.access);
    return dma.unmap(thread, domain, this.values[3]!, job.bytes, job.access);
  }

  private end(): void {
    const { job, thread } = this;
    job.endTurn(thread);
    const latency = job.environment.scheduler.now() - this.values[0]!;
    if (latency === 0) throw new Error(`${job.name}: an operation takes no time; all its costs are 0`);
    job.operationDone(latency);
    this.state = State.Begin;
  }
}

/**
 * Processes that map a buffer of theirs for a device and unmap it again, in a loop: one system call each. Every thread has a buffer
 * of its own whose frames follow each other in runs of a given length.
 */
import { Access } from '../../protocol/access.js';
import type { DmaStatus } from '../../protocol/queue.js';
import type { Cpu, Program, Thread } from '../thread.js';
import { Wait } from '../thread.js';
import type { UserMapCosts } from '../uapi/spec.js';
import { type Run, UserMemory } from '../uapi/user-memory.js';
import { Driver, type DriverEnvironment } from './driver.js';

/** Shape of a user-map job of a workload. */
export interface UserMapSpec {
  readonly threads: number;
  /** Bytes of the buffer: whole pages. */
  readonly size: number;
  /** Bytes of frames that follow each other. */
  readonly run: number;
}

export class UserMap extends Driver {
  readonly tags = 0;
  private readonly memory: UserMemory;

  constructor(
    name: string,
    private readonly spec: UserMapSpec,
    costs: UserMapCosts,
    cpus: readonly Cpu[],
    environment: DriverEnvironment,
  ) {
    super(name, environment);
    this.memory = new UserMemory(environment.dma, costs);
    for (const [i, cpu] of cpus.entries()) {
      const runs = this.buffer();
      this.threads.push(environment.scheduler.spawn(`${name}/${i}`, cpu, (self) => this.program(self, runs)));
    }
  }

  completed(tag: number, _status: DmaStatus): void {
    throw new Error(`${this.name}: completion of tag ${tag}, but the job posts nothing`);
  }

  private buffer(): Run[] {
    const { size, run } = this.spec;
    const base = this.environment.buffer(size);
    const runs: Run[] = [];
    for (let at = 0; at < size; at += run) runs.push({ pa: base + at, bytes: Math.min(run, size - at) });
    return runs;
  }

  private *program(thread: Thread, runs: readonly Run[]): Program {
    const { domain, scheduler } = this.environment;
    const access: Access = Access.Read | Access.Write;
    for (;;) {
      const start = scheduler.now();
      this.beginTurn(thread);
      const iova = yield* this.memory.map(thread, domain, runs, access);
      if (iova === 0) {
        this.endTurn(thread);
        return;
      }
      yield* this.memory.unmap(thread, domain, iova, runs);
      if (thread.debt !== 0) yield Wait.Run;
      this.endTurn(thread);
      this.operationDone(scheduler.now() - start);
    }
  }
}

/**
 * What every driver of a device has: threads on the CPUs of one socket, its own DMA API meters, a ledger of its loop turns and a
 * histogram of its operations. One operation is one map + DMA (or pause) + unmap cycle.
 */
import type { Kernel } from '../../kernel/kernel.js';
import type { MemorySystem } from '../../memory/system.js';
import type { DeviceQueue, DmaStatus } from '../../protocol/queue.js';
import { Histogram } from '../../stats/histogram.js';
import { LatencyLedger } from '../../stats/latency-ledger.js';
import type { Device } from '../device.js';
import type { DmaApi } from '../dma/api.js';
import type { Domain } from '../domain.js';
import type { Scheduler } from '../scheduler.js';
import type { CostSpec } from '../spec.js';
import { TURN_NAMES, Turn } from '../step.js';
import type { Thread } from '../thread.js';

/** Told of every operation when it ends. `job` is the number that adding the job returned. */
export interface OperationSink {
  operationDone(job: number, latencyPs: number): void;
}

export interface DriverEnvironment {
  readonly kernel: Kernel;
  readonly scheduler: Scheduler;
  readonly costs: CostSpec;
  readonly dma: DmaApi;
  readonly device: Device;
  readonly domain: Domain;
  readonly queue: DeviceQueue;
  /** Null when nobody models the CPU caches. */
  readonly memory: MemorySystem | null;
  readonly sink: OperationSink | null;
  readonly job: number;
  readonly slots: number;
  /** Timer tick, ps: what a driver waits before it tries again to map when nothing will complete. */
  readonly tick: number;
  /** Allocates a buffer on the job's socket. Throws OutOfMemory. */
  buffer(bytes: number): number;
}

export abstract class Driver {
  readonly threads: Thread[] = [];
  readonly turns: LatencyLedger;
  readonly latency: Histogram = new Histogram();
  operations = 0;

  constructor(
    readonly name: string,
    readonly environment: DriverEnvironment,
  ) {
    this.turns = new LatencyLedger(environment.slots, TURN_NAMES);
  }

  get dma(): DmaApi {
    return this.environment.dma;
  }

  /** Number of tags this driver posts. */
  abstract readonly tags: number;

  abstract completed(tag: number, status: DmaStatus): void;

  resetStatistics(): void {
    this.turns.reset();
    this.latency.reset();
    this.operations = 0;
    this.dma.resetStatistics();
  }

  /** Starts the account of one turn of the thread's loop; all its time until `endTurn` belongs to the turn. */
  beginTurn(thread: Thread): void {
    this.turns.start(thread.id, this.environment.scheduler.now());
    thread.ledger = this.turns;
    thread.interruptStep = Turn.Interrupt;
  }

  endTurn(thread: Thread): void {
    this.turns.finish(thread.id, this.environment.scheduler.now());
    thread.ledger = null;
  }

  operationDone(latencyPs: number): void {
    this.operations++;
    this.latency.add(latencyPs);
    this.environment.sink?.operationDone(this.environment.job, latencyPs);
  }
}

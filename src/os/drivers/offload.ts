/**
 * Processes that have an accelerator move their memory: threads write descriptors to its work queues and poll completion records. A shared
 * queue takes ENQCMD, which waits for the device's answer and is tried again while the queue is full (drivers/dma/idxd/submit.c,
 * idxd_enqcmds); each thread's first one faults, because the kernel loads the PASID register (IA32_PASID) only then (arch/x86/kernel/traps.c,
 * try_fixup_enqcmd_gp). A dedicated queue takes MOVDIR64B: each thread has one of its own and counts its entries. In virtual machines the processor
 * translates the guest's PASID. After `retries.limit` refusals the thread copies by itself. Not modelled: several devices, batches.
 */
import type { RandomStream } from '../../kernel/random.js';
import { type Portals, RECORD_BYTES, type WorkClient, type WorkDescriptor, WorkStatus } from '../../protocol/portal.js';
import { Histogram } from '../../stats/histogram.js';
import { LatencyLedger } from '../../stats/latency-ledger.js';
import { copyTime } from '../copy.js';
import type { Mm } from '../mm/mm.js';
import type { EnqcmdSpec } from '../process-spec.js';
import { Step } from '../step.js';
import { type Call, type Cpu, type Program, type Thread, Wait } from '../thread.js';
import type { PasidTranslation } from '../uapi/pasid-translation.js';
import { Driver, type DriverEnvironment } from './driver.js';
import type { SvaSystem } from './sva.js';

/** Shape of an offload job of a workload. */
export interface OffloadSpec {
  readonly threads: number;
  /** The threads belong to them in turn. */
  readonly processes: number;
  readonly queue: 'shared' | 'dedicated';
  /** Descriptors that a work queue holds. */
  readonly entries: number;
  /** Descriptors of a thread at a time. */
  readonly depth: number;
  /** Bytes of a move; bytes of each thread's source, and of its target. */
  readonly size: number;
  readonly window: number;
  readonly pattern: 'random' | 'sequential';
  /** Refusals before the thread copies by itself (0: never), and the pause after each, ps. */
  readonly retries: { readonly limit: number; readonly pause: number };
  /** The processes belong to them in turn; 0: none. */
  readonly virtualMachines: number;
  /** Guest PASIDs are in the table of their machine from the start, or when the first submission with them has made the machine exit. */
  readonly translation: 'ahead' | 'demand';
  readonly prefault: 'none' | 'all';
}

export interface OffloadSystem extends SvaSystem {
  readonly portals: Portals;
  readonly enqcmd: EnqcmdSpec;
  makeTranslation(): PasidTranslation;
}

/** Parts of an operation, from the first try to submit it until the thread has seen its record. */
export const OFFLOAD_PARTS = ['submission', 'queue', 'engine', 'notice', 'copy'] as const;

const enum Part {
  /** Until the device has taken the descriptor: descriptors written, refused, tried again. */
  Submission,
  Queue,
  Engine,
  /** From the record until the thread has seen it. */
  Notice,
  /** The thread has copied by itself. */
  Copy,
}

const PAGE = 4096;
const TWO_32 = 2 ** 32;
/** Where a process has its memory. */
const BASE = TWO_32;

interface Process {
  readonly mm: Mm;
  readonly machine: PasidTranslation | null;
  /** What it takes for its PASID: the guest's in a virtual machine. */
  readonly pasid: number;
}

/** A thread with its share of the process's memory. */
interface Submitter {
  readonly process: Process;
  readonly queue: number;
  readonly source: number;
  readonly target: number;
  /** Completion records, one a place. */
  readonly records: number;
  readonly free: number[];
  readonly done: number[];
  thread: Thread | null;
  /** The PASID register is loaded. */
  loaded: boolean;
  waits: boolean;
  accepted: boolean;
  position: number;
}

export class OffloadStatistics {
  /** CPU time of one submission, refusals and pauses included. */
  readonly submission = new Histogram();
  attempts = 0;
  retries = 0;
  fallbacks = 0;
  /** Faults that loaded a PASID register, and exits for a guest PASID that had no entry. */
  fixups = 0;
  exits = 0;

  reset(): void {
    this.submission.reset();
    this.attempts = 0;
    this.retries = 0;
    this.fallbacks = 0;
    this.fixups = 0;
    this.exits = 0;
  }
}

export class OffloadJob extends Driver implements WorkClient {
  readonly tags = 0;
  readonly statistics = new OffloadStatistics();
  readonly parts: LatencyLedger;
  /** Moves whose record reports a fault. */
  faults = 0;
  private readonly submitters: Submitter[];
  private readonly descriptors: WorkDescriptor[];
  private readonly startedAt: Float64Array;
  private readonly blocks: number;

  constructor(
    name: string,
    private readonly spec: OffloadSpec,
    private readonly random: RandomStream,
    cpus: readonly Cpu[],
    private readonly system: OffloadSystem,
    environment: DriverEnvironment,
  ) {
    super(name, environment);
    const { threads, depth, size, window } = spec;
    this.blocks = Math.floor(window / size);
    this.parts = new LatencyLedger(threads * depth, OFFLOAD_PARTS);
    this.startedAt = new Float64Array(threads * depth);
    this.descriptors = Array.from({ length: threads * depth }, blank);
    const processes = this.createProcesses();
    const shared = spec.queue === 'shared' ? this.configure() : -1;
    this.submitters = Array.from({ length: threads }, (_, i) =>
      this.createSubmitter(i, processes[i % processes.length]!, shared < 0 ? this.configure() : shared),
    );
    for (const [i, submitter] of this.submitters.entries()) {
      const thread = environment.scheduler.spawn(`${name}/${i}`, cpus[i]!, (self) => this.program(self, submitter));
      submitter.thread = thread;
      this.threads.push(thread);
    }
  }

  completed(tag: number): void {
    throw new Error(`${this.name}: completion of DMA ${tag}, but the device's accelerator posts them`);
  }

  accepted(tag: number): void {
    this.parts.charge(tag, Part.Submission, this.environment.scheduler.now());
  }

  dispatched(tag: number): void {
    this.parts.charge(tag, Part.Queue, this.environment.scheduler.now());
  }

  answered(tag: number, accepted: boolean): void {
    const submitter = this.ownerOf(tag);
    submitter.accepted = accepted;
    this.environment.scheduler.wake(submitter.thread!, 0);
  }

  finished(tag: number, status: WorkStatus): void {
    const { scheduler } = this.environment;
    const submitter = this.ownerOf(tag);
    if (status !== WorkStatus.Success) this.faults++;
    this.parts.charge(tag, Part.Engine, scheduler.now());
    submitter.done.push(tag);
    if (!submitter.waits) return;
    submitter.waits = false;
    scheduler.wake(submitter.thread!, 0);
  }

  override resetStatistics(): void {
    super.resetStatistics();
    this.statistics.reset();
    this.parts.reset();
    this.faults = 0;
  }

  private configure(): number {
    const { queue: mode, entries } = this.spec;
    return this.system.portals.configure(this.environment.device.id, { mode, entries }, this);
  }

  private createProcesses(): Process[] {
    const { system } = this;
    const { manager, sva, target } = system;
    const { processes, virtualMachines, threads, window, depth, prefault, translation } = this.spec;
    const machines = Array.from({ length: virtualMachines }, () => system.makeTranslation());
    const bytes = Math.ceil(threads / processes) * shareOf(window, depth);
    return Array.from({ length: processes }, (_, i) => {
      const mm = manager.create();
      manager.addRegion(mm, BASE, bytes);
      if (prefault === 'all') manager.populate(mm, BASE, bytes);
      sva.bindAtBoot(target, mm);
      if (machines.length === 0) return { mm, machine: null, pasid: mm.pasid };
      const machine = machines[i % machines.length]!;
      // Every machine numbers its processes from 1 on.
      const pasid = 1 + Math.floor(i / machines.length);
      if (translation === 'ahead') machine.set(pasid, mm.pasid);
      return { mm, machine, pasid };
    });
  }

  private createSubmitter(index: number, process: Process, queue: number): Submitter {
    const { processes, window, depth } = this.spec;
    const base = BASE + Math.floor(index / processes) * shareOf(window, depth);
    const pages = Math.ceil(window / PAGE) * PAGE;
    const first = index * depth;
    return {
      process,
      queue,
      source: base,
      target: base + pages,
      records: base + 2 * pages,
      free: Array.from({ length: depth }, (_, i) => first + depth - 1 - i),
      done: [],
      thread: null,
      loaded: false,
      waits: false,
      accepted: false,
      position: 0,
    };
  }

  private ownerOf(tag: number): Submitter {
    return this.submitters[Math.floor(tag / this.spec.depth)]!;
  }

  private *program(thread: Thread, submitter: Submitter): Program {
    const { scheduler, costs } = this.environment;
    const { free, done } = submitter;
    for (;;) {
      while (done.length > 0) {
        const tag = done.shift()!;
        thread.charge(Step.Completion, costs.completion);
        yield Wait.Run;
        this.parts.charge(tag, Part.Notice, scheduler.now());
        this.end(submitter, tag);
      }
      if (free.length === 0) {
        scheduler.block(thread, Step.Completion);
        submitter.waits = true;
        yield Wait.Block;
        continue;
      }
      const tag = free.pop()!;
      this.describe(submitter, tag);
      this.startedAt[tag] = scheduler.now();
      this.parts.start(tag, scheduler.now());
      if (this.spec.queue === 'dedicated') yield* this.post(thread, submitter, tag);
      else yield* this.enqueue(thread, submitter, tag);
    }
  }

  private end(submitter: Submitter, tag: number): void {
    const now = this.environment.scheduler.now();
    this.parts.finish(tag, now);
    submitter.free.push(tag);
    this.operationDone(now - this.startedAt[tag]!);
  }

  /** MOVDIR64B: gone when the store is. */
  private *post(thread: Thread, { queue, process }: Submitter, tag: number): Call<void> {
    const { device, costs, scheduler } = this.environment;
    const descriptor = this.descriptors[tag]!;
    // The queue is set up with the PASID of its process.
    descriptor.pasid = process.mm.pasid;
    thread.charge(Step.Doorbell, costs.mmioWrite);
    yield Wait.Run;
    this.statistics.attempts++;
    this.statistics.submission.add(scheduler.now() - this.startedAt[tag]!);
    this.system.portals.submit(device.id, queue, tag, descriptor, costs.mmioFlight);
  }

  /** ENQCMD, until the queue takes the descriptor or patience ends. */
  private *enqueue(thread: Thread, submitter: Submitter, tag: number): Call<void> {
    const { statistics, system, spec } = this;
    const { device, costs, scheduler } = this.environment;
    if (!submitter.loaded) {
      submitter.loaded = true;
      statistics.fixups++;
      thread.charge(Step.Doorbell, system.enqcmd.fixup);
    }
    const descriptor = this.descriptors[tag]!;
    for (let refusals = 0; ; ) {
      thread.charge(Step.Doorbell, costs.mmioWrite);
      yield Wait.Run;
      descriptor.pasid = yield* this.hostPasid(thread, submitter.process);
      statistics.attempts++;
      system.portals.submit(device.id, submitter.queue, tag, descriptor, costs.mmioFlight);
      scheduler.block(thread, Step.Doorbell);
      yield Wait.Block;
      if (submitter.accepted) break;
      statistics.retries++;
      if (++refusals === spec.retries.limit) {
        yield* this.copy(thread, submitter, tag);
        return;
      }
      thread.charge(Step.Doorbell, spec.retries.pause);
    }
    statistics.submission.add(scheduler.now() - this.startedAt[tag]!);
  }

  /** What the processor puts into the descriptor. */
  private *hostPasid(thread: Thread, { machine, pasid, mm }: Process): Call<number> {
    if (machine === null) return pasid;
    const { translate, exit } = this.system.enqcmd;
    for (;;) {
      thread.charge(Step.Doorbell, translate);
      yield Wait.Run;
      const host = machine.translate(pasid);
      if (host >= 0) return host;
      this.statistics.exits++;
      thread.charge(Step.Exit, exit);
      yield Wait.Run;
      machine.set(pasid, mm.pasid);
    }
  }

  private *copy(thread: Thread, submitter: Submitter, tag: number): Call<void> {
    const { scheduler, costs } = this.environment;
    this.statistics.fallbacks++;
    this.parts.charge(tag, Part.Submission, scheduler.now());
    thread.charge(Step.Copy, copyTime(costs, this.spec.size));
    yield Wait.Run;
    this.parts.charge(tag, Part.Copy, scheduler.now());
    this.end(submitter, tag);
  }

  private describe(submitter: Submitter, tag: number): void {
    const { spec, random, blocks } = this;
    let block = submitter.position;
    if (spec.pattern === 'random') block = random.below(blocks);
    else submitter.position = block + 1 === blocks ? 0 : block + 1;
    const descriptor = this.descriptors[tag]!;
    const source = submitter.source + block * spec.size;
    const target = submitter.target + block * spec.size;
    const record = submitter.records + (tag % spec.depth) * RECORD_BYTES;
    descriptor.bytes = spec.size;
    descriptor.sourceHi = Math.floor(source / TWO_32);
    descriptor.sourceLo = source | 0;
    descriptor.targetHi = Math.floor(target / TWO_32);
    descriptor.targetLo = target | 0;
    descriptor.recordHi = Math.floor(record / TWO_32);
    descriptor.recordLo = record | 0;
  }
}

/** Bytes of process memory that a thread uses: source, target, records, whole pages each. */
export function shareOf(window: number, depth: number): number {
  return (2 * Math.ceil(window / PAGE) + Math.ceil((depth * RECORD_BYTES) / PAGE)) * PAGE;
}

function blank(): WorkDescriptor {
  return { pasid: -1, bytes: 0, sourceHi: 0, sourceLo: 0, targetHi: 0, targetLo: 0, recordHi: 0, recordLo: 0 };
}

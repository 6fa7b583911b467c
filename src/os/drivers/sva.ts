/**
 * Processes that share their address spaces with a device: a thread posts DMAs over a window of each process in turn, with the PASID of the
 * process. Pages are all present and stay (as if pinned), or are touched by the thread some way ahead of the device, or are left to the device
 * to fault in. Other threads may page out single pages meanwhile, or unmap and map them again: a DMA in between faults. Binding happens
 * before the run. Not modelled: a thread for each process, pinning as a call with a time.
 */
import type { RandomStream } from '../../kernel/random.js';
import { Access } from '../../protocol/access.js';
import { DmaStatus } from '../../protocol/queue.js';
import type { MemoryManager } from '../mm/memory.js';
import type { Mm } from '../mm/mm.js';
import type { Sva, SvaDevice } from '../sva.js';
import { Step } from '../step.js';
import { type Call, type Cpu, type Program, type Thread, Wait } from '../thread.js';
import { Driver, type DriverEnvironment } from './driver.js';

export const PREFAULTS = ['none', 'ahead', 'all'] as const;

/** Shape of an sva job of a workload. */
export interface SvaSpec {
  readonly processes: number;
  /** Bytes of a DMA; bytes of each process's window, whole pages. */
  readonly size: number;
  readonly window: number;
  /** Percent of reads. */
  readonly reads: number;
  readonly pattern: 'random' | 'sequential';
  /** DMAs posted at a time, of all processes. */
  readonly outstanding: number;
  readonly prefault: (typeof PREFAULTS)[number];
  /** Pages that the thread is ahead of the device. */
  readonly ahead: number;
  /** Large pages where they fit (MADV_HUGEPAGE). */
  readonly huge: boolean;
  /** Time between page-outs of a random page, ps; 0: never. */
  readonly pageOut: number;
  /** Time between unmappings of a random page, which is mapped again at once, ps; 0: never. */
  readonly munmap: number;
}

/** One core each: the thread that posts, the one that pages out, the one that unmaps. */
export function threadsOfSva({ pageOut, munmap }: Pick<SvaSpec, 'pageOut' | 'munmap'>): number {
  return 1 + (pageOut > 0 ? 1 : 0) + (munmap > 0 ? 1 : 0);
}

/** What processes of the job run in. */
export interface SvaSystem {
  readonly manager: MemoryManager;
  readonly sva: Sva;
  readonly target: SvaDevice;
}

const PAGE = 4096;
const HUGE = 2 ** 21;
/** Where each process has its window. */
const BASE = 2 ** 32;

interface Transfer {
  readonly address: number;
  readonly access: Access;
}

/** Of those whose threads are not ahead. */
const NOTHING_UPCOMING: Transfer[] = [];

interface Process {
  readonly mm: Mm;
  /** Of `mm`, which may be one of a million: not looked up there for every DMA. */
  readonly pasid: number;
  /** Drawn and touched, but not posted. */
  readonly upcoming: Transfer[];
  position: number;
}

export class SvaJob extends Driver {
  readonly tags: number;
  /** DMAs that the device reported as not translated. */
  faults = 0;
  private readonly processes: Process[];
  private readonly free: number[] = [];
  private readonly startedAt: Float64Array;
  private readonly blocks: number;
  /** The thread touches pages ahead of the device. */
  private readonly ahead: boolean;
  private turn = 0;
  private idle = false;

  /** `firstTag`: DMAs carry the tags from it on. `cpus`: of the posting thread, and of the one that pages out if there is one. */
  constructor(
    name: string,
    private readonly spec: SvaSpec,
    private readonly firstTag: number,
    private readonly random: RandomStream,
    cpus: readonly Cpu[],
    private readonly system: SvaSystem,
    environment: DriverEnvironment,
  ) {
    super(name, environment);
    this.tags = spec.outstanding;
    this.ahead = spec.prefault === 'ahead';
    this.blocks = Math.floor(spec.window / spec.size);
    this.startedAt = new Float64Array(this.tags);
    for (let tag = this.tags - 1; tag >= 0; tag--) this.free.push(tag);
    this.processes = Array.from({ length: spec.processes }, () => this.process());
    const { scheduler } = environment;
    this.threads.push(scheduler.spawn(name, cpus[0]!, (thread) => this.program(thread)));
    let next = 1;
    if (spec.pageOut > 0)
      this.threads.push(scheduler.spawn(`${name}/pageout`, cpus[next++]!, (thread) => this.pagingOut(thread)));
    if (spec.munmap > 0)
      this.threads.push(scheduler.spawn(`${name}/munmap`, cpus[next]!, (thread) => this.remapping(thread)));
  }

  completed(tag: number, status: DmaStatus): void {
    const slot = tag - this.firstTag;
    const { scheduler, costs } = this.environment;
    if (status !== DmaStatus.Ok) this.faults++;
    this.free.push(slot);
    this.operationDone(scheduler.now() - this.startedAt[slot]!);
    if (!this.idle) return;
    this.idle = false;
    scheduler.wake(this.threads[0]!, costs.completion);
  }

  override resetStatistics(): void {
    super.resetStatistics();
    this.faults = 0;
  }

  private process(): Process {
    const { manager, sva, target } = this.system;
    const { window, huge, prefault } = this.spec;
    const mm = manager.create();
    manager.addRegion(mm, BASE, Math.ceil(window / PAGE) * PAGE, { huge });
    if (prefault === 'all') manager.populate(mm, BASE, window);
    const { pasid } = sva.bindAtBoot(target, mm);
    return { mm, pasid, upcoming: prefault === 'ahead' ? [] : NOTHING_UPCOMING, position: 0 };
  }

  private *program(thread: Thread): Program {
    const { scheduler, costs, queue, device } = this.environment;
    for (;;) {
      if (this.free.length === 0) {
        scheduler.block(thread, Step.Completion);
        this.idle = true;
        yield Wait.Block;
      }
      const process = this.processes[this.turn]!;
      this.turn = (this.turn + 1) % this.processes.length;
      const { address, access } = this.ahead ? yield* this.draw(thread, process) : this.next(process);
      thread.charge(Step.Doorbell, costs.mmioWrite);
      if (!scheduler.passes(thread)) yield Wait.Run;
      const slot = this.free.pop()!;
      this.startedAt[slot] = scheduler.now();
      const [hi, lo] = [Math.floor(address / 2 ** 32), address | 0];
      queue.post(device.id, this.firstTag + slot, hi, lo, this.spec.size, access, process.pasid);
    }
  }

  /** The next transfer of a thread that is ahead: it has decided on more, and touched their pages. */
  private *draw(thread: Thread, process: Process): Call<Transfer> {
    const { ahead, size } = this.spec;
    const { mm, upcoming } = process;
    const wanted = 1 + Math.ceil((ahead * PAGE) / size);
    while (upcoming.length < wanted) {
      const transfer = this.next(process);
      upcoming.push(transfer);
      const { address, access } = transfer;
      const last = address + size - 1;
      for (let at = address; at <= last; at = (Math.floor(at / PAGE) + 1) * PAGE) {
        yield* this.system.manager.touch(thread, mm, at, access);
      }
    }
    if (thread.debt !== 0) yield Wait.Run;
    return upcoming.shift()!;
  }

  private next(process: Process): Transfer {
    const { random, blocks, spec } = this;
    let block = process.position;
    if (spec.pattern === 'random') block = random.below(blocks);
    else process.position = block + 1 === blocks ? 0 : block + 1;
    const { reads } = spec;
    const access = reads === 100 || (reads > 0 && random.below(100) < reads) ? Access.Read : Access.Write;
    return { address: BASE + block * spec.size, access };
  }

  private *remapping(thread: Thread): Program {
    const { scheduler } = this.environment;
    const { manager } = this.system;
    const { munmap, window, huge, prefault } = this.spec;
    const unit = huge && window >= HUGE ? HUGE : PAGE;
    const units = Math.floor(window / unit);
    for (;;) {
      scheduler.sleepFor(thread, Step.Completion, munmap);
      yield Wait.Block;
      const { mm } = this.processes[this.random.below(this.processes.length)]!;
      const address = BASE + this.random.below(units) * unit;
      yield* manager.munmap(thread, mm, address, unit);
      yield* manager.mmap(thread, mm, address, unit, { huge });
      // MAP_POPULATE: what is to be present is touched at once.
      if (prefault === 'all') yield* manager.touch(thread, mm, address, Access.Write);
      if (thread.debt !== 0) yield Wait.Run;
    }
  }

  private *pagingOut(thread: Thread): Program {
    const { scheduler } = this.environment;
    const { pageOut, window } = this.spec;
    const pages = Math.ceil(window / PAGE);
    for (;;) {
      scheduler.sleepFor(thread, Step.Completion, pageOut);
      yield Wait.Block;
      const { mm } = this.processes[this.random.below(this.processes.length)]!;
      yield* this.system.manager.pageOut(thread, mm, BASE + this.random.below(pages) * PAGE, PAGE);
      if (thread.debt !== 0) yield Wait.Run;
    }
  }
}

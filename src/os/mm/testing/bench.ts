/** A machine for tests of memory management: CPUs, memory and processes; no devices. */
import { Kernel } from '../../../kernel/kernel.js';
import { FrameAllocator } from '../../../memory/frames.js';
import { PhysicalMemory } from '../../../memory/physical.js';
import { compileFormat, type Format, Permission } from '../../../pagetable/format.js';
import { armv8 } from '../../../pagetable/formats/armv8.js';
import { riscv } from '../../../pagetable/formats/riscv.js';
import { x86FirstStage } from '../../../pagetable/formats/x86_64.js';
import { runWalk, Step, Walk } from '../../../pagetable/walk.js';
import type { Access } from '../../../protocol/access.js';
import { Scheduler, type TurnCosts } from '../../scheduler.js';
import type { Program, Thread } from '../../thread.js';
import { MemoryManager } from '../memory.js';
import type { Mm } from '../mm.js';
import type { MmCosts, MmSpec } from '../spec.js';

export const FORMATS: Readonly<Record<string, Format>> = {
  x86_64: compileFormat(x86FirstStage({ hostAddressWidth: 46, largestPageLg2: 30, executeDisable: true })),
  'x86_64 shared': compileFormat(x86FirstStage({ hostAddressWidth: 46, largestPageLg2: 30, executeDisable: false })),
  armv8: compileFormat(armv8({ stage: 1, granuleLg2: 12, hostAddressWidth: 48, updates: 'dirty', contiguous: false })),
  'armv8 without updates': compileFormat(
    armv8({ stage: 1, granuleLg2: 12, hostAddressWidth: 48, updates: 'none', contiguous: false }),
  ),
  riscv: compileFormat(
    riscv({ hostAddressWidth: 56, secondStage: false, hardwareUpdates: true, napot: false, pageTypes: false }),
  ),
  'riscv without updates': compileFormat(
    riscv({ hostAddressWidth: 56, secondStage: false, hardwareUpdates: false, napot: false, pageTypes: false }),
  ),
};

export const FREE: MmCosts = {
  exception: 0,
  lock: 0,
  vmaLookup: 0,
  fault: 0,
  allocatePage: 0,
  clearPage: 0,
  updatePage: 0,
  submitIo: 0,
  call: 0,
  callPage: 0,
  callTable: 0,
  freePage: 0,
  shootdown: 0,
  scanPage: 0,
  evictPage: 0,
};

/** Everything is free but what the test names. */
export function mmSpec(options: Partial<Omit<MmSpec, 'costs'>> & { readonly costs?: Partial<MmCosts> } = {}): MmSpec {
  const { limit = Number.POSITIVE_INFINITY, cluster = 32, storage = { latency: 0, interval: 0 } } = options;
  return { limit, cluster, storage, costs: { ...FREE, ...options.costs } };
}

export class MmBench {
  readonly kernel = new Kernel();
  readonly memory = new PhysicalMemory();
  readonly frames: FrameAllocator;
  readonly scheduler: Scheduler;
  readonly manager: MemoryManager;
  private readonly walk = new Walk();
  private cpu = 0;

  constructor(
    spec: MmSpec = mmSpec(),
    readonly format: Format = FORMATS['x86_64']!,
    bytes = 2 ** 34,
    turns: TurnCosts = { wakeLatency: 0, contextSwitch: 0 },
  ) {
    this.frames = new FrameAllocator(2 ** 32, bytes);
    const cpus = Array.from({ length: 8 }, () => ({ socket: 0, frequency: 3e9 }));
    this.scheduler = new Scheduler(this.kernel, cpus, 0, 0, turns);
    this.manager = new MemoryManager(this.scheduler, spec, this.memory, this.frames, format, 4);
  }

  get now(): number {
    return this.kernel.clock[0]!;
  }

  /** Runs a program on the next CPU, when `run` is called. */
  thread(program: (thread: Thread) => Program, delay = 0): Thread {
    const cpu = this.cpu++;
    const thread = this.scheduler.spawn(`cpu ${cpu}`, this.scheduler.cpus[cpu]!, program);
    this.scheduler.start(thread, delay);
    return thread;
  }

  run(): void {
    for (let event = this.kernel.next(); event !== null; event = this.kernel.next()) this.scheduler.threadStep(event);
  }

  /** What hardware finds at the address for a user's access: the physical address, or -1. It sets accessed and dirty bits as it does so. */
  translate(mm: Mm, address: number, access: Access): number {
    const { walk } = this;
    walk.inputHi = Math.floor(address / 2 ** 32);
    walk.inputLo = address | 0;
    walk.access = access | Permission.User;
    const step = runWalk(this.format, walk, this.memory, Math.floor(mm.root / 2 ** 32), mm.root | 0, 4);
    return step === Step.Done ? (walk.outHi >>> 0) * 2 ** 32 + (walk.outLo >>> 0) : -1;
  }

  /** log2 of the page size that the last translation found. */
  get sizeLg2(): number {
    return this.walk.sizeLg2;
  }
}

/**
 * One virtio-iommu device as its driver sees it: request queue, event queue filled with buffers, domain ids. What happens at boot uses the
 * boot register, which takes no time, with a buffer of its own for each request.
 */
import { FAULT_BYTES, Queue, Register, tailOffset } from '../../iommu/arch/virtio/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import { writeDwords } from '../../memory/words.js';
import type { UnitSpec } from '../spec.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { lower, upper } from './address.js';
import { RequestQueue, RingMemory } from './queue.js';

const PAGE = 4096;
const BUFFER = 64;

export class VirtioUnit {
  readonly queue: RequestQueue;
  private readonly freeIds: number[] = [];
  private nextId = 0;
  /** Buffers of boot requests: page in use and first free byte of it. */
  private page = 0;
  private offset = PAGE;

  constructor(
    readonly id: number,
    readonly spec: UnitSpec,
    private readonly frames: FrameAllocator,
    private readonly environment: UnitDriverEnvironment,
  ) {
    const size = 1 << spec.invalidation.sizeLg2;
    this.queue = new RequestQueue(id, size, frames, environment);
    const events = new RingMemory(id, Queue.Event, size, frames, environment);
    const buffers = frames.allocateContiguous(size * FAULT_BYTES, PAGE);
    for (let i = 0; i < size; i++) {
      events.describe(i, buffers + i * FAULT_BYTES, FAULT_BYTES, true, -1);
      events.offer(i, i);
    }
    // Linux leaves what firmware has chosen; here an endpoint without domain reaches nothing.
    environment.registers.write(id, Register.Bypass, 0, 0, 0);
  }

  allocateDomainId(): number {
    return this.freeIds.pop() ?? this.nextId++;
  }

  freeDomainId(id: number): void {
    this.freeIds.push(id);
  }

  /** Executes a request in no time. */
  boot(words: Int32Array): void {
    if (this.offset === PAGE) {
      this.page = this.frames.allocate();
      this.offset = 0;
    }
    const address = this.page + this.offset;
    this.offset += BUFFER;
    writeDwords(this.environment.memory, address, words, tailOffset(words[0]!) / 4);
    this.environment.registers.write(this.id, Register.Boot, upper(address), lower(address), 0);
  }
}

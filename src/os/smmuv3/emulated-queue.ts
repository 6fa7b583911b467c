/**
 * The command queue of a virtual SMMUv3 (QEMU hw/arm/smmuv3.c, smmuv3_cmdq_consume, with its accelerated variant): a write of CMDQ_PROD
 * leaves the guest, and the monitor executes every new command before it returns. Invalidations are collected and handed to the
 * host's kernel at a CMD_SYNC, at the end of the queue, or when there are enough; the host issues them in blocks of 63 with a
 * CMD_SYNC each (arm_vsmmu_cache_invalidate, arm-smmu-v3-iommufd.c). The virtual unit has no messages: the guest polls CMDQ_CONS, and
 * every read leaves it too. Not modelled: command errors, completion interrupts.
 */
import { COMMAND_LG2, COMMAND_WORDS, Opcode } from '../../iommu/arch/smmuv3/format.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import type { Monitor } from '../guest/monitor.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { QueuePort } from './port.js';
import { BATCH, Batch, type CommandQueue } from './queue.js';
import { delayBefore } from './register-poll.js';

/** Commands of one block of the host (CMDQ_BATCH_ENTRIES - 1). */
const BLOCK = BATCH - 1;

export class EmulatedQueue implements QueuePort {
  private consumer = 0;
  private readonly collected: Int32Array;
  private count = 0;
  private readonly batch = new Batch();

  constructor(
    /** Byte address of the guest's ring, and its number of commands. */
    private readonly ring: number,
    private readonly slots: number,
    private readonly host: CommandQueue,
    private readonly monitor: Monitor,
    private readonly memory: PhysicalMemory,
  ) {
    this.collected = new Int32Array(monitor.spec.batch * COMMAND_WORDS);
  }

  publish(thread: Thread, until: number): Call<void> {
    return this.monitor.trap(thread, this.execute(thread, until));
  }

  *consumed(thread: Thread, position: number): Call<void> {
    for (let read = 0; ; read++) {
      const delay = delayBefore(read);
      if (delay > 0) {
        thread.chargeExactly(Step.Completion, delay);
        yield Wait.Delay;
      }
      let seen = 0;
      const { monitor } = this;
      const look = function* (queue: EmulatedQueue): Call<void> {
        monitor.emulate(thread);
        if (thread.debt !== 0) yield Wait.Run;
        seen = queue.consumer;
      };
      yield* monitor.trap(thread, look(this));
      if (seen > position) return;
    }
  }

  private *execute(thread: Thread, until: number): Call<void> {
    const { monitor, collected } = this;
    for (let position = this.consumer; position < until; position++) {
      monitor.emulate(thread);
      const at = COMMAND_WORDS * this.count;
      this.fetch(position, at);
      if ((collected[at]! & 0xff) === Opcode.CMD_SYNC) yield* this.hand(thread);
      else if (++this.count === monitor.spec.batch) yield* this.hand(thread);
      if (thread.debt !== 0) yield Wait.Run;
      this.consumer = position + 1;
    }
    yield* this.hand(thread);
  }

  /** What has been collected goes to the host. */
  private *hand(thread: Thread): Call<void> {
    if (this.count === 0) return;
    yield* this.monitor.call(thread, this.issue(thread));
    this.count = 0;
  }

  private *issue(thread: Thread): Call<void> {
    const { batch, collected, count } = this;
    for (let from = 0; from < count; from += BLOCK) {
      const until = Math.min(count, from + BLOCK);
      for (let i = from; i < until; i++) {
        const at = batch.next();
        for (let word = 0; word < COMMAND_WORDS; word++) batch.words[at + word] = collected[i * COMMAND_WORDS + word]!;
      }
      yield* this.host.submit(thread, batch, true);
    }
  }

  private fetch(position: number, at: number): void {
    const { memory, collected } = this;
    const address = this.ring + ((position % this.slots) << COMMAND_LG2);
    for (let word = 0; word < COMMAND_WORDS; word += 2) {
      memory.read(Math.floor(address / 2 ** 32), (address + 4 * word) | 0);
      collected[at + word] = memory.wordLo;
      collected[at + word + 1] = memory.wordHi;
    }
  }
}

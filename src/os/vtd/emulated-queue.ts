/**
 * The invalidation queue of a virtual VT-d unit (QEMU hw/i386/intel_iommu.c, vtd_handle_iqt_write): a write of the tail register leaves
 * the guest, and the monitor executes every new descriptor before it returns. Invalidations of shadowed domains bring their
 * shadow up to date, all others go to the host's queue one by one (drivers/iommu/intel/nested.c); a wait descriptor stores its
 * status. Domain ids of guest and host are the same here. Not modelled: descriptor errors, completion interrupts.
 */
import { Descriptor, DescriptorType, decodeDescriptor, Granularity } from '../../iommu/arch/vtd/format.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import type { Monitor } from '../guest/monitor.js';
import type { Shadow } from '../guest/shadow.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { Doorbell } from './doorbell.js';
import { DESCRIPTOR_WORDS, type InvalidationQueue, type QueueLayout } from './queue.js';

/** More than any unit has: limits on addresses are the hardware's business. */
const ANY_MASK = 63;
const PAGE = 4096;

export class EmulatedQueue implements Doorbell {
  /** Of domains by id. */
  readonly shadows: Map<number, Shadow> = new Map<number, Shadow>();
  private head = 0;
  private readonly words = new Int32Array(DESCRIPTOR_WORDS);
  private readonly descriptor = new Descriptor();

  constructor(
    private readonly layout: QueueLayout,
    private readonly host: InvalidationQueue,
    private readonly monitor: Monitor,
    private readonly memory: PhysicalMemory,
  ) {}

  ring(thread: Thread, tail: number): Call<void> {
    return this.monitor.trap(thread, this.execute(thread, tail));
  }

  private *execute(thread: Thread, tail: number): Call<void> {
    const { slots, descriptorLg2 } = this.layout;
    const { descriptor, words } = this;
    for (; this.head !== tail; this.head = (this.head + 1) % slots) {
      this.fetch(this.head);
      if (!decodeDescriptor(words, descriptorLg2 === 5, ANY_MASK, descriptor)) {
        throw new Error(`${thread.name} submitted a descriptor that is not legal`);
      }
      this.monitor.emulate(thread);
      if (descriptor.type === DescriptorType.Wait) {
        if (thread.debt !== 0) yield Wait.Run;
        this.storeStatus();
        continue;
      }
      const shadow = descriptor.type === DescriptorType.Iotlb ? this.shadows.get(descriptor.domain) : undefined;
      if (shadow === undefined) yield* this.monitor.call(thread, this.host.submit(thread, words, 1));
      else yield* this.sync(thread, shadow);
    }
  }

  private sync(thread: Thread, shadow: Shadow): Call<void> {
    const { granularity, addressHi, addressLo, addressMask } = this.descriptor;
    if (granularity !== Granularity.Selective) return shadow.sync(thread, 0, Infinity);
    const start = (addressHi >>> 0) * 2 ** 32 + (addressLo >>> 0);
    return shadow.sync(thread, start, start + PAGE * 2 ** addressMask);
  }

  private fetch(slot: number): void {
    const { ring, descriptorLg2 } = this.layout;
    const bytes = 1 << descriptorLg2;
    const address = ring + slot * bytes;
    this.words.fill(0);
    for (let at = 0; at < bytes; at += 8) {
      this.memory.read(Math.floor(address / 2 ** 32), ((address + at) % 2 ** 32) | 0);
      this.words[at >> 2] = this.memory.wordLo;
      this.words[(at >> 2) + 1] = this.memory.wordHi;
    }
  }

  private storeStatus(): void {
    const { addressHi: hi, addressLo: lo, statusData } = this.descriptor;
    this.memory.read(hi, lo);
    const upper = (lo & 4) !== 0;
    this.memory.write(hi, lo & ~7, upper ? statusData : this.memory.wordHi, upper ? this.memory.wordLo : statusData);
  }
}

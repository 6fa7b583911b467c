/**
 * The device's view of a split virtqueue (virtio specification 1.2, 2.7): takes chains of two descriptors, or of one, and gives them back.
 * Functional: whoever uses it spends the time. Not modelled: indirect descriptors, longer chains, event indices, interrupts.
 */
import type { PhysicalMemory } from '../../../memory/physical.js';
import { readDword, readHalf, writeDword, writeHalf } from '../../../memory/words.js';
import { DescriptorFlag, Ring } from './format.js';

export class Virtqueue {
  size = 0;
  enabled = false;
  descriptors = 0;
  available = 0;
  used = 0;
  /** Chains taken and given back so far, modulo 65536. */
  private taken = 0;
  private given = 0;
  /** Head of the chain taken last, its readable and its writable buffer. */
  head = 0;
  readAddress = 0;
  readBytes = 0;
  writeAddress = 0;
  writeBytes = 0;

  constructor(private readonly memory: PhysicalMemory) {}

  /** Chains taken and not given back. */
  get inHand(): number {
    return (this.taken - this.given) & 0xffff;
  }

  /** Address of the ring entry that is taken next. */
  get nextEntry(): number {
    return this.available + Ring.HeaderBytes + Ring.AvailableEntry * (this.taken % this.size);
  }

  get empty(): boolean {
    return !this.enabled || readHalf(this.memory, this.available + 2) === this.taken;
  }

  /** Address of the descriptor that heads the next chain. */
  nextDescriptor(): number {
    return this.descriptors + Ring.DescriptorBytes * readHalf(this.memory, this.nextEntry);
  }

  /** Takes the next chain; there must be one. */
  take(): void {
    this.head = readHalf(this.memory, this.nextEntry);
    this.taken = (this.taken + 1) & 0xffff;
    this.readBytes = 0;
    this.writeBytes = 0;
    let index = this.head;
    for (let i = 0; i < 2; i++) {
      const at = this.descriptors + Ring.DescriptorBytes * index;
      const { memory } = this;
      const address = readDword(memory, at + 4) * 2 ** 32 + (readDword(memory, at) >>> 0);
      const bytes = readDword(memory, at + 8);
      const flags = readHalf(memory, at + 12);
      if ((flags & DescriptorFlag.Write) !== 0) {
        this.writeAddress = address;
        this.writeBytes = bytes;
      } else {
        this.readAddress = address;
        this.readBytes = bytes;
      }
      if ((flags & DescriptorFlag.Next) === 0) break;
      index = readHalf(memory, at + 14);
    }
  }

  /** Address of the used ring entry that is written next. */
  get nextUsed(): number {
    return this.used + Ring.HeaderBytes + Ring.UsedEntry * (this.given % this.size);
  }

  /** Gives the chain taken last back, with `bytes` written to it. */
  give(bytes: number): void {
    const { memory } = this;
    const at = this.nextUsed;
    writeDword(memory, at, this.head);
    writeDword(memory, at + 4, bytes);
    this.given = (this.given + 1) & 0xffff;
    writeHalf(memory, this.used + 2, this.given);
  }
}

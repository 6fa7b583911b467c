/**
 * The command buffer of a virtual AMD-Vi unit (QEMU hw/i386/amd_iommu.c, amdvi_cmdbuf_run): every write of the tail register leaves the
 * guest, and the monitor executes the new commands before it returns. Invalidations of shadowed domains bring their shadow up to date,
 * others go to the host's command buffer one by one; COMPLETION_WAIT stores its data. Domain ids of guest and host are the same
 * here. Not modelled: command errors, completion interrupts.
 */
import { Command, decodeCommand, ENTRY_LG2, Opcode } from '../../iommu/arch/amdvi/format.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import type { Monitor } from '../guest/monitor.js';
import type { Shadow } from '../guest/shadow.js';
import { type Call, type Thread, Wait } from '../thread.js';
import { COMMAND_WORDS, type CommandBuffer, type RingLayout } from './command-buffer.js';

const PAGE = 4096;

export class EmulatedBuffer {
  /** Of host domains by id. */
  readonly shadows: Map<number, Shadow> = new Map<number, Shadow>();
  private head = 0;
  private readonly words = new Int32Array(COMMAND_WORDS);
  private readonly command = new Command();

  constructor(
    private readonly layout: RingLayout,
    private readonly host: CommandBuffer,
    private readonly monitor: Monitor,
    private readonly memory: PhysicalMemory,
  ) {}

  /** The write of the tail register: commands before slot `tail` are in memory. Returns when the guest goes on. */
  ring(thread: Thread, tail: number): Call<void> {
    return this.monitor.trap(thread, this.execute(thread, tail));
  }

  private *execute(thread: Thread, tail: number): Call<void> {
    const { command, monitor } = this;
    for (; this.head !== tail; this.head = (this.head + 1) % this.layout.slots) {
      this.fetch(this.head);
      if (!decodeCommand(this.words, command)) throw new Error(`${thread.name} queued a command that is not legal`);
      monitor.emulate(thread);
      if (command.opcode === Opcode.CompletionWait) {
        if (thread.debt !== 0) yield Wait.Run;
        this.memory.write(command.addressHi, command.addressLo, command.dataHi, command.dataLo);
        continue;
      }
      const pages = command.opcode === Opcode.InvalidatePages && !command.guest;
      const shadow = pages ? this.shadows.get(command.domain) : undefined;
      if (shadow === undefined) yield* monitor.call(thread, this.forward(thread));
      else {
        const start = (command.addressHi >>> 0) * 2 ** 32 + (command.addressLo >>> 0);
        yield* shadow.sync(thread, start, start + PAGE * 2 ** command.addressMask);
      }
    }
  }

  private *forward(thread: Thread): Call<void> {
    yield* this.host.queue(thread, this.words);
    yield* this.host.completion(thread);
  }

  private fetch(slot: number): void {
    const address = this.layout.ring + (slot << ENTRY_LG2);
    for (let word = 0; word < COMMAND_WORDS; word += 2) {
      this.memory.read(Math.floor(address / 2 ** 32), (address + 4 * word) | 0);
      this.words[word] = this.memory.wordLo;
      this.words[word + 1] = this.memory.wordHi;
    }
  }
}

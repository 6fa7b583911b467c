/** The operating system alone over fake SMMUv3 units, which only execute their command queues: CMD_SYNC by MSI or by CMDQ_CONS. */
import {
  Command,
  COMMAND_LG2,
  Completion,
  decodeCommand,
  Opcode,
  queueBaseLo,
  queueSizeLg2,
  Register,
} from '../../../iommu/arch/smmuv3/format.js';
import { Event } from '../../../kernel/event.js';
import { Op } from '../../../protocol/op.js';
import { type MachineOptions, TestMachine } from '../../testing/machine.js';

export interface SeenSmmuCommand {
  readonly opcode: Opcode;
  readonly sid: number;
  readonly ssid: number;
  readonly vmid: number;
  readonly asid: number;
  readonly address: number;
  readonly pages: number;
  readonly leaf: boolean;
}

export class SmmuMachine extends TestMachine {
  readonly seen: SeenSmmuCommand[] = [];
  private readonly base: { address: number; slots: number; head: number }[] = [];

  constructor(options: MachineOptions = {}) {
    const unit = { architecture: 'smmuv3', mode: 'native', stage: 'first', hostAddressWidth: 48 } as const;
    super({ ...options, unit: { ...unit, ...options.unit } });
  }

  override write(unit: number, offset: number, hi: number, lo: number, flightPs: number): void {
    this.registerWrites.push({ unit, offset, hi, lo });
    if (offset !== Register.CommandQueueProducer) return;
    const event = new Event();
    event.unit = unit;
    event.value = lo;
    this.kernel.after(flightPs, event, Op.MmioWrite);
  }

  protected override execute(unit: number, producer: number): void {
    const queue = this.queueOf(unit);
    const words = new Int32Array(4);
    for (; queue.head !== producer; queue.head = (queue.head + 1) % (2 * queue.slots)) {
      const address = queue.address + ((queue.head % queue.slots) << COMMAND_LG2);
      for (const at of [0, 8]) {
        this.memory.read(Math.floor(address / 2 ** 32), ((address + at) % 2 ** 32) | 0);
        words[at >> 2] = this.memory.wordLo;
        words[(at >> 2) + 1] = this.memory.wordHi;
      }
      const command = new Command();
      if (!decodeCommand(words, true, command)) throw new Error(`unit ${unit}: illegal command`);
      this.see(command);
      if (command.opcode === Opcode.CMD_SYNC && command.completion === Completion.None) {
        this.os.changed(unit, Register.CommandQueueConsumer, 0, (queue.head + 1) % (2 * queue.slots));
      }
    }
  }

  private queueOf(unit: number): { address: number; slots: number; head: number } {
    const known = this.base[unit];
    if (known !== undefined) return known;
    const { hi, lo } = this.registerWrites.find((w) => w.unit === unit && w.offset === Register.CommandQueueBase)!;
    const address = hi * 2 ** 32 + (queueBaseLo(lo) >>> 0);
    const queue = { address, slots: 2 ** queueSizeLg2(lo), head: 0 };
    this.base[unit] = queue;
    return queue;
  }

  private see(c: Command): void {
    const { opcode, sid, ssid, vmid, asid, pages, leaf, addressHi: hi, addressLo: lo } = c;
    this.seen.push({ opcode, sid, ssid, vmid, asid, address: hi * 2 ** 32 + (lo >>> 0), pages, leaf });
    if (opcode !== Opcode.CMD_SYNC || c.completion === Completion.None) return;
    this.memory.read(hi, lo & ~7);
    this.memory.write(hi, lo & ~7, this.memory.wordHi, c.data);
    this.os.stored(hi, lo);
  }
}

/** The operating system alone over fake AMD-Vi units, which only execute their command buffers. */
import {
  Command,
  decodeCommand,
  ENTRY_LG2,
  Opcode,
  pointerLo,
  Register,
  ringEntriesLg2,
} from '../../../iommu/arch/amdvi/format.js';
import { Event } from '../../../kernel/event.js';
import { Op } from '../../../protocol/op.js';
import type { UnitSpec } from '../../spec.js';
import { type MachineOptions, TestMachine } from '../../testing/machine.js';

export interface SeenAmdCommand {
  readonly unit: number;
  /** When it was executed. */
  readonly at: number;
  readonly opcode: Opcode;
  readonly device: number;
  readonly domain: number;
  /** -1: GN = 0. */
  readonly pasid: number;
  readonly address: number;
  readonly addressMask: number;
  readonly directories: boolean;
}

const UNIT: Partial<UnitSpec> = {
  architecture: 'amdvi',
  mode: 'native',
  levels: 3,
  deviceLevels: 1,
  processLevels: 2,
  hostAddressWidth: 48,
  invalidation: { sizeLg2: 9, maxAddressMask: 40, queues: 1 },
  faults: { records: 512, stalls: 0, pageRequests: 512 },
};

export class AmdMachine extends TestMachine {
  readonly seen: SeenAmdCommand[] = [];
  private readonly heads: number[] = [];

  constructor(options: MachineOptions = {}) {
    super({ ...options, unit: { ...UNIT, ...options.unit } });
  }

  /** Invalidations that units have executed since the last call, waits left out. */
  takeInvalidations(): SeenAmdCommand[] {
    return this.seen.splice(0).filter(({ opcode }) => opcode !== Opcode.CompletionWait);
  }

  override write(unit: number, offset: number, hi: number, lo: number, flightPs: number): void {
    this.registerWrites.push({ unit, offset, hi, lo });
    if (offset !== Register.CommandTail) return;
    const event = new Event();
    event.unit = unit;
    event.value = lo;
    this.kernel.after(flightPs, event, Op.MmioWrite);
  }

  protected override execute(unit: number, tail: number): void {
    const base = this.registerWrites.find((w) => w.unit === unit && w.offset === Register.CommandBufferBase)!;
    const ring = (base.hi & 0xfffff) * 2 ** 32 + (pointerLo(base.lo) >>> 0);
    const bytes = 1 << (ringEntriesLg2(base.hi) + ENTRY_LG2);
    const words = new Int32Array(4);
    for (let head = this.heads[unit] ?? 0; head !== tail; head = (head + 16) % bytes) {
      this.heads[unit] = (head + 16) % bytes;
      for (const at of [0, 8]) {
        const address = ring + head + at;
        this.memory.read(Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0);
        words[at >> 2] = this.memory.wordLo;
        words[(at >> 2) + 1] = this.memory.wordHi;
      }
      const command = new Command();
      if (!decodeCommand(words, command)) throw new Error(`unit ${unit}: illegal command`);
      this.see(unit, command);
    }
  }

  private see(unit: number, c: Command): void {
    const { opcode, device, domain, addressMask, directories, addressHi: hi, addressLo: lo } = c;
    const pasid = c.guest ? c.pasid : -1;
    const address = hi * 2 ** 32 + (lo >>> 0);
    this.seen.push({ unit, at: this.now, opcode, device, domain, pasid, address, addressMask, directories });
    if (opcode !== Opcode.CompletionWait) return;
    this.memory.write(hi, lo, c.dataHi, c.dataLo);
    this.os.stored(hi, lo);
  }
}

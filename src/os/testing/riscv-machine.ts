/** The test machine with RISC-V units: they execute each command a fixed time after its doorbell, and software sees the head move. */
import {
  COMMAND_LG2,
  DecodedCommand,
  decodeCommand,
  pointerHi,
  pointerLo,
  Register,
} from '../../iommu/arch/riscv/format.js';
import type { UnitSpec } from '../spec.js';
import { type MachineOptions, TestMachine, UNIT } from './machine.js';

export const RISCV_UNIT: UnitSpec = {
  ...UNIT,
  architecture: 'riscv',
  mode: 'native',
  stage: 'first',
  levels: 4,
  deviceLevels: 3,
  processLevels: 0,
  invalidation: { sizeLg2: 8, maxAddressMask: 52, queues: 1 },
};

/** Where a unit's ring is and how far it has got. */
interface Ring {
  base: number;
  slots: number;
  head: number;
}

const RULES = { nonLeaf: true, ranges: true, wiredFences: false };

export class RiscvTestMachine extends TestMachine {
  /** Commands as units executed them. */
  declare executed: (DecodedCommand & { readonly unit: number; readonly at: number })[];
  /** By unit; they boot while the base class is under construction. */
  declare private rings: Map<number, Ring>;

  constructor(options: MachineOptions = {}) {
    super({ ...options, unit: { ...RISCV_UNIT, ...options.unit } });
  }

  override write(unit: number, offset: number, hi: number, lo: number, flightPs: number): void {
    this.registerWrites.push({ unit, offset, hi, lo });
    if (offset === Register.CommandQueueBase) {
      this.rings ??= new Map();
      this.executed ??= [];
      const base = pointerHi(hi, lo) * 2 ** 32 + (pointerLo(lo) >>> 0);
      this.rings.set(unit, { base, slots: 2 ** ((lo & 31) + 1), head: 0 });
    }
    if (offset === Register.CommandQueueTail) this.doorbell(unit, lo, flightPs);
  }

  protected override execute(unit: number, tail: number): void {
    const ring = this.rings.get(unit)!;
    const words = new Int32Array(4);
    for (; ring.head !== tail; ring.head = (ring.head + 1) % ring.slots) {
      const address = ring.base + ring.head * 2 ** COMMAND_LG2;
      const [hi, lo] = [Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0];
      for (const at of [0, 8]) {
        this.memory.read(hi, lo + at);
        words[at / 4] = this.memory.wordLo;
        words[at / 4 + 1] = this.memory.wordHi;
      }
      const command = new DecodedCommand();
      if (!decodeCommand(words, RULES, command)) throw new Error(`unit ${unit}: illegal command`);
      this.executed.push(Object.assign(command, { unit, at: this.now }));
      this.os.stored(hi, lo);
    }
  }
}

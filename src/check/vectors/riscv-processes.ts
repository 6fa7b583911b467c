/**
 * The process directory of one generated RISC-V device: its processes, sound and broken (RISC-V IOMMU specification 1.0, section
 * "Process-Directory-Table").
 */
import {
  type Capabilities,
  directoryEntry,
  flawedDirectoryEntry,
  flawedProcessContext,
  modeOfLevels,
  processDirectoryLevels,
  rootWord,
} from './riscv-directories.js';
import type { FirstStage } from './riscv-first-stage.js';
import type { GuestSpace, Workshop } from './riscv-guest.js';
import { PAGE, Radix, type TablePage, WINDOW_START } from './riscv-image.js';

/** Bits of a process id by mode: Bare takes any, then PD8, PD17, PD20. */
const PID_BITS = [20, 8, 17, 20];

/** What a process context says. */
export interface Process {
  readonly pid: number;
  /** null: Bare. */
  readonly first: FirstStage | null;
  /** ENS and SUM. */
  readonly supervisor: boolean;
  readonly userMemory: boolean;
}

export class ProcessDirectory {
  readonly #radix: Radix | null;
  readonly #pids = new Set<number>();

  /** @param root null: the directory is Bare, and `mode` 0. */
  constructor(
    private readonly workshop: Workshop,
    private readonly capabilities: Capabilities,
    private readonly guest: GuestSpace | null,
    readonly mode: number,
    root: TablePage | null,
    newTable: () => TablePage | null,
  ) {
    const levels = processDirectoryLevels(mode);
    this.#radix = root === null ? null : new Radix(workshop.image, root, levels, newTable, directoryEntry);
  }

  get bare(): boolean {
    return this.#radix === null;
  }

  /** pdtp. */
  get word(): bigint {
    return rootWord(this.mode, this.#radix?.root.pointer ?? 0n);
  }

  /** An unused process id that fits; null if none was found. */
  newPid(): number | null {
    const { dice } = this.workshop;
    const width = PID_BITS[this.mode]!;
    for (let attempt = 0; attempt < 16; attempt++) {
      const pid = dice.chance(15) ? 0 : dice.below(2 ** dice.between(Math.min(4, width), width));
      if (this.#pids.has(pid)) continue;
      this.#pids.add(pid);
      return pid;
    }
    return null;
  }

  /** Writes a sound context; false if there is no room, or the directory is Bare. */
  add(process: Process): boolean {
    const slot = this.#radix?.claim(BigInt(process.pid), 0) ?? null;
    if (slot === null) return false;
    this.write(slot, processWords(process));
    return true;
  }

  /**
   * A process id that the directory does not resolve; null if it is Bare or full.
   * @param first The first stage of a context that is broken otherwise.
   */
  addBroken(first: () => FirstStage | null): number | null {
    const { dice, image } = this.workshop;
    const radix = this.#radix;
    const pid = radix === null ? null : this.newPid();
    if (radix === null || pid === null) return null;
    if (this.mode > 1 && dice.chance(50)) {
      const slot = radix.claim(BigInt(pid), dice.between(1, this.mode - 1));
      if (slot !== null) {
        image.set(slot, this.brokenEntry());
        return pid;
      }
    }
    const slot = radix.claim(BigInt(pid), 0);
    if (slot === null) return null;
    // A context that was never written.
    if (dice.chance(12)) return pid;
    const words = processWords({ pid, first: first(), supervisor: dice.chance(50), userMemory: dice.chance(50) });
    this.write(slot, flawedProcessContext(dice, words, this.capabilities));
    return pid;
  }

  /** A process id wider than the directory; null if there is none. */
  widePid(): number | null {
    const width = PID_BITS[this.mode]!;
    return width === 20 ? null : this.workshop.dice.between(2 ** width, 2 ** 20 - 1);
  }

  /** A non-leaf entry that is refused, or leads to a page that the second stage refuses. */
  private brokenEntry(): bigint {
    const { dice } = this.workshop;
    const { guest } = this;
    const unmapped = guest !== null && dice.chance(50) ? guest.brokenTable() : null;
    if (unmapped !== null) return directoryEntry(unmapped);
    const somewhere = WINDOW_START + (dice.bits(31) & ~(PAGE - 1n));
    return flawedDirectoryEntry(dice, somewhere, guest === null ? this.capabilities.physicalBits : 56);
  }

  private write(slot: bigint, words: readonly bigint[]): void {
    words.forEach((word, i) => {
      this.workshop.image.set(slot + BigInt(8 * i), word);
    });
  }
}

function processWords({ first, supervisor, userMemory }: Process): bigint[] {
  const pscid = BigInt(first?.pscid ?? 0);
  const ta = 1n | (supervisor ? 2n : 0n) | (userMemory ? 4n : 0n) | (pscid << 12n);
  return [ta, first === null ? 0n : rootWord(modeOfLevels(first.levels), first.root)];
}

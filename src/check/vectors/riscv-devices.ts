/**
 * Devices of generated RISC-V vectors: requester ids that fit the directory or not, sound device contexts with their processes
 * and address spaces, and broken ones.
 */
import {
  type Capabilities,
  deviceDirectoryLevels,
  directoryEntry,
  FIRST_MODES,
  flawedDeviceContext,
  flawedDirectoryEntry,
  levelsOfMode,
  modeOfLevels,
  PROCESS_MODES,
  rootWord,
  SECOND_MODES,
  supportedModes,
  TC,
} from './riscv-directories.js';
import { FirstStage } from './riscv-first-stage.js';
import { GuestSpace, type Workshop } from './riscv-guest.js';
import { Radix, type TablePage } from './riscv-image.js';
import type { ModeTraits } from './riscv-modes.js';
import { ProcessDirectory } from './riscv-processes.js';

/** Virtual interrupt files: pages of guest memory that match `pattern` where `mask` has zeros, and their 16-byte entries. */
export interface MsiWindow {
  readonly mask: bigint;
  readonly pattern: bigint;
  readonly table: bigint;
}

/** One way to reach memory: a requester with or without PASID, and what translates it. */
export interface Context {
  readonly device: Device;
  readonly pasid: number | null;
  /** null: Bare. */
  readonly first: FirstStage | null;
  /** ENS and SUM of the process. */
  readonly supervisor: boolean;
  readonly userMemory: boolean;
}

export interface Device {
  readonly rid: number;
  readonly guest: GuestSpace | null;
  /** SADE. */
  readonly updateFirst: boolean;
  readonly ats: boolean;
  readonly translatedToGpa: boolean;
  readonly processes: ProcessDirectory | null;
  readonly msi: MsiWindow | null;
}

/** Everything on the bus of one vector. */
export class Bus {
  readonly #directory: Radix;
  readonly #rids = new Set<number>();
  readonly #guests: GuestSpace[] = [];
  readonly #withoutDefault: number[] = [];
  #nextId = 1;

  constructor(
    private readonly workshop: Workshop,
    private readonly capabilities: Capabilities,
    private readonly traits: ModeTraits,
    /** Levels of the device directory. */
    private readonly depth: number,
  ) {
    const { image } = workshop;
    const newTable = (): TablePage => this.physicalTable();
    const levels = deviceDirectoryLevels(this.extended, depth);
    this.#directory = new Radix(image, newTable(), levels, newTable, directoryEntry);
  }

  get root(): bigint {
    return this.#directory.root.host;
  }

  private get extended(): boolean {
    return this.capabilities.has('MSI_FLAT');
  }

  private physicalTable(): TablePage {
    const page = this.workshop.image.table();
    return { pointer: page, host: page };
  }

  /** Bits of a device id that the directory takes. */
  private get ridBits(): number {
    return this.depth === 3 ? 24 : (this.extended ? 6 : 7) + 9 * (this.depth - 1);
  }

  /** An unused requester id that every emulator can issue: bus 0 with devices 1 to 0x1E, or another bus with devfn 0 to 7. */
  private newRid(fits: (rid: number) => boolean): number | null {
    const { dice } = this.workshop;
    for (let attempt = 0; attempt < 64; attempt++) {
      const rid = dice.chance(40) ? dice.between(0x08, 0xf7) : (dice.between(1, 255) << 8) | dice.below(8);
      if (!fits(rid) || this.#rids.has(rid)) continue;
      this.#rids.add(rid);
      return rid;
    }
    return null;
  }

  private newFittingRid(): number | null {
    return this.newRid((rid) => rid >> this.ridBits === 0);
  }

  /**
   * An id wider than the directory, or null if 16 bits cannot be. Ids of which only bit 8 of the second index is set are left
   * out: the reference model checks the width with 8 of its 9 bits.
   */
  wideRid(): number | null {
    if (this.ridBits >= 16) return null;
    const leafBits = this.extended ? 6 : 7;
    return this.newRid((rid) => rid >> this.ridBits !== 0 && ((rid >> leafBits) & 0xff) !== 0);
  }

  /** A device with a sound context, and the ways to reach memory through it. null: no id or memory left. */
  soundDevice(): Context[] | null {
    const rid = this.newFittingRid();
    if (rid === null) return null;
    const slot = this.#directory.claim(BigInt(rid), 0);
    if (slot === null) return null;
    const { words, contexts } = this.newContext(rid);
    this.write(slot, words);
    return contexts;
  }

  /** A device whose directory entry or context is absent or misconfigured. */
  brokenDevice(): number | null {
    const { dice } = this.workshop;
    const rid = this.newFittingRid();
    if (rid === null) return null;
    if (this.depth > 1 && dice.chance(35)) {
      const slot = this.#directory.claim(BigInt(rid), dice.between(1, this.depth - 1));
      if (slot !== null) {
        const { physicalBits } = this.capabilities;
        this.workshop.image.set(slot, flawedDirectoryEntry(dice, this.workshop.image.table(), physicalBits));
        return rid;
      }
    }
    const slot = this.#directory.claim(BigInt(rid), 0);
    if (slot === null) return null;
    if (dice.chance(12)) return rid;
    const { words } = this.newContext(rid);
    this.write(slot, flawedDeviceContext(dice, words, this.capabilities, this.traits.unusualEncodings));
    return rid;
  }

  /** A device whose default process is not in its directory; null if there is none. */
  deviceWithoutDefault(): number | null {
    const { dice } = this.workshop;
    return this.#withoutDefault.length === 0 ? null : dice.pick(this.#withoutDefault);
  }

  private write(slot: bigint, words: readonly bigint[]): void {
    words.forEach((word, i) => {
      this.workshop.image.set(slot + BigInt(8 * i), word);
    });
  }

  private newContext(rid: number): { words: bigint[]; contexts: Context[] } {
    const { traits, capabilities } = this;
    const { dice } = this.workshop;
    const updates = capabilities.has('AMO_HWAD') && dice.chance(traits.updates ? 85 : 25);
    const shape = dice.weighted([
      ['both', 40],
      ['first', traits.msi ? 0 : 33],
      ['second', 17],
      ['bare', traits.msi ? 0 : 10],
    ] as const);
    const guest = shape === 'both' || shape === 'second' ? this.newGuest(updates && dice.chance(70)) : null;
    const ats = capabilities.has('ATS') && dice.chance(traits.ats ? 85 : 40);
    const device: Device = {
      rid,
      guest,
      updateFirst: updates && dice.chance(70),
      ats,
      translatedToGpa: ats && guest !== null && capabilities.has('T2GPA') && dice.chance(50),
      processes: dice.chance(traits.privilege ? 85 : 45) ? this.newProcessDirectory(guest) : null,
      msi: traits.msi && this.extended ? this.newMsiWindow() : null,
    };
    const translates = shape === 'both' || shape === 'first';
    const contexts = device.processes === null ? [] : this.newProcesses(device, device.processes, translates);
    const first = device.processes === null && translates ? this.newFirstStage(guest) : null;
    const defaultProcess = contexts.find(({ pasid }) => pasid === 0);
    const useDefault = device.processes !== null && dice.chance(defaultProcess === undefined ? 10 : 70);
    // Without a process directory (pdtp Bare) the default process needs no context either.
    const unlisted = !useDefault || device.processes?.bare === true;
    if (unlisted) contexts.push({ device, pasid: null, first, supervisor: false, userMemory: false });
    else if (defaultProcess !== undefined) contexts.push({ ...defaultProcess, pasid: null, supervisor: false });
    else this.#withoutDefault.push(rid);
    return { words: this.contextWords(device, first, useDefault), contexts };
  }

  private contextWords(device: Device, first: FirstStage | null, useDefault: boolean): bigint[] {
    const { dice } = this.workshop;
    const { guest, processes, msi } = device;
    let tc = TC.V;
    if (device.ats) {
      tc |= TC.EN_ATS;
      if (dice.chance(30)) tc |= dice.chance(50) ? TC.EN_PRI : TC.EN_PRI | TC.PRPR;
    }
    if (device.translatedToGpa) tc |= TC.T2GPA;
    if (dice.chance(12)) tc |= TC.DTF;
    if (guest?.updates === true) tc |= TC.GADE;
    if (device.updateFirst) tc |= TC.SADE;
    if (processes !== null) tc |= TC.PDTV;
    if (useDefault) tc |= TC.DPE;
    const second =
      guest === null ? 0n : rootWord(modeOfLevels(guest.levels), guest.root) | (BigInt(guest.gscid) << 44n);
    const fsc =
      processes !== null ? processes.word : first === null ? 0n : rootWord(modeOfLevels(first.levels), first.root);
    const pscid = first?.pscid ?? (dice.chance(20) ? dice.below(1 << 20) : 0);
    const words = [tc, second, BigInt(pscid) << 12n, fsc];
    if (!this.extended) return words;
    if (msi !== null) return [...words, rootWord(1, msi.table), msi.mask, msi.pattern, 0n];
    // With msiptp Off the mask and pattern mean nothing.
    return [...words, 0n, dice.chance(20) ? dice.bits(52) : 0n, dice.chance(20) ? dice.bits(52) : 0n, 0n];
  }

  private newGuest(updates: boolean): GuestSpace {
    const { dice } = this.workshop;
    const shared = this.#guests.filter((guest) => guest.updates === updates);
    if (shared.length > 0 && dice.chance(25)) return dice.pick(shared);
    const mode = dice.pick(supportedModes(this.capabilities, SECOND_MODES));
    const guest = new GuestSpace(this.workshop, levelsOfMode(mode), this.#nextId++, updates);
    this.#guests.push(guest);
    return guest;
  }

  private newFirstStage(guest: GuestSpace | null): FirstStage | null {
    const mode = this.workshop.dice.pick(supportedModes(this.capabilities, FIRST_MODES));
    const newTable = (): TablePage | null => (guest === null ? this.physicalTable() : guest.newTable());
    const root = newTable();
    return root === null
      ? null
      : new FirstStage(this.workshop, levelsOfMode(mode), this.#nextId++, guest, root, newTable);
  }

  private newProcessDirectory(guest: GuestSpace | null): ProcessDirectory | null {
    const { workshop, capabilities } = this;
    const modes = supportedModes(capabilities, PROCESS_MODES);
    if (modes.length === 0) return null;
    const newTable = (): TablePage | null => (guest === null ? this.physicalTable() : guest.newTable());
    const root = workshop.dice.chance(6) ? null : newTable();
    const mode = root === null ? 0 : workshop.dice.pick(modes);
    return new ProcessDirectory(workshop, capabilities, guest, mode, root, newTable);
  }

  private newMsiWindow(): MsiWindow {
    const { dice, image } = this.workshop;
    // Up to eight bits select an entry of one page of 256.
    let mask = 0n;
    for (let i = dice.between(0, 8); i > 0; i--) mask |= 1n << BigInt(dice.below(16));
    const pattern = (1n << 28n) | dice.bits(28);
    return { mask, pattern: dice.chance(50) ? pattern & ~mask : pattern, table: image.table() };
  }

  private newProcesses(device: Device, processes: ProcessDirectory, translates: boolean): Context[] {
    const contexts: Context[] = [];
    for (let count = this.workshop.dice.between(1, 4); count > 0; count--) {
      const context = this.newProcess(device, processes, translates, contexts);
      if (context !== null) contexts.push(context);
    }
    return contexts;
  }

  private newProcess(
    device: Device,
    processes: ProcessDirectory,
    translates: boolean,
    others: readonly Context[],
  ): Context | null {
    const { dice } = this.workshop;
    const pid = processes.newPid();
    if (pid === null) return null;
    if (processes.bare) return { device, pasid: pid, first: null, supervisor: true, userMemory: true };
    const known = others.map(({ first }) => first).filter((first) => first !== null);
    const shared = known.length > 0 && dice.chance(20);
    const bare = !translates || dice.chance(8);
    const first = bare ? null : shared ? dice.pick(known) : this.newFirstStage(device.guest);
    const supervisor = dice.chance(this.traits.privilege ? 80 : 40);
    const process = { pid, first, supervisor, userMemory: dice.chance(50) };
    if (!processes.add(process)) return null;
    return { device, pasid: pid, first, supervisor, userMemory: process.userMemory };
  }

  /** A process id of a sound device that its directory does not resolve; null if it has none. */
  brokenProcess(device: Device): number | null {
    return device.processes?.addBroken(() => this.newFirstStage(device.guest)) ?? null;
  }
}

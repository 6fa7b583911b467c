/**
 * Writes VT-d translation structures of a test machine into simulated memory with the encoders of the format file, and says where each
 * entry lies, so that a test can spoil it.
 */
import type { FrameAllocator } from '../../memory/frames.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import {
  contextEntryOffset,
  directoryEntryOffset,
  encodeDirectoryEntry,
  encodeLegacyContext,
  encodePasidEntry,
  encodeRootEntry,
  encodeScalableContext,
  type LegacyContext,
  type PasidEntry,
  PasidType,
  pasidEntryOffset,
  rootEntryOffset,
  type ScalableContext,
  type TableMode,
  TranslationType,
} from '../arch/vtd/format.js';

/** PDTS of test directories: 2^(1 + 7) entries, PASIDs below 16384. */
export const DIRECTORY_SIZE = 1;

export class Tables {
  readonly root: number;
  private readonly below = new Map<number, number>();
  private readonly words = new Int32Array(16);

  constructor(
    readonly mode: TableMode,
    private readonly memory: PhysicalMemory,
    private readonly frames: FrameAllocator,
  ) {
    this.root = frames.allocate();
  }

  /** Legacy context entry; by default second stage of four levels. */
  legacy(requester: number, entry: Partial<LegacyContext> & { domain: number }): void {
    const base = { translationType: TranslationType.Untranslated, root: 0, levels: 4, suppressFaults: false };
    const at = this.contextAt(requester);
    encodeLegacyContext(this.words, { ...base, ...entry });
    this.write(at, 16);
  }

  /** Scalable context entry of a requester; PASID table entries come on top. */
  context(requester: number, entry: Partial<ScalableContext> = {}): void {
    const at = this.contextAt(requester);
    const directory = this.below.get(at) ?? this.frames.allocateContiguous(8 * 2 ** (DIRECTORY_SIZE + 7), 4096);
    this.below.set(at, directory);
    encodeScalableContext(this.words, {
      pasidDirectory: directory,
      directorySize: DIRECTORY_SIZE,
      requesterPasid: 0,
      pasidEnable: true,
      deviceTlbEnable: false,
      pageRequestEnable: false,
      suppressFaults: false,
      ...entry,
    });
    this.write(at, 32);
  }

  /** PASID table entry; PASID 0 serves requests without one. By default second stage of four levels. */
  pasid(requester: number, pasid: number, entry: Partial<PasidEntry> & { domain: number }): void {
    if (!this.below.has(this.contextAt(requester))) this.context(requester);
    const at = this.pasidEntryAt(requester, pasid);
    encodePasidEntry(this.words, {
      type: PasidType.SecondStage,
      firstRoot: 0,
      firstLevels: 4,
      secondRoot: 0,
      secondLevels: 4,
      secondAccessedDirty: false,
      walkSnoop: true,
      pageSnoop: false,
      supervisorRequests: false,
      suppressFaults: false,
      ...entry,
    });
    this.write(at, 64);
  }

  rootEntryAt(requester: number): number {
    return this.root + rootEntryOffset(this.mode, requester);
  }

  contextAt(requester: number): number {
    return this.tableAt(this.rootEntryAt(requester), encodeRootEntry) + contextEntryOffset(this.mode, requester);
  }

  directoryEntryAt(requester: number, pasid: number): number {
    return this.below.get(this.contextAt(requester))! + directoryEntryOffset(pasid);
  }

  pasidEntryAt(requester: number, pasid: number): number {
    return this.tableAt(this.directoryEntryAt(requester, pasid), encodeDirectoryEntry) + pasidEntryOffset(pasid);
  }

  /** Changes one dword of simulated memory. */
  poke(address: number, dword: number, change: (value: number) => number): void {
    const at = address + 8 * (dword >> 1);
    const [hi, lo] = [Math.floor(at / 2 ** 32), (at % 2 ** 32) | 0];
    this.memory.read(hi, lo);
    const { wordHi, wordLo } = this.memory;
    if ((dword & 1) === 0) this.memory.write(hi, lo, wordHi, change(wordLo));
    else this.memory.write(hi, lo, change(wordHi), wordLo);
  }

  private tableAt(entry: number, encode: (words: Int32Array, table: number) => void): number {
    const known = this.below.get(entry);
    if (known !== undefined) return known;
    const table = this.frames.allocate();
    this.below.set(entry, table);
    encode(this.words, table);
    this.write(entry, 8);
    return table;
  }

  private write(address: number, bytes: number): void {
    for (let i = 0; i < bytes / 4; i++) this.poke(address, i, () => this.words[i]!);
  }
}

/**
 * Root, context and PASID tables of one VT-d unit in simulated memory (VT-d specification 9.1 to 9.6; drivers/iommu/intel: iommu.c,
 * pasid.c). Functional: boot writes them without simulated time. The present bit of an entry is in its first word, which is
 * written last and cleared first.
 */
import {
  contextEntryOffset,
  directoryEntryOffset,
  encodeDirectoryEntry,
  encodeLegacyContext,
  encodePasidEntry,
  encodeRootEntry,
  encodeScalableContext,
  PasidType,
  pasidEntryOffset,
  rootEntryOffset,
  TableMode,
  TranslationType,
} from '../../iommu/arch/vtd/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import type { UnitSpec } from '../spec.js';

const FRAME = 4096;
/** PDTS of a directory for 20-bit PASIDs: 2^(7 + 7) entries of 8 bytes. */
const DIRECTORY_SIZE = 7;
const DIRECTORY_BYTES = 8 * 2 ** (DIRECTORY_SIZE + 7);
const PASID_ENTRY_BYTES = 64;

export class VtdTables {
  readonly root: number;
  readonly mode: TableMode;
  /** Table that an entry points to, by the entry's address. */
  private readonly below = new Map<number, number>();
  private readonly words = new Int32Array(PASID_ENTRY_BYTES / 4);

  constructor(
    private readonly spec: UnitSpec,
    private readonly memory: PhysicalMemory,
    private readonly frames: FrameAllocator,
    /** Root of the second-stage table under nested first-stage tables. */
    private readonly hostRoot: number,
  ) {
    this.root = frames.allocate();
    this.mode = spec.mode === 'scalable' ? TableMode.Scalable : TableMode.Legacy;
  }

  /**
   * Legacy mode: requests of `requester` use the second-stage table at `root`, or pass through when it is null. `ats`: it may ask for translations;
   * an entry that passes requests through has no way to say so.
   */
  setContext(requester: number, root: number | null, domainId: number, ats = false): void {
    const entry = this.contextEntry(requester);
    encodeLegacyContext(this.words, {
      translationType:
        root === null ? TranslationType.PassThrough : ats ? TranslationType.DeviceTlb : TranslationType.Untranslated,
      root: root ?? 0,
      levels: this.spec.levels,
      domain: domainId,
      suppressFaults: false,
    });
    this.write(entry, 16);
  }

  clearContext(requester: number): void {
    const entry = this.contextEntry(requester);
    this.words.fill(0);
    this.write(entry, 16);
  }

  /**
   * Scalable mode: requests of `requester` with `pasid` (0: without) use the table at `root`, or pass through when it is null. `ats`: as above.
   * `asks`: it may ask for pages.
   */
  setPasid(requester: number, pasid: number, root: number | null, domainId: number, ats = false, asks = false): void {
    const entry = this.pasidEntry(requester, pasid, ats, asks);
    const { stage, levels, secondLevels, coherent } = this.spec;
    const first = root !== null && stage !== 'second';
    const nested = first && stage === 'nested';
    const firstType = nested ? PasidType.Nested : PasidType.FirstStage;
    encodePasidEntry(this.words, {
      type: root === null ? PasidType.PassThrough : first ? firstType : PasidType.SecondStage,
      domain: domainId,
      firstRoot: first ? root : 0,
      firstLevels: first ? levels : 4,
      secondRoot: nested ? this.hostRoot : first ? 0 : (root ?? 0),
      secondLevels: nested ? secondLevels : levels,
      secondAccessedDirty: false,
      walkSnoop: coherent,
      pageSnoop: false,
      supervisorRequests: false,
      suppressFaults: false,
    });
    this.write(entry, PASID_ENTRY_BYTES);
  }

  clearPasid(requester: number, pasid: number): void {
    const entry = this.pasidEntry(requester, pasid, false, false);
    this.words.fill(0);
    this.write(entry, PASID_ENTRY_BYTES);
  }

  /** Address of the requester's context entry. */
  private contextEntry(requester: number): number {
    const table = this.tableBelow(this.root + rootEntryOffset(this.mode, requester), encodeRootEntry);
    return table + contextEntryOffset(this.mode, requester);
  }

  /** `ats` and `asks` count for the first entry of a requester. */
  private pasidEntry(requester: number, pasid: number, ats: boolean, asks: boolean): number {
    const context = this.contextEntry(requester);
    let directory = this.below.get(context);
    if (directory === undefined) {
      directory = this.frames.allocateContiguous(DIRECTORY_BYTES, FRAME);
      this.below.set(context, directory);
      encodeScalableContext(this.words, {
        pasidDirectory: directory,
        directorySize: DIRECTORY_SIZE,
        requesterPasid: 0,
        pasidEnable: true,
        deviceTlbEnable: ats,
        pageRequestEnable: asks,
        suppressFaults: false,
      });
      this.write(context, 32);
    }
    return this.tableBelow(directory + directoryEntryOffset(pasid), encodeDirectoryEntry) + pasidEntryOffset(pasid);
  }

  /** The page that an 8-byte table entry points to; installs one if there is none. */
  private tableBelow(entry: number, encode: (words: Int32Array, table: number) => void): number {
    const known = this.below.get(entry);
    if (known !== undefined) return known;
    const table = this.frames.allocate();
    this.below.set(entry, table);
    encode(this.words, table);
    this.write(entry, 8);
    return table;
  }

  /** Stores `words` at the entry, the 64-bit word with the present bit last when it is being set, first when it is being cleared. */
  private write(entry: number, bytes: number): void {
    const hi = Math.floor(entry / 2 ** 32);
    const lo = entry | 0;
    const { memory, words } = this;
    const clearing = words[0] === 0 && words[1] === 0;
    if (clearing) memory.write(hi, lo, 0, 0);
    for (let at = 8; at < bytes; at += 8) memory.write(hi, (lo + at) | 0, words[(at >> 2) + 1]!, words[at >> 2]!);
    if (!clearing) memory.write(hi, lo, words[1]!, words[0]!);
  }
}

/**
 * The device table of one AMD-Vi unit and the GCR3 tables of its devices, in simulated memory (specification 2.2.2 and 2.2.6;
 * init_device_table and update_dte256 in drivers/iommu/amd). Functional: no simulated time. Every entry of the pages in use is valid and
 * blocks until a domain is attached: an entry that is not valid would let requests pass. Pages of the table without any device
 * stay zero, since nobody sends requests from there.
 */
import {
  DEVICE_ENTRY_BYTES,
  type DeviceTableEntry,
  deviceEntryOffset,
  encodeGcr3Entry,
  gcr3EntryOffset,
} from '../../iommu/arch/amdvi/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import type { PhysicalMemory } from '../../memory/physical.js';

const FRAME = 4096;
const DEVICE_IDS = 65536;

export class DeviceTable {
  readonly base: number;
  readonly bytes = DEVICE_IDS * DEVICE_ENTRY_BYTES;
  private readonly pages = new Set<number>();
  private readonly words = new Int32Array(DEVICE_ENTRY_BYTES / 4);

  constructor(
    private readonly memory: PhysicalMemory,
    frames: FrameAllocator,
  ) {
    this.base = frames.allocateContiguous(this.bytes, FRAME);
  }

  /** Writes an entry: the upper half first, which hardware does not look at before the lower one is valid. */
  set(deviceId: number, entry: DeviceTableEntry): void {
    const address = this.addressOf(deviceId);
    entry.encode(this.words);
    for (const word of [2, 3, 1, 0]) store(this.memory, address + 8 * word, this.words, 2 * word);
  }

  /** V = 1, TV = 0: nothing passes. The lower half first. */
  block(deviceId: number): void {
    const address = this.addressOf(deviceId);
    this.words.fill(0);
    this.words[0] = 1;
    for (const word of [0, 1, 2, 3]) store(this.memory, address + 8 * word, this.words, 2 * word);
  }

  private addressOf(deviceId: number): number {
    const address = this.base + deviceEntryOffset(deviceId);
    const page = address - (address % FRAME);
    if (!this.pages.has(page)) {
      this.pages.add(page);
      this.words.fill(0);
      this.words[0] = 1;
      for (let at = page; at < page + FRAME; at += DEVICE_ENTRY_BYTES) store(this.memory, at, this.words, 0);
    }
    return address;
  }
}

/** The GCR3 table of a device. */
export class Gcr3Table {
  readonly root: number;
  /** Table that an entry points to, by the entry's address. */
  private readonly below = new Map<number, number>();
  private readonly words = new Int32Array(2);

  constructor(
    readonly levels: number,
    private readonly memory: PhysicalMemory,
    private readonly frames: FrameAllocator,
  ) {
    this.root = frames.allocate();
  }

  /** Requests with `pasid` use the guest table at `guestRoot`. */
  set(pasid: number, guestRoot: number): void {
    const entry = this.entry(pasid);
    encodeGcr3Entry(this.words, guestRoot);
    store(this.memory, entry, this.words, 0);
  }

  clear(pasid: number): void {
    const entry = this.entry(pasid);
    this.words.fill(0);
    store(this.memory, entry, this.words, 0);
  }

  /** Address of the lowest entry of a PASID; installs tables on the way. Throws RangeError for a PASID beyond the levels. */
  private entry(pasid: number): number {
    if (pasid >= 2 ** (9 * this.levels)) {
      throw new RangeError(`a GCR3 table of ${this.levels} levels does not take PASID ${pasid}`);
    }
    let table = this.root;
    for (let level = this.levels; level > 1; level--) {
      const at = table + gcr3EntryOffset(pasid, level);
      table = this.below.get(at) ?? this.install(at);
    }
    return table + gcr3EntryOffset(pasid, 1);
  }

  private install(at: number): number {
    const table = this.frames.allocate();
    this.below.set(at, table);
    encodeGcr3Entry(this.words, table);
    store(this.memory, at, this.words, 0);
    return table;
  }
}

function store(memory: PhysicalMemory, address: number, words: Int32Array, from: number): void {
  memory.write(Math.floor(address / 2 ** 32), address | 0, words[from + 1]!, words[from]!);
}

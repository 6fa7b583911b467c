/**
 * Stream table and context descriptor tables of one SMMUv3 unit in simulated memory (Arm IHI 0070G 3.3, chapter 5; struct
 * arm_smmu_strtab_cfg and arm_smmu_ctx_desc_cfg in drivers/iommu/arm/arm-smmu-v3). Stream tables are linear, or split at the bus number
 * with one block of 256 entries for each bus in use; context descriptor tables are linear with 1024 entries, or have leaves of that
 * size. Functional: written without simulated time, valid bits last. Streams without a domain abort.
 */
import {
  CD_LG2,
  ContextFormat,
  DefaultSubstream,
  encodeContext,
  encodeContextPointer,
  encodeStreamEntry,
  encodeStreamPointer,
  type Stage2Encoding,
  STE_LG2,
  StreamConfig,
  type StreamEntry,
  StreamWorld,
} from '../../iommu/arch/smmuv3/format.js';
import type { FrameAllocator } from '../../memory/frames.js';
import type { PhysicalMemory } from '../../memory/physical.js';
import type { TableRoot } from '../domain-state.js';
import type { UnitSpec } from '../spec.js';
import { granuleLg2, outputLg2 } from './formats.js';

/** StreamIDs are PCI requester ids. */
export const STREAMS_LG2 = 16;
/** Split of two-level stream tables: an entry of level 1 is a bus. */
export const STREAM_SPLIT = 8;
/** log2 of the context descriptors of a linear table, and of a leaf. */
const CONTEXTS_LG2 = 10;
/** SubstreamID bits with two-level tables. */
const SUBSTREAM_BITS = 20;
const ENTRY_BYTES = 64;
const PAGE = 4096;

/** What requests of a stream without SubstreamID do. */
export type Own = 'abort' | 'identity' | 'translate';

interface Contexts {
  readonly table: number;
  /** Leaves of a two-level table, by index. */
  readonly leaves: Map<number, number>;
  own: Own;
  /** SubstreamIDs with a domain. */
  readonly substreams: Set<number>;
}

export class SmmuTables {
  readonly streamTable: number;
  private readonly blocks = new Map<number, number>();
  private readonly contexts = new Map<number, Contexts>();
  private readonly words = new Int32Array(ENTRY_BYTES / 4);

  constructor(
    private readonly spec: UnitSpec,
    private readonly memory: PhysicalMemory,
    private readonly frames: FrameAllocator,
    /** Second stage under nested first stages. */
    private readonly host: { readonly table: TableRoot; readonly vmid: number } | null,
    /** Streams whose devices use ATS. */
    private readonly ats: Set<number> = new Set(),
  ) {
    const bytes = this.twoLevelStreams ? 8 << (STREAMS_LG2 - STREAM_SPLIT) : 2 ** (STREAMS_LG2 + STE_LG2);
    this.streamTable = frames.allocateContiguous(Math.max(bytes, PAGE), Math.max(bytes, PAGE));
  }

  get twoLevelStreams(): boolean {
    return this.spec.deviceLevels === 2;
  }

  /** First SubstreamID that no table has room for. */
  get substreamLimit(): number {
    if (this.spec.processLevels === 0 || this.spec.stage === 'second') return 0;
    return this.spec.processLevels === 1 ? 2 ** CONTEXTS_LG2 : 2 ** SUBSTREAM_BITS;
  }

  /** The stream has stage 2 alone, or passes (null). */
  setStage2(requester: number, table: TableRoot | null, vmid: number): void {
    if (table === null) this.writeStream(requester, { config: StreamConfig.Bypass });
    else {
      const ats = this.ats.has(requester);
      this.writeStream(requester, { config: StreamConfig.Stage2, vmid, stage2: this.stage2Of(table), ats });
    }
  }

  /** The device of the stream uses ATS: entries written from now on that translate say so (arm_smmu_ats_supported). */
  enableAts(requester: number): void {
    this.ats.add(requester);
  }

  abort(requester: number): void {
    this.writeStream(requester, { config: StreamConfig.Abort });
  }

  /** Requests without SubstreamID (-1), or with it, use the first-stage table; `stalls`: CD.S. */
  setContext(requester: number, substream: number, table: TableRoot, asid: number, stalls = false): void {
    const contexts = this.contextsOf(requester);
    const { root, inputLg2 } = table;
    const granule = granuleLg2(this.spec);
    const at = this.contextAt(contexts, Math.max(substream, 0));
    const entry = { asid, root, granuleLg2: granule, inputLg2, outputLg2: outputLg2(this.spec), stalls };
    encodeContext(this.words, entry);
    this.write(at, ENTRY_BYTES);
    if (substream < 0) contexts.own = 'translate';
    else contexts.substreams.add(substream);
    this.refresh(requester, contexts);
  }

  clearContext(requester: number, substream: number): void {
    const contexts = this.contextsOf(requester);
    const at = this.contextAt(contexts, Math.max(substream, 0));
    this.words.fill(0);
    this.write(at, ENTRY_BYTES);
    if (substream < 0) contexts.own = 'abort';
    else contexts.substreams.delete(substream);
    this.refresh(requester, contexts);
  }

  /** Requests without SubstreamID pass stage 1, or abort. */
  setOwn(requester: number, own: 'identity' | 'abort'): void {
    const contexts = this.contextsOf(requester);
    contexts.own = own;
    this.refresh(requester, contexts);
  }

  /** The stream table entry that fits what the stream is used for. */
  private refresh(requester: number, { own, substreams, table }: Contexts): void {
    const { host, spec } = this;
    const stage2 = host === null ? {} : { vmid: host.vmid, stage2: this.stage2Of(host.table) };
    if (own !== 'translate' && substreams.size === 0) {
      if (own === 'abort') this.abort(requester);
      else
        this.writeStream(requester, { config: host === null ? StreamConfig.Bypass : StreamConfig.Stage2, ...stage2 });
      return;
    }
    const twoLevel = spec.processLevels === 2;
    this.writeStream(requester, {
      config: host === null ? StreamConfig.Stage1 : StreamConfig.Nested,
      contextTable: table,
      contextFormat: twoLevel ? ContextFormat.TwoLevel64K : ContextFormat.Linear,
      contextsLg2: twoLevel ? SUBSTREAM_BITS : CONTEXTS_LG2,
      defaultSubstream:
        own === 'translate'
          ? DefaultSubstream.UseContext0
          : own === 'identity'
            ? DefaultSubstream.Bypass
            : DefaultSubstream.Terminate,
      // A kernel at EL2 (VHE) uses that StreamWorld for its own devices; the guest of a nested unit is at EL1.
      world: host === null ? StreamWorld.EL2 : StreamWorld.NonSecureEL1,
      ats: this.ats.has(requester),
      ...stage2,
    });
  }

  private stage2Of({ root, levels, inputLg2 }: TableRoot): Stage2Encoding {
    return { root, levels, inputLg2, granuleLg2: granuleLg2(this.spec), outputLg2: outputLg2(this.spec) };
  }

  private writeStream(requester: number, entry: StreamEntry): void {
    const at = this.streamAt(requester);
    encodeStreamEntry(this.words, entry);
    this.write(at, ENTRY_BYTES);
  }

  private streamAt(requester: number): number {
    if (!this.twoLevelStreams) return this.streamTable + requester * ENTRY_BYTES;
    const bus = requester >>> STREAM_SPLIT;
    let block = this.blocks.get(bus);
    if (block === undefined) {
      const bytes = ENTRY_BYTES << STREAM_SPLIT;
      block = this.frames.allocateContiguous(bytes, bytes);
      this.blocks.set(bus, block);
      encodeStreamPointer(this.words, block, STREAM_SPLIT + 1);
      this.write(this.streamTable + 8 * bus, 8);
    }
    return block + (requester & (2 ** STREAM_SPLIT - 1)) * ENTRY_BYTES;
  }

  private contextsOf(requester: number): Contexts {
    let contexts = this.contexts.get(requester);
    if (contexts === undefined) {
      const twoLevel = this.spec.processLevels === 2;
      const bytes = twoLevel ? 8 << (SUBSTREAM_BITS - CONTEXTS_LG2) : ENTRY_BYTES << CONTEXTS_LG2;
      const table = this.frames.allocateContiguous(bytes, bytes);
      contexts = { table, leaves: new Map(), own: 'abort', substreams: new Set() };
      this.contexts.set(requester, contexts);
    }
    return contexts;
  }

  private contextAt({ table, leaves }: Contexts, index: number): number {
    if (this.spec.processLevels !== 2) return table + (index << CD_LG2);
    const outer = index >>> CONTEXTS_LG2;
    let leaf = leaves.get(outer);
    if (leaf === undefined) {
      const bytes = ENTRY_BYTES << CONTEXTS_LG2;
      leaf = this.frames.allocateContiguous(bytes, bytes);
      leaves.set(outer, leaf);
      encodeContextPointer(this.words, leaf);
      this.write(table + 8 * outer, 8);
    }
    return leaf + ((index & (2 ** CONTEXTS_LG2 - 1)) << CD_LG2);
  }

  /** Stores `words` at the entry, the word with the valid bit last when it is being set, first when it is being cleared. */
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

/**
 * The caches of directory entries that every architecture has under names of its own: device contexts by requester id (VT-d context
 * entry, AMD device table entry, SMMUv3 stream table entry, RISC-V device context) and process contexts by requester id and PASID
 * (VT-d PASID entry, AMD GCR3 entry, SMMUv3 context descriptor, RISC-V process context). Which entries may be cached, and which
 * command removes them, is the architecture's business.
 * Hot path: `find`, bench/end-to-end.
 */
import { AddressSpace, Stage } from './address-space.js';
import { SetAssociativeCache } from '../tlb/cache.js';
import { Chains } from './chains.js';
import type { IommuSpec } from './spec.js';

/** Process context of requests without PASID. */
export const enum OwnProcess {
  /** The device context itself says how they are translated. */
  None = -1,
  /** Nothing cached answers them: the directory lookup decides each time. */
  Unknown = -2,
}

export class ContextCaches {
  readonly device: SetAssociativeCache;
  readonly process: SetAssociativeCache;
  /** By entry number. */
  readonly deviceSpace: readonly AddressSpace[];
  readonly processSpace: readonly AddressSpace[];
  /** PASID of requests without one, or OwnProcess. */
  readonly ownProcess: Int32Array;
  /** 1: requests with PASID have process contexts. */
  readonly takesPasid: Uint8Array;
  /** Words of the architecture's own, `wordsEach` for every device context. */
  readonly deviceWords: Int32Array;
  /** Translation is off: all requests pass. */
  bypass = true;
  private readonly untranslated = new AddressSpace();
  // Entries by what invalidations name; made when one first does.
  private deviceByDomain: Chains | null = null;
  private processByDomain: Chains | null = null;
  private processByRequester: Chains | null = null;

  constructor(
    spec: IommuSpec,
    seed: number,
    name: string,
    readonly wordsEach: number,
  ) {
    this.device = new SetAssociativeCache(spec.contextCache, seed, `${name}/context`);
    this.process = new SetAssociativeCache(spec.pasidCache, seed, `${name}/pasid`);
    this.deviceSpace = Array.from({ length: spec.contextCache.entries }, () => new AddressSpace());
    this.processSpace = Array.from({ length: spec.pasidCache.entries }, () => new AddressSpace());
    this.ownProcess = new Int32Array(spec.contextCache.entries);
    this.takesPasid = new Uint8Array(spec.contextCache.entries);
    this.deviceWords = new Int32Array(wordsEach * spec.contextCache.entries);
    this.untranslated.stage = Stage.PassThrough;
  }

  /**
   * The address space of a request (`pasid` -1: without PASID) if the caches know it. `count`: as a lookup of a request; a walk
   * that asks again does not count. Hot path.
   */
  find(requester: number, pasid: number, count: boolean): AddressSpace | null {
    if (this.bypass === true) return this.untranslated;
    const { device, process } = this;
    const context = count ? device.lookup(requester, 0, 0) : device.touch(requester, 0, 0);
    if (context < 0) return null;
    let effective = pasid;
    if (pasid < 0) {
      effective = this.ownProcess[context]!;
      if (effective === OwnProcess.None) return this.deviceSpace[context]!;
      if (effective < 0) return null;
    } else if (this.takesPasid[context] === 0) return null;
    const entry = count ? process.lookup(effective, requester, 0) : process.touch(effective, requester, 0);
    return entry < 0 ? null : this.processSpace[entry]!;
  }

  /** Caches a device context; returns its entry number, -1 when the structure is absent. The space is copied. */
  fillDevice(requester: number, space: AddressSpace, ownProcess: number, takesPasid: boolean): number {
    const entry = this.device.fill(requester, 0, 0);
    if (entry < 0) return -1;
    this.deviceSpace[entry]!.copy(space);
    this.ownProcess[entry] = ownProcess;
    this.takesPasid[entry] = takesPasid ? 1 : 0;
    this.deviceByDomain?.link(entry, bucketOf(this.deviceByDomain, space.did));
    return entry;
  }

  /** Caches a process context. */
  fillProcess(requester: number, pasid: number, space: AddressSpace): void {
    const entry = this.process.fill(pasid, requester, 0);
    if (entry < 0) return;
    this.processSpace[entry]!.copy(space);
    this.processByDomain?.link(entry, bucketOf(this.processByDomain, space.did));
    this.processByRequester?.link(entry, bucketOf(this.processByRequester, requester));
  }

  /** Requester id of a cached device context; of a process context, and its PASID. For invalidation rules. */
  requesterOfDevice(entry: number): number {
    return this.device.k0[entry]!;
  }
  requesterOfProcess(entry: number): number {
    return this.process.k1[entry]!;
  }
  pasidOfProcess(entry: number): number {
    return this.process.k0[entry]!;
  }

  /** Removes the device contexts that `drop` names, or all. */
  dropDevices(drop?: (entry: number) => boolean): void {
    dropWhere(this.device, drop);
  }

  dropDevice(requester: number): void {
    const entry = this.device.find(requester, 0, 0);
    if (entry >= 0) this.device.invalidate(entry);
  }

  /** Removes the device contexts of a domain. */
  dropDevicesIn(did: number): void {
    const didOf = (entry: number): number => this.deviceSpace[entry]!.did;
    this.deviceByDomain ??= chain(this.device, didOf);
    dropChained(this.device, this.deviceByDomain, did, (entry) => didOf(entry) === did);
  }

  /** Removes the process contexts that `drop` names, or all. */
  dropProcesses(drop?: (entry: number) => boolean): void {
    dropWhere(this.process, drop);
  }

  /** Of the process contexts of a requester those that `drop` names. */
  dropProcessesOf(requester: number, drop: (entry: number) => boolean): void {
    this.processByRequester ??= chain(this.process, (entry) => this.requesterOfProcess(entry));
    const mine = (entry: number): boolean => this.requesterOfProcess(entry) === requester && drop(entry);
    dropChained(this.process, this.processByRequester, requester, mine);
  }

  /** Of the process contexts of a domain those that `drop` names. */
  dropProcessesIn(did: number, drop: (entry: number) => boolean): void {
    const didOf = (entry: number): number => this.processSpace[entry]!.did;
    this.processByDomain ??= chain(this.process, didOf);
    dropChained(this.process, this.processByDomain, did, (entry) => didOf(entry) === did && drop(entry));
  }

  dropAll(): void {
    this.device.invalidateAll();
    this.process.invalidateAll();
  }

  resetCounters(): void {
    this.device.resetCounters();
    this.process.resetCounters();
  }
}

function dropWhere(cache: SetAssociativeCache, drop?: (entry: number) => boolean): void {
  if (cache.occupancy === 0) return;
  if (drop === undefined) {
    cache.invalidateAll();
    return;
  }
  for (let entry = 0; entry < cache.entries; entry++) {
    if (cache.valid[entry] === 1 && drop(entry)) cache.invalidate(entry);
  }
}

const bucketOf = (chains: Chains, value: number): number => Math.imul(value, 0x9e3779b1) & chains.mask;

/** The valid entries by a value that each has. */
function chain(cache: SetAssociativeCache, keyOf: (entry: number) => number): Chains {
  const chains = new Chains(cache.entries);
  for (let entry = 0; entry < cache.entries; entry++) {
    if (cache.valid[entry] === 1) chains.link(entry, bucketOf(chains, keyOf(entry)));
  }
  return chains;
}

function dropChained(
  cache: SetAssociativeCache,
  chains: Chains,
  value: number,
  drop: (entry: number) => boolean,
): void {
  chains.sweep(bucketOf(chains, value), cache, (entry) => {
    if (!drop(entry)) return false;
    cache.invalidate(entry);
    return true;
  });
}

/**
 * The host side of a virtio-iommu (virtio specification 1.2, 5.13.6; QEMU hw/virtio/virtio-iommu.c with devices assigned): endpoints, domains
 * and their mappings, and for each domain the shadow table that the host's IOMMU, a VT-d unit with second-stage tables, walks.
 * Guest-physical memory is host memory. Tables change in no time when a request is executed; its time is the queue's business.
 */
import { type FrameAllocator, OutOfMemory } from '../../../memory/frames.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { Format } from '../../../pagetable/format.js';
import { Intervals } from '../../../pagetable/intervals.js';
import { PageTable } from '../../../pagetable/table.js';
import { PageTableError } from '../../../pagetable/work.js';
import { Access } from '../../../protocol/access.js';
import { ATTACH_BYPASS, MapFlag, type Request, RequestType, Status } from './format.js';

export interface HostDomain {
  readonly id: number;
  /** Domain id of the host's unit. */
  readonly did: number;
  /** Null: requests pass untranslated. */
  readonly table: PageTable | null;
  readonly mappings: Intervals;
  endpoints: number;
}

/** What the host's unit must forget. */
export interface Invalidator {
  /** Translations of [start, end) of a domain; `tablesFreed`: and pointers to its tables. */
  invalidateRange(did: number, start: number, end: number, tablesFreed: boolean): void;
  invalidateDomain(did: number): void;
  invalidateEndpoint(endpoint: number): void;
}

export class Host {
  /** Endpoints without domain pass untranslated. */
  bypass = true;
  private readonly domains = new Map<number, HostDomain>();
  private readonly byEndpoint = new Map<number, HostDomain>();
  private readonly freed: number[] = [];
  private readonly freeDids: number[] = [];
  private nextDid = 1;

  /** `levels` of shadow tables in `format`, whose leaves are at most 2^largestLg2 bytes. */
  constructor(
    private readonly format: Format,
    private readonly levels: number,
    private readonly largestLg2: number,
    private readonly memory: PhysicalMemory,
    private readonly frames: FrameAllocator,
    private readonly caches: Invalidator,
  ) {}

  /** Domain of an endpoint, null if it has none. */
  domainOf(endpoint: number): HostDomain | null {
    return this.byEndpoint.get(endpoint) ?? null;
  }

  execute(request: Request): Status {
    switch (request.type as RequestType) {
      case RequestType.Attach:
        return this.attach(request);
      case RequestType.Detach:
        return this.detach(request);
      case RequestType.Map:
        return this.map(request);
      case RequestType.Unmap:
        return this.unmap(request);
      default:
        return Status.Unsupported;
    }
  }

  /** An endpoint that has a domain leaves it first. */
  private attach({ domain: id, endpoint, flags }: Request): Status {
    if ((flags & ~ATTACH_BYPASS) !== 0) return Status.Invalid;
    const bypass = (flags & ATTACH_BYPASS) !== 0;
    const old = this.byEndpoint.get(endpoint);
    if (old !== undefined) this.leave(endpoint, old);
    let domain = this.domains.get(id);
    if (domain !== undefined && (domain.table === null) !== bypass) return Status.Invalid;
    if (domain === undefined) {
      const table = bypass ? null : new PageTable(this.format, this.memory, this.frames, this.levels);
      const did = this.freeDids.pop() ?? this.nextDid++;
      domain = { id, did, table, mappings: new Intervals(), endpoints: 0 };
      this.domains.set(id, domain);
    }
    domain.endpoints++;
    this.byEndpoint.set(endpoint, domain);
    this.caches.invalidateEndpoint(endpoint);
    return Status.Ok;
  }

  private detach({ domain: id, endpoint }: Request): Status {
    const domain = this.byEndpoint.get(endpoint);
    if (domain === undefined) return Status.NoEntry;
    if (domain.id !== id) return Status.Invalid;
    this.leave(endpoint, domain);
    return Status.Ok;
  }

  /** The last endpoint takes the domain and its mappings with it. */
  private leave(endpoint: number, domain: HostDomain): void {
    this.byEndpoint.delete(endpoint);
    this.caches.invalidateEndpoint(endpoint);
    domain.endpoints--;
    if (domain.endpoints > 0) return;
    this.domains.delete(domain.id);
    this.caches.invalidateDomain(domain.did);
    this.freeDids.push(domain.did);
    const { table } = domain;
    if (table === null) return;
    table.destroy(this.freed);
    table.giveBack(this.freed);
  }

  private map({ domain: id, start, end, physical, flags }: Request): Status {
    if ((flags & ~MapFlag.All) !== 0) return Status.Invalid;
    const domain = this.domains.get(id);
    if (domain === undefined) return Status.NoEntry;
    const { table, mappings } = domain;
    if (table === null) return Status.Invalid;
    const bytes = end + 1 - start;
    if (bytes <= 0 || end >= 2 ** table.inputLg2 || !this.aligned(start, bytes, physical)) return Status.Range;
    const access: Access =
      ((flags & MapFlag.Read) !== 0 ? Access.Read : 0) | ((flags & MapFlag.Write) !== 0 ? Access.Write : 0);
    if (access === 0) return Status.Invalid;
    const interval = { start, end: end + 1, pa: physical, access };
    if (!mappings.add(interval)) return Status.Invalid;
    try {
      table.map(start, physical, bytes, access, this.largestLg2);
    } catch (error) {
      mappings.remove(start, end + 1);
      if (error instanceof OutOfMemory) return Status.NoMemory;
      if (error instanceof PageTableError && error.failure === 'width') return Status.Range;
      throw error;
    }
    if (table.displaced.length > 0) {
      // A large leaf took the place of empty tables: the unit may still hold pointers to them.
      this.caches.invalidateRange(domain.did, start, end + 1, true);
      table.giveBack(table.displaced);
    }
    return Status.Ok;
  }

  /** Whole mappings only: one that reaches beyond the range stays, with everything after it. */
  private unmap({ domain: id, start, end }: Request): Status {
    const domain = this.domains.get(id);
    if (domain === undefined) return Status.NoEntry;
    const { table, mappings } = domain;
    if (table === null) return Status.Invalid;
    const { removed, split } = mappings.remove(start, end + 1);
    for (const interval of removed) table.unmap(interval.start, interval.end - interval.start, this.freed);
    const first = removed[0];
    const last = removed.at(-1);
    if (first !== undefined && last !== undefined) {
      this.caches.invalidateRange(domain.did, first.start, last.end, this.freed.length > 0);
      table.giveBack(this.freed);
    }
    return split ? Status.Range : Status.Ok;
  }

  private aligned(...addresses: number[]): boolean {
    const granule = 2 ** this.format.granuleLg2;
    return addresses.every((address) => address % granule === 0);
  }
}

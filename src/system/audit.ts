/**
 * The audit: a shadow of what every (unit, requester, PASID) may reach at this instant, fed by the OS and by every translated
 * transaction. It keeps no simulated time and costs host time only; off by default in runs, on in tests.
 * Violations: a translation nobody granted, or to another page than the one mapped; a DMA translated after a strict unmap has
 * returned; an I/O virtual address freed or handed out while a flush that covers it is pending; two mappings of one page; a page request group that
 * is answered twice, or was not asked.
 * In lazy mode accesses between unmap and flush are legal and counted: the exposure.
 */
import type { Access } from '../protocol/access.js';
import type { Observer } from '../protocol/observer.js';
import type { PageGroupObserver } from '../protocol/page-request.js';
import { Histogram } from '../stats/histogram.js';
import type { MetricDef, Registry } from '../stats/registry.js';

const PAGE = 4096;
const KEPT = 100;
/** Mappings from this size on are kept whole: a window of a terabyte has 2^28 pages. */
const LARGE = 2 ** 24;

interface Shadow {
  readonly iova: number;
  readonly pa: number;
  readonly bytes: number;
  readonly access: Access;
  /** Unmapped but not flushed since this time, or -1. */
  staleSince: number;
}

/** A range whose table entries are gone. */
interface Cleared {
  readonly iova: number;
  readonly bytes: number;
  readonly at: number;
  /** When the unmap returned, or -1: it has not. */
  unmappedAt: number;
  flushed: boolean;
}

class DomainShadow {
  /** Small mappings, page by page. */
  readonly pages: Map<number, Shadow> = new Map();
  large: Shadow[] = [];
  /** Ranges that a device may still reach through caches, or whose unmap has not returned; in order of clearing. */
  cleared: Cleared[] = [];
  /** Of a process: whether a page is memory of processes. Its pages are freed only after everybody has forgotten them. */
  holds: ((page: number) => boolean) | null = null;

  /** The mapping of a page. */
  find(page: number): Shadow | undefined {
    return this.pages.get(page) ?? this.large.find(({ iova, bytes }) => page >= iova && page < iova + bytes);
  }

  add(shadow: Shadow): void {
    const { iova, pa, bytes, access } = shadow;
    if (bytes >= LARGE) this.large.push(shadow);
    else {
      for (let offset = 0; offset < bytes; offset += PAGE) {
        const page = { iova: iova + offset, pa: pa + offset, bytes: PAGE, access, staleSince: -1 };
        this.pages.set(page.iova, page);
      }
    }
  }

  /** Everything mapped in a range that is unmapped as a whole: a scatter list consists of several mappings. */
  *within(iova: number, bytes: number): Generator<Shadow> {
    const end = iova + bytes;
    for (const shadow of this.large) if (shadow.iova >= iova && shadow.iova < end) yield shadow;
    for (let page = iova; page < end && this.pages.size > 0; page += PAGE) {
      const shadow = this.pages.get(page);
      if (shadow !== undefined) yield shadow;
    }
  }

  /** Nobody may reach the range any more. */
  forget({ iova, bytes }: Cleared): void {
    // What was mapped in pieces may go as a whole.
    for (let page = iova - (iova % PAGE); page < iova + bytes && this.pages.size > 0; page += PAGE)
      this.pages.delete(page);
    if (bytes >= LARGE) this.large = this.large.filter((shadow) => shadow.iova < iova || shadow.iova >= iova + bytes);
  }
}

/** The pages of a range; of a large one the first and the last, since it is mapped and unmapped as a whole. */
function pagesOf(iova: number, bytes: number): number[] {
  const first = iova - (iova % PAGE);
  const count = Math.ceil((iova + bytes - first) / PAGE);
  if (bytes >= LARGE) return [first, first + (count - 1) * PAGE];
  return Array.from({ length: count }, (_, i) => first + i * PAGE);
}

export const AUDIT_METRICS: readonly MetricDef[] = [
  {
    name: 'audit.violations',
    unit: 'count',
    sentence: 'Invariants found broken by the audit.',
    formula: 'count',
  },
  {
    name: 'audit.translations',
    unit: 'count',
    sentence: 'Translated transactions the audit has checked.',
    formula: 'count',
  },
  {
    name: 'audit.stale_accesses',
    unit: 'count',
    sentence: 'Transactions that reached a page after its unmap had returned and before its flush (lazy mode).',
    formula: 'count',
  },
  {
    name: 'audit.stale_bytes',
    unit: 'bytes',
    sentence: 'Bytes read or written through such stale translations.',
    formula: 'sum over stale accesses of their size',
  },
  {
    name: 'audit.stale_age',
    unit: 'ns',
    sentence: 'Time from the return of an unmap to a transaction that still reached its pages.',
    formula: 'histogram over stale accesses',
  },
  {
    name: 'audit.exposure',
    unit: 'ns',
    sentence: 'Time from the return of an unmap until the flush that made its pages unreachable.',
    formula: 'flush completion - unmap return, one sample per unmap',
  },
];

export class Audit implements Observer, PageGroupObserver {
  readonly violations: string[] = [];
  /** Page request groups without an answer: device/group. */
  private readonly groups = new Set<string>();
  violationCount = 0;
  translations = 0;
  staleAccesses = 0;
  staleBytes = 0;
  readonly exposure = new Histogram();
  readonly staleAge = new Histogram();
  private readonly domains = new Map<number, DomainShadow>();
  private readonly owners = new Map<string, { domain: number; identity: boolean }>();

  private domain(number: number): DomainShadow {
    let d = this.domains.get(number);
    if (d === undefined) {
      d = new DomainShadow();
      this.domains.set(number, d);
    }
    return d;
  }

  groupAsked(device: number, group: number, now: number): void {
    const key = `${device}/${group}`;
    if (this.groups.has(key))
      this.violate(`${now} ps: device ${device} uses page request group ${group} twice at a time`);
    this.groups.add(key);
  }

  groupAnswered(device: number, group: number, now: number): void {
    if (this.groups.delete(`${device}/${group}`)) return;
    this.violate(
      `${now} ps: page request group ${group} of device ${device} is answered, but not asked or answered already`,
    );
  }

  private violate(text: string): void {
    this.violationCount++;
    if (this.violations.length < KEPT) this.violations.push(text);
  }

  attached(domain: number, unit: number, requester: number, pasid: number, identity: boolean): void {
    const key = `${unit}:${requester}:${pasid}`;
    const owner = this.owners.get(key);
    if (owner !== undefined) this.violate(`unit ${unit} requester ${requester} PASID ${pasid} attached twice`);
    this.owners.set(key, { domain, identity });
  }

  shared(domain: number, holds: (page: number) => boolean): void {
    this.domain(domain).holds = holds;
  }

  detached(domain: number, unit: number, requester: number, pasid: number): void {
    const key = `${unit}:${requester}:${pasid}`;
    if (this.owners.get(key)?.domain !== domain) this.violate(`detach of ${key} from domain ${domain}, not its owner`);
    this.owners.delete(key);
  }

  iovaAllocated(domain: number, iova: number, bytes: number): void {
    const d = this.domain(domain);
    for (const at of pagesOf(iova, bytes)) {
      const page = d.find(at);
      if (page === undefined) continue;
      this.violate(
        page.staleSince < 0
          ? `IOVA ${hex(at)} of domain ${domain} handed out while mapped`
          : `IOVA ${hex(at)} of domain ${domain} handed out while its flush is pending`,
      );
    }
  }

  mapped(domain: number, iova: number, pa: number, bytes: number, access: Access): void {
    const d = this.domain(domain);
    for (const at of pagesOf(iova, bytes)) {
      if (d.find(at) !== undefined) this.violate(`IOVA ${hex(at)} of domain ${domain} mapped twice`);
    }
    d.add({ iova, pa, bytes, access, staleSince: -1 });
  }

  unmapping(domain: number, iova: number, bytes: number, now: number): void {
    const d = this.domain(domain);
    for (const at of pagesOf(iova, bytes)) {
      if (d.find(at) === undefined) this.violate(`IOVA ${hex(at)} of domain ${domain} unmapped but not mapped`);
    }
    d.cleared.push({ iova, bytes, at: now, unmappedAt: -1, flushed: false });
  }

  unmapped(domain: number, iova: number, bytes: number, strict: boolean, now: number): void {
    const d = this.domain(domain);
    const index = d.cleared.findLastIndex((c) => c.iova === iova && c.bytes === bytes && c.unmappedAt < 0);
    const range = d.cleared[index];
    if (range === undefined) {
      this.violate(`unmap of IOVA ${hex(iova)} of domain ${domain} returned, but its entries were never cleared`);
      return;
    }
    range.unmappedAt = now;
    if (strict) d.forget(range);
    else if (range.flushed) this.exposure.add(0);
    else {
      for (const shadow of d.within(iova, bytes)) shadow.staleSince = now;
    }
    if (strict || range.flushed) d.cleared.splice(index, 1);
  }

  flushed(domain: number, startedAt: number, now: number): void {
    const d = this.domain(domain);
    const later: Cleared[] = [];
    for (const range of d.cleared) {
      if (range.at <= startedAt && !range.flushed) {
        d.forget(range);
        range.flushed = true;
        if (range.unmappedAt >= 0) this.exposure.add(now - range.unmappedAt);
      }
      if (!range.flushed || range.unmappedAt < 0) later.push(range);
    }
    d.cleared = later;
  }

  iovaFreed(domain: number, iova: number, bytes: number): void {
    const d = this.domain(domain);
    for (const at of pagesOf(iova, bytes)) {
      if (d.find(at) !== undefined)
        this.violate(`IOVA ${hex(at)} of domain ${domain} freed while a device can still reach it`);
    }
  }

  translated(
    unit: number,
    requester: number,
    pasid: number,
    iova: number,
    output: number,
    bytes: number,
    access: Access,
    now: number,
  ): void {
    this.translations++;
    const owner = this.owners.get(`${unit}:${requester}:${pasid}`);
    if (owner === undefined) {
      this.violate(`unit ${unit} translated for requester ${requester} PASID ${pasid}, which is attached to nothing`);
      return;
    }
    if (owner.identity) {
      if (output !== iova) this.violate(`pass-through turned ${hex(iova)} into ${hex(output)}`);
      return;
    }
    const shadow = this.domain(owner.domain);
    if (shadow.holds !== null) {
      if (!shadow.holds(output - (output % PAGE)))
        this.violate(`${now} ps: process address ${hex(iova)} translated to ${hex(output)}, which is free`);
      return;
    }
    const page = shadow.find(iova - (iova % PAGE));
    if (page === undefined) {
      this.violate(`${now} ps: IOVA ${hex(iova)} of domain ${owner.domain} translated after its unmap had returned`);
    } else if (page.pa + (iova - page.iova) !== output) {
      const mapped = page.pa + (iova - page.iova);
      this.violate(`${now} ps: IOVA ${hex(iova)} translated to ${hex(output)}, mapped to ${hex(mapped)}`);
    } else if ((page.access & access) !== access) {
      this.violate(`${now} ps: IOVA ${hex(iova)} used for access ${access}, granted ${page.access}`);
    } else if (page.staleSince >= 0) {
      this.staleAccesses++;
      this.staleBytes += bytes;
      this.staleAge.add(now - page.staleSince);
    }
  }

  closed(): void {
    this.owners.clear();
  }

  registerMetrics(registry: Registry): void {
    registry.gauge('audit', 'audit.violations', () => this.violationCount);
    registry.gauge('audit', 'audit.translations', () => this.translations);
    registry.gauge('audit', 'audit.stale_accesses', () => this.staleAccesses);
    registry.gauge('audit', 'audit.stale_bytes', () => this.staleBytes);
    registry.histogram('audit', 'audit.stale_age', this.staleAge);
    registry.histogram('audit', 'audit.exposure', this.exposure);
    // Violations are never reset: one during warm-up counts too.
    registry.onReset(() => {
      this.translations = 0;
      this.staleAccesses = 0;
      this.staleBytes = 0;
      this.exposure.reset();
      this.staleAge.reset();
    });
  }
}

function hex(address: number): string {
  return `0x${address.toString(16)}`;
}

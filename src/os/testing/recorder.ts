/**
 * An observer for tests that keeps what it was told, in order and with times, and checks what must always hold: ranges handed out
 * do not overlap, and a lazily unmapped range comes back only after a flush that started after its unmap.
 */
import type { Access } from '../../protocol/access.js';
import type { Observer } from '../../protocol/observer.js';

export interface Told {
  readonly what: string;
  readonly domain: number;
  readonly iova: number;
  readonly bytes: number;
  readonly at: number;
}

export class Recorder implements Observer {
  readonly told: Told[] = [];
  readonly flushes: { domain: number; startedAt: number; now: number }[] = [];
  readonly attachments: string[] = [];
  now: () => number = () => 0;
  /** Called before a free is recorded. */
  beforeFree: (domain: number, iova: number) => void = () => {};
  private readonly live = new Map<string, number>();
  /** Ranges between unmap and free: when their entries were cleared. */
  private readonly cleared = new Map<string, number>();

  attached(domain: number, unit: number, requester: number, pasid: number, identity: boolean): void {
    this.attachments.push(`${domain}:${unit}:${requester}:${pasid}:${identity}`);
  }

  shared(): void {}

  detached(domain: number, unit: number, requester: number, pasid: number): void {
    this.attachments.push(`-${domain}:${unit}:${requester}:${pasid}`);
  }

  iovaAllocated(domain: number, iova: number, bytes: number): void {
    for (let page = iova; page < iova + bytes; page += 4096) {
      const key = `${domain}:${page}`;
      if (this.live.has(key)) throw new Error(`0x${page.toString(16)} is handed out twice`);
      this.live.set(key, iova);
    }
    this.note('allocated', domain, iova, bytes);
  }

  mapped(domain: number, iova: number, _pa: number, bytes: number, _access: Access): void {
    this.note('mapped', domain, iova, bytes);
  }

  unmapping(domain: number, iova: number, bytes: number): void {
    this.cleared.set(`${domain}:${iova}`, this.now());
    this.note('unmapping', domain, iova, bytes);
  }

  unmapped(domain: number, iova: number, bytes: number, _strict: boolean): void {
    this.note('unmapped', domain, iova, bytes);
  }

  flushed(domain: number, startedAt: number, now: number): void {
    this.flushes.push({ domain, startedAt, now });
  }

  iovaFreed(domain: number, iova: number, bytes: number): void {
    this.beforeFree(domain, iova);
    for (let page = iova; page < iova + bytes; page += 4096) {
      if (this.live.get(`${domain}:${page}`) !== iova) throw new Error(`0x${page.toString(16)} is freed but not live`);
      this.live.delete(`${domain}:${page}`);
    }
    this.note('freed', domain, iova, bytes);
  }

  translated(): void {}

  closed(): void {}

  /** When the entries of the range were cleared last. */
  clearedAt(domain: number, iova: number): number {
    return this.cleared.get(`${domain}:${iova}`) ?? Number.NaN;
  }

  of(what: string): Told[] {
    return this.told.filter((event) => event.what === what);
  }

  get pagesLive(): number {
    return this.live.size;
  }

  private note(what: string, domain: number, iova: number, bytes: number): void {
    this.told.push({ what, domain, iova, bytes, at: this.now() });
  }
}

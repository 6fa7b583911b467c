/** A device TLB with its link: what invalidations wait for, and what is not used after them. */
import { describe, expect, it } from 'vitest';
import { Event } from '../kernel/event.js';
import { Kernel } from '../kernel/kernel.js';
import { Op } from '../protocol/op.js';
import { CAUSES, TlpFlag } from '../protocol/tlp.js';
import { LatencyLedger } from '../stats/latency-ledger.js';
import { Atc } from './atc.js';
import { Link } from './link.js';
import type { AtsSpec, LinkSpec, PortSpec } from './spec.js';

const LINK: LinkSpec = {
  generation: 3,
  width: 16,
  maxPayload: 256,
  maxReadRequest: 512,
  requestOverhead: 24,
  completionOverhead: 20,
  dllpShare: 0,
  latency: 50_000,
  tags: 64,
};
const PORT: PortSpec = {
  socket: 's0',
  iommu: 'u',
  postedHeaders: 64,
  postedData: 1024,
  nonPostedHeaders: 64,
  creditReturn: 0,
};
const ATS: AtsSpec = {
  enabled: true,
  entries: 16,
  ways: 16,
  replacement: 'lru',
  latency: 0,
  interval: 0,
  stu: 4096,
  largestPage: 2 ** 21,
  outstanding: 4,
  queue: 8,
  ahead: 0,
  prefetch: { distance: 0, streams: 4, pageRequests: true },
  queueDepth: 32,
  invalidation: 10_000,
  answers: true,
  pri: { enabled: false, outstanding: 1, group: 1, gather: 0 },
};
const TLPS = 16;
const A = 0x4000_0000;
const B = A + 0x5000;

function machine(changes: Partial<AtsSpec> = {}) {
  const spec = { ...ATS, ...changes };
  const kernel = new Kernel(Op.Relay);
  const ledger = new LatencyLedger(TLPS + spec.outstanding + 32, CAUSES, 2);
  const client = { wake: new Event(), credit: Op.AtcCredit, done: Op.AtcDone };
  const link = new Link(kernel, 0, LINK, PORT, ledger, client);
  const ended: Event[] = [];
  let credits = 0;
  const device = { done: (tlp: Event) => ended.push(tlp), creditReady: () => credits++ };
  const slots = { firstTlp: 0, tlps: TLPS, firstSlot: TLPS, group: 1 };
  const atc = new Atc(0, spec, { kernel, link, device, ledger, ...slots, seed: 1, name: 'dev' });
  /** What has arrived at the root port, and when. */
  const arrived: { event: Event; at: number; address: number }[] = [];
  const now = (): number => kernel.clock[0]!;
  let sent = 0;
  const dispatch = (event: Event): void => {
    if (event.op === Op.PortArrive) arrived.push({ event, at: now(), address: event.addressLo });
    else if (event.op === Op.AtcLookup) atc.lookup(event);
    else if (event.op === Op.AtcAnswer) atc.answered(event);
    else if (event.op === Op.AtcDone) atc.done(event);
    else if (event.op === Op.AtcInvalidate) atc.invalidate(event);
    else if (event.op === Op.AtcForget) atc.forget(event);
    else throw new Error(`op ${event.op}`);
  };
  return {
    atc,
    link,
    arrived,
    ended,
    now,
    credits: () => credits,
    run: (): void => {
      for (let event = kernel.next(); event !== null; event = kernel.next()) dispatch(event);
    },
    /** The device wants to read or write 64 bytes. */
    send: (address: number, write = false): [Event, boolean] => {
      const tlp = new Event();
      tlp.id = sent++;
      tlp.flags = write ? TlpFlag.Write : 0;
      tlp.bytes = 64;
      tlp.addressLo = address;
      ledger.start(tlp.id, now());
      return [tlp, atc.send(tlp)];
    },
    /** The IOMMU answers with the identity, readable and writable unless `permissions` says otherwise. */
    answer: (event: Event, sizeLg2 = 12, permissions = 3): void => {
      event.outHi = event.addressHi;
      event.outLo = event.addressLo;
      event.level = sizeLg2;
      event.value = permissions;
      ledger.charge(event.id, 0, now());
      link.answer(event);
    },
    /** An Invalidate Request for 2^sizeLg2 bytes. */
    invalidate: (address: number, sizeLg2 = 12, itag = 0): Event => {
      const event = new Event();
      event.id = TLPS + spec.outstanding + itag;
      event.addressLo = address;
      event.level = sizeLg2;
      event.value = itag;
      link.deliver(event, 8, Op.AtcInvalidate);
      return event;
    },
    complete: (tlp: Event): void => {
      ledger.charge(tlp.id, 0, now());
      link.complete(tlp, 0);
    },
  };
}

const isRequest = ({ event }: { event: Event }): boolean => (event.flags & TlpFlag.TranslationRequest) !== 0;

describe('device TLB', () => {
  it('an answer that an invalidation of its page overtakes is not used: the device asks again', () => {
    const m = machine();
    m.send(A);
    m.run();
    const message = m.invalidate(A);
    m.run();
    expect(m.arrived.map(({ event }) => event === message)).toEqual([false, true]);
    m.answer(m.arrived[0]!.event);
    m.run();
    expect(m.arrived.filter(isRequest).length).toBe(2);
    expect(m.atc.tlb.holds(-1, 0, A)).toBe(false);
    m.answer(m.arrived[2]!.event);
    m.run();
    expect(m.arrived.at(-1)!.event.flags & TlpFlag.Translated).not.toBe(0);
    expect(m.atc.tlb.holds(-1, 0, A)).toBe(true);
  });

  it('of a large page that an invalidation has changed elsewhere meanwhile, only what was asked for is kept', () => {
    const m = machine();
    m.send(A);
    m.run();
    m.invalidate(B);
    m.run();
    m.answer(m.arrived[0]!.event, 21);
    m.run();
    expect([m.atc.tlb.holds(-1, 0, A), m.atc.tlb.holds(-1, 0, B)]).toEqual([true, false]);
    // Without the invalidation the whole page is.
    const other = machine();
    other.send(A);
    other.run();
    other.answer(other.arrived[0]!.event, 21);
    other.run();
    expect(other.atc.tlb.holds(-1, 0, B)).toBe(true);
  });

  it('an invalidation waits for reads that used its page, and for no others', () => {
    const m = machine();
    const [first] = m.send(A);
    m.run();
    m.answer(m.arrived[0]!.event);
    m.run();
    const elsewhere = m.invalidate(B, 12, 1);
    const message = m.invalidate(A);
    m.run();
    expect(m.arrived.map(({ event }) => event)).toEqual([m.arrived[0]!.event, first, elsewhere]);
    m.complete(first);
    m.run();
    expect(m.ended).toEqual([first]);
    const [last, before] = [m.arrived[3]!, m.arrived[2]!];
    expect([last.event === message, before.event === elsewhere]).toEqual([true, true]);
    expect(m.atc.counters.drained).toBe(1);
  });

  it('the answer to an invalidation follows the writes that used its page', () => {
    const m = machine();
    const [write] = m.send(A, true);
    m.run();
    m.answer(m.arrived[0]!.event);
    m.run();
    const writes = [write, ...[64, 128, 192].map((offset) => m.send(A + offset, true)[0])];
    const message = m.invalidate(A);
    m.run();
    expect(m.arrived.slice(1).map(({ event }) => event)).toEqual([...writes, message]);
    m.send(A, true);
    m.run();
    expect(isRequest(m.arrived.at(-1)!)).toBe(true);
  });

  it('takes effect after its time, not before', () => {
    const m = machine({ invalidation: 123_000 });
    const began = m.now();
    m.invalidate(A);
    m.run();
    const flight = m.arrived[0]!.at - began;
    const fast = machine({ invalidation: 122_999 });
    fast.invalidate(A);
    fast.run();
    expect(flight - fast.arrived[0]!.at).toBe(1);
  });

  it('holds so many DMAs, and tells the device when there is room', () => {
    const m = machine({ queue: 2 });
    expect([m.send(A)[1], m.send(B)[1], m.send(A)[1]]).toEqual([true, true, false]);
    m.run();
    expect(m.credits()).toBe(0);
    m.answer(m.arrived[0]!.event);
    m.run();
    expect(m.credits()).toBe(1);
  });

  it('asks ahead of its accesses, counts what was hit, came too late, and went unused', () => {
    const prefetch = { distance: 2, streams: 2, pageRequests: true };
    const m = machine({ prefetch, outstanding: 8, entries: 4, ways: 4 });
    const asked = (): number[] => m.arrived.filter(isRequest).map(({ address }) => (address - A) / 4096);
    const answer = (page: number): void => {
      m.answer(m.arrived.findLast((each) => isRequest(each) && each.address === A + page * 4096)!.event);
      m.run();
    };
    const access = (page: number): void => {
      m.send(A + page * 4096);
      m.run();
    };
    access(0);
    answer(0);
    access(1);
    expect(asked()).toEqual([0, 1, 2, 3]);
    // Page 2 is needed before its answer is there; 3 is hit when it is.
    access(2);
    for (const page of [1, 2, 3, 4]) answer(page);
    access(3);
    expect(asked()).toEqual([0, 1, 2, 3, 4, 5]);
    expect([m.atc.counters.prefetches, m.atc.counters.prefetchLate, m.atc.tlb.prefetchHits]).toEqual([4, 1, 1]);
    m.invalidate(A + 4 * 4096);
    m.run();
    expect(m.atc.tlb.prefetchUnused).toBe(1);
  });

  it('leaves half of its translation requests to what is needed', () => {
    const m = machine({ prefetch: { distance: 8, streams: 1, pageRequests: true }, outstanding: 4 });
    m.send(A);
    m.send(A + 4096);
    m.run();
    expect(m.arrived.filter(isRequest).length).toBe(2);
    for (const { event } of [...m.arrived]) m.answer(event);
    m.run();
    m.send(A + 4096);
    m.run();
    expect(m.arrived.filter(isRequest).length).toBe(4);
  });

  it('asks software for pages ahead that have no translation, and for their translation when they are there', () => {
    const pages: number[] = [];
    const m = machine({ prefetch: { distance: 1, streams: 1, pageRequests: true }, outstanding: 8 });
    m.atc.pages = {
      request: () => true,
      prefetch: (_, __, lo) => void pages.push((lo - A) / 4096),
      proceeds: () => undefined,
    };
    m.send(A, true);
    m.send(A + 4096, true);
    m.run();
    const [first, second, ahead] = m.arrived.filter(isRequest).map(({ event }) => event);
    m.answer(first!);
    m.answer(second!);
    m.answer(ahead!, 12, 1);
    m.run();
    expect(pages).toEqual([2]);
    m.atc.pageAhead(-1, 0, A + 2 * 4096, 2);
    m.run();
    const again = m.arrived.filter(isRequest).at(-1)!.event;
    expect((again.addressLo - A) / 4096).toBe(2);
    // Once is enough.
    m.answer(again, 12, 0);
    m.run();
    expect(pages).toEqual([2]);
  });

  it('a dead device does not answer', () => {
    const m = machine({ answers: false });
    m.invalidate(A);
    m.run();
    expect(m.arrived).toEqual([]);
  });
});

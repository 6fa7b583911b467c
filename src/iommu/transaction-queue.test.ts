import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Event } from '../kernel/event.js';
import { TlpFlag } from '../protocol/tlp.js';
import { TransactionQueue } from './transaction-queue.js';

function tlp(id: number, write: boolean): Event {
  const event = new Event();
  event.id = id;
  event.flags = write ? TlpFlag.Write : 0;
  return event;
}

/** The unit's side of the queue: translation finishes in any order. */
class Harness {
  readonly pending: Event[] = [];
  readonly out: number[] = [];
  readonly parked = new Set<number>();

  constructor(readonly queue: TransactionQueue) {}

  arrive(event: Event): void {
    if (this.queue.enter(event)) this.pending.push(event);
  }

  translate(index: number): void {
    const [event] = this.pending.splice(index, 1);
    this.release(this.queue.translated(event!));
  }

  /** Puts one aside; it comes again at once, and is then the youngest. */
  park(index: number): void {
    const [event] = this.pending.splice(index, 1);
    const following = this.queue.park(event!);
    const admitted = this.queue.admit(event!);
    if (admitted !== null) this.pending.push(admitted);
    this.release(following);
    this.parked.add(event!.id);
    this.arrive(event!);
  }

  private release(first: Event | null): void {
    let out = first;
    while (out !== null) {
      const following = this.queue.leave(out);
      this.out.push(out.id);
      const admitted = this.queue.admit(out);
      if (admitted !== null) this.pending.push(admitted);
      out = following;
    }
  }
}

const orders = ['all', 'class', 'posted', 'none'] as const;

describe('transaction queue', () => {
  it('loses and repeats nothing, keeps its depth and its order, whatever order translations end in', () => {
    const step = fc.record({
      action: fc.constantFrom('arrive', 'arrive', 'translate', 'translate', 'park'),
      kind: fc.constantFrom(0, 0, TlpFlag.Write, TlpFlag.Write, TlpFlag.TranslationRequest),
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...orders),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 5 }),
        fc.array(step, { maxLength: 200 }),
        (order, postedDepth, nonPostedDepth, steps) => {
          const h = new Harness(
            new TransactionQueue({ order, postedDepth, nonPostedDepth, interval: 0 }, new Float64Array(1)),
          );
          const kinds: number[] = [];
          for (const { action, kind, pick } of steps) {
            if (action === 'arrive' || h.pending.length === 0) {
              const event = tlp(kinds.push(kind) - 1, false);
              event.flags = kind;
              h.arrive(event);
            } else if (action === 'park') h.park(pick % h.pending.length);
            else h.translate(pick % h.pending.length);
            const inside = [
              h.pending.filter((e) => e.flags === TlpFlag.Write).length,
              h.pending.filter((e) => e.flags !== TlpFlag.Write).length,
            ];
            if (order === 'all') expect(h.pending.length).toBeLessThanOrEqual(postedDepth + nonPostedDepth);
            else {
              expect(inside[0]).toBeLessThanOrEqual(postedDepth);
              expect(inside[1]).toBeLessThanOrEqual(nonPostedDepth);
            }
          }
          while (h.pending.length > 0) h.translate(0);
          const ascending = (ids: number[]): void => expect(ids).toEqual([...ids].sort((a, b) => a - b));
          expect([...h.out].sort((a, b) => a - b)).toEqual(kinds.map((_, id) => id));
          // What was put aside has lost its turn, and nothing orders translation requests.
          const kept = h.out.filter((id) => !h.parked.has(id) && kinds[id] !== TlpFlag.TranslationRequest);
          if (order === 'all') ascending(kept);
          if (order !== 'none') ascending(kept.filter((id) => kinds[id] === TlpFlag.Write));
          if (order === 'class') ascending(kept.filter((id) => kinds[id] === 0));
        },
      ),
    );
  });

  it('takes requests from the ingress in order of arrival, past none', () => {
    const h = new Harness(
      new TransactionQueue({ order: 'none', postedDepth: 1, nonPostedDepth: 1, interval: 0 }, new Float64Array(1)),
    );
    for (let id = 0; id < 5; id++) h.arrive(tlp(id, true));
    expect([h.pending.length, h.queue.stalls]).toEqual([1, 4]);
    while (h.pending.length > 0) h.translate(0);
    expect(h.out).toEqual([0, 1, 2, 3, 4]);
  });

  it('classes do not take each other places, except where there is one order for all', () => {
    for (const order of orders) {
      const h = new Harness(
        new TransactionQueue({ order, postedDepth: 1, nonPostedDepth: 1, interval: 0 }, new Float64Array(1)),
      );
      h.arrive(tlp(0, true));
      h.arrive(tlp(1, true));
      h.arrive(tlp(2, false));
      expect(h.pending.map((e) => e.id)).toEqual(order === 'all' ? [0, 1] : [0, 2]);
    }
  });
});

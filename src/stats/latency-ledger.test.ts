import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LatencyLedger } from './latency-ledger.js';

const CAUSES = ['link', 'walk', 'memory'];

describe('latency ledger', () => {
  it('adds up exactly for any interleaving of requests', () => {
    const action = fc.record({ slot: fc.nat(2), cause: fc.nat(2), ps: fc.nat(1e9), ahead: fc.boolean() });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
        const ledger = new LatencyLedger(3, CAUSES);
        const since = [0, 5, 9];
        const totals = [0, 0, 0];
        since.forEach((at, slot) => {
          ledger.start(slot, at);
        });
        for (const { slot, cause, ps, ahead } of actions) {
          since[slot]! += ps;
          totals[cause]! += ps;
          if (ahead) ledger.chargeFor(slot, cause, ps);
          else ledger.charge(slot, cause, since[slot]!);
        }
        const latencies = since.map((at, slot) => ledger.finish(slot, at));
        expect(latencies).toEqual([since[0]!, since[1]! - 5, since[2]! - 9]);
        expect(CAUSES.map((_, cause) => ledger.totalPs(cause))).toEqual(totals);
        expect(ledger.count()).toBe(3);
      }),
    );
  });

  it('refuses a gap, an overlap and a finish that is too early', () => {
    const ledger = new LatencyLedger(1, CAUSES);
    ledger.start(0, 100);
    ledger.charge(0, 0, 150);
    expect(() => ledger.finish(0, 151)).toThrow('add up to 50 ps, latency is 51 ps');
    ledger.chargeFor(0, 1, 30);
    expect(() => ledger.charge(0, 2, 179)).toThrow("cannot charge 'memory'");
    expect(() => ledger.finish(0, 150)).toThrow('charged up to 180 of 150 ps');
    expect(() => ledger.chargeFor(0, 1, -1)).toThrow('cannot charge');
    expect(ledger.finish(0, 180)).toBe(80);
    expect(() => ledger.finish(0, 180)).toThrow();
  });

  it('does not count what is discarded, nor what was finished before a reset', () => {
    const ledger = new LatencyLedger(2, CAUSES);
    ledger.start(0, 0);
    ledger.start(1, 0);
    ledger.charge(0, 0, 10);
    ledger.charge(1, 1, 20);
    ledger.discard(0);
    ledger.reset();
    expect(ledger.finish(1, 20)).toBe(20);
    expect([ledger.count(), ledger.totalPs(0), ledger.totalPs(1)]).toEqual([1, 0, 20]);
    ledger.reset();
    expect([ledger.count(), ledger.totalPs(1)]).toEqual([0, 0]);
  });

  it('starts a slot afresh', () => {
    const ledger = new LatencyLedger(1, CAUSES);
    for (let i = 0; i < 3; i++) {
      ledger.start(0, i * 100);
      ledger.charge(0, i, i * 100 + 7);
      expect(ledger.finish(0, i * 100 + 7)).toBe(7);
    }
    expect(() => new LatencyLedger(1, ['a', 'a'])).toThrow(RangeError);
  });
});

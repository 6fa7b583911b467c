/** VT-d units and devices with TLBs: who may ask, what is answered, and what wait descriptors wait for. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Event } from '../../../kernel/event.js';
import { AtsStatus, ITAGS } from '../../../protocol/ats.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import { REQUESTERS, Rig } from '../../testing/rig.js';
import type { UnitChanges } from '../../testing/spec.js';
import type { TranslationAgent } from '../../translation-agent.js';
import {
  encodeDeviceTlbInvalidation,
  encodePasidDeviceTlbInvalidation,
  FaultReason,
  FaultStatusBit,
  PasidType,
  Register,
  TranslationType,
} from './format.js';

const IOVA = 0x7_1234_5000;
/** Status write into the cache of an idle machine. */
const WRITE_PS = 40_000;
const NS = 1000;
type Encode = (words: Int32Array) => void;

interface Machine {
  readonly rig: Rig;
  readonly agent: TranslationAgent;
  /** Invalidate Requests in the order in which they left. */
  readonly messages: Event[];
  readonly pa: number;
}

/** Device 0 has a TLB and may use it, device 1 has one and may not. */
function machine(changes: UnitChanges = {}): Machine {
  const rig = new Rig(changes);
  const { table, pa } = rig.mapped(IOVA, 8 * 4096);
  for (const device of [0, 1]) {
    const ats = device === 0;
    const requester = REQUESTERS[device]!;
    if (rig.spec.mode === 'legacy') {
      const translationType = ats ? TranslationType.DeviceTlb : TranslationType.Untranslated;
      rig.tables.legacy(requester, { root: table.root, domain: 5, translationType });
    } else {
      rig.tables.context(requester, { deviceTlbEnable: ats });
      rig.tables.pasid(requester, 0, { type: PasidType.SecondStage, secondRoot: table.root, domain: 5 });
    }
  }
  const agent = rig.unit.addAgent();
  const messages: Event[] = [];
  const port = {
    forward: () => {},
    returnCredits: () => {},
    message: (event: Event) => {
      messages.push(event);
    },
  };
  agent.add({ device: 0, port, firstSlot: 400 });
  agent.add({ device: 1, port, firstSlot: 400 + ITAGS });
  return { rig, agent, messages, pa };
}

const page =
  (address: number, { sizeLg2 = 12, most = 0, device = 0 } = {}): Encode =>
  (words) =>
    encodeDeviceTlbInvalidation(
      words,
      0,
      REQUESTERS[device]!,
      0,
      most,
      Math.floor(address / 2 ** 32),
      address | 0,
      sizeLg2,
    );

describe('device-TLB invalidate descriptors', () => {
  it('a wait is over when the device has answered, and not before', () => {
    const { rig, agent, messages } = machine();
    rig.submit(page(IOVA), rig.wait());
    const [early, answer] = [4_999_999, 5_000_000];
    rig.after(early, () => {
      expect([messages.length, rig.stored.length]).toEqual([1, 0]);
    });
    rig.after(answer, () => agent.invalidations.answered(messages[0]!));
    rig.run();
    expect(rig.stored.map(({ at }) => at)).toEqual([answer + WRITE_PS]);
    expect(agent.invalidations.latency.count).toBe(1);
    expect(rig.queue.heldPs()).toBeGreaterThan(4_500 * NS);
  });

  it.each([false, true])('names any size, in 128-bit and 256-bit queues (%s)', (wide) => {
    const { rig, messages, agent } = machine(wide ? { mode: 'scalable' } : {});
    fc.assert(
      fc.property(
        fc.nat(2 ** 20 - 1),
        fc.nat(2 ** 20 - 1),
        fc.integer({ min: 12, max: 64 }),
        fc.nat(2 ** 20 - 1),
        (hi, lo, sizeLg2, pasid) => {
          const high = sizeLg2 >= 64 ? 0 : sizeLg2 > 32 ? (hi & (-1 << (sizeLg2 - 32))) | 0 : hi;
          const low = sizeLg2 >= 32 ? 0 : (lo << 12) & (-1 << sizeLg2);
          const before = messages.length;
          const requester = REQUESTERS[0]!;
          rig.submit(
            wide
              ? (words) => encodePasidDeviceTlbInvalidation(words, 0, requester, 0, 0, pasid, high, low, sizeLg2)
              : (words) => encodeDeviceTlbInvalidation(words, 0, requester, 0, 0, high, low, sizeLg2),
          );
          rig.after(10_000 * NS, () => agent.invalidations.answered(messages.at(-1)!));
          rig.run();
          const event = messages[before]!;
          expect([event.addressHi, event.addressLo, event.level]).toEqual([high, low, sizeLg2]);
          expect([event.context, event.state]).toEqual([wide ? pasid : -1, 0]);
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    [0, ITAGS],
    [3, 3],
  ])('MaxInvsPend %d leaves at most %d unanswered', (most, limit) => {
    const { rig, agent, messages } = machine();
    rig.submit(...Array.from({ length: 40 }, (_, i) => page(IOVA + 4096 * i, { most })), rig.wait());
    rig.after(10_000 * NS, () => {
      expect(messages.length).toBe(limit);
      agent.invalidations.answered(messages[0]!);
      // The descriptor that waited for the ITag takes it at once.
      expect(messages.length).toBe(limit + 1);
    });
    rig.after(11_000 * NS, () => {
      expect(messages.length).toBe(limit + 1);
      expect(new Set(messages.slice(1).map(({ value }) => value)).size).toBe(limit);
      expect(agent.invalidations.itagWaits).toBeGreaterThan(0);
    });
    const drain = (): void => {
      const [first] = messages.splice(0, 1);
      if (first !== undefined) agent.invalidations.answered(first);
      if (rig.stored.length === 0) rig.after(1000 * NS, drain);
    };
    rig.after(12_000 * NS, () => {
      messages.splice(0, 1);
      drain();
    });
    rig.run();
    expect(rig.stored.length).toBe(1);
    expect(agent.invalidations.pending).toBe(0);
  });

  it('a device without TLB holds nobody up', () => {
    const { rig, messages } = machine();
    rig.submit(page(IOVA, { device: 3 }), rig.wait());
    rig.run();
    expect([messages.length, rig.stored.length]).toEqual([0, 1]);
  });

  it('a dead device drops the wait at its time-out, and the queue goes on when software has cleared the error', () => {
    const timeout = 2_000_000 * NS;
    const { rig, agent, messages } = machine({ invalidation: { deviceTimeout: timeout } });
    const errors: number[] = [];
    rig.vtd.connect({
      stored: (hi, lo) => rig.stored.push({ address: (hi >>> 0) * 2 ** 32 + (lo >>> 0), at: rig.now }),
      changed: (_unit, offset, waiting, lo) => {
        if ((offset as Register) !== Register.FaultStatus) return;
        expect([waiting, lo]).toEqual([1, FaultStatusBit.InvalidationTimeout]);
        errors.push(rig.now);
        rig.after(500 * NS, () => rig.vtd.write(Register.FaultStatus, 0, lo));
      },
    });
    let sentAt = 0;
    rig.submit(page(IOVA), rig.wait(0), rig.wait(1));
    rig.after(1000 * NS, () => {
      sentAt = agent.invalidations.pending === 1 ? rig.now : -1;
    });
    rig.run();
    expect(sentAt).toBe(1000 * NS);
    expect(errors.length).toBe(1);
    expect(errors[0]!).toBeGreaterThan(timeout);
    expect(errors[0]!).toBeLessThan(timeout + 1000 * NS);
    // The first wait never stores; the second does, once the error is cleared.
    expect(rig.stored.map(({ address }) => address)).toEqual([rig.status + 4]);
    expect(rig.stored[0]!.at).toBeGreaterThan(errors[0]! + 500 * NS);
    expect(agent.invalidations.timeouts).toBe(1);
    // A late answer is no answer to a later request.
    agent.invalidations.answered(messages[0]!);
    expect([agent.invalidations.pending, agent.invalidations.latency.count]).toEqual([0, 0]);
  });
});

describe.each(['legacy', 'scalable'] as const)('requests in %s mode', (mode) => {
  const BLOCKED = mode === 'legacy' ? FaultReason.TranslationTypeBlocked : FaultReason.DeviceTlbDisabled;

  function ask(m: Machine, address: number, device: number, flags = 0): Event {
    const { rig } = m;
    const events: Event[] = [];
    const takes = rig.unit.agent!.takes.bind(rig.unit.agent!);
    rig.unit.first = {
      takes: (tlp) => {
        events.push(tlp);
        return takes(tlp);
      },
    };
    rig.send({ address, device, bytes: 8, flags: TlpFlag.TranslationRequest | flags });
    rig.run();
    return events[0]!;
  }

  it('a translation is answered with its page and permissions, by a walk and then by the IOTLB', () => {
    const m = machine({ mode });
    for (const hits of [0, 1]) {
      const answer = ask(m, IOVA + 4096, 0);
      expect([answer.bytes, answer.level, answer.value]).toEqual([8, 12, 3]);
      expect((answer.outHi >>> 0) * 2 ** 32 + (answer.outLo >>> 0)).toBe(m.pa + 4096);
      expect(m.agent.counters.hits).toBe(hits);
    }
  });

  it('a page that is not there is no error', () => {
    const m = machine({ mode });
    const answer = ask(m, IOVA + 64 * 4096, 0, TlpFlag.NoWrite);
    expect([answer.bytes, answer.value]).toEqual([8, 0]);
    expect(m.rig.faults.counters.total).toBe(0);
  });

  it('a device that may not ask is told so, and the fault is recorded', () => {
    const m = machine({ mode });
    const answer = ask(m, IOVA, 1);
    expect([answer.bytes, answer.value]).toEqual([0, AtsStatus.UnsupportedRequest]);
    const [, , , d3] = m.rig.faults.records;
    expect([d3! & 0xff, (d3! >>> 28) & 3]).toEqual([BLOCKED, 1]);
  });

  it.each([
    [0, false],
    [1, true],
  ])('a translated request of device %d is blocked: %s', (device, blocked) => {
    const { rig, agent, pa } = machine({ mode });
    const tlp = rig.translated(pa + 64, IOVA + 64, device);
    agent.arrive(tlp);
    rig.run();
    const [departure] = rig.departures;
    expect([departure!.aborted, departure!.output]).toEqual([blocked, pa + 64]);
    expect(agent.counters.blocked).toBe(blocked ? 1 : 0);
    const [d0, , , d3] = rig.faults.records;
    if (blocked) expect([d3! & 0xff, (d3! >>> 28) & 3, d0!]).toEqual([BLOCKED, 2, (pa & -4096) | 0]);
    else expect(rig.faults.counters.total).toBe(0);
  });
});

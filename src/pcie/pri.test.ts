import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Event } from '../kernel/event.js';
import { Kernel } from '../kernel/kernel.js';
import { Access } from '../protocol/access.js';
import { Op } from '../protocol/op.js';
import { PageRequestBit, PageStatus } from '../protocol/page-request.js';
import { Pri } from './pri.js';
import type { PriSpec } from './spec.js';

const PAGE = 4096;
const READ: Access = Access.Read;
const WRITE: Access = Access.Write;

interface Sent {
  readonly group: number;
  readonly pasid: number;
  readonly page: number;
  readonly bits: number;
  readonly at: number;
}

/** A device that asks, and messages that go nowhere. */
class Rig {
  readonly kernel = new Kernel(Op.Relay);
  readonly sent: Sent[] = [];
  readonly answers: [page: number, status: PageStatus][] = [];
  readonly aheads: number[] = [];
  readonly pri: Pri;

  constructor(spec: Partial<PriSpec> = {}) {
    const client = {
      pageAnswered: (tlp: Event, status: PageStatus) => void this.answers.push([tlp.addressLo / PAGE, status]),
      pageAhead: (_: number, __: number, lo: number) => void this.aheads.push(lo / PAGE),
    };
    const sink = {
      message: (m: Event) => {
        const { parent: group, context: pasid, value: bits } = m;
        this.sent.push({ group, pasid, page: m.addressLo / PAGE, bits, at: this.kernel.clock[0]! });
        this.pri.recycle(m);
      },
    };
    this.pri = new Pri(this.kernel, 0, { enabled: true, outstanding: 8, group: 1, gather: 0, ...spec }, sink, client);
  }

  ask(page: number, access = WRITE, pasid = 1): boolean {
    const tlp = new Event();
    tlp.addressLo = page * PAGE;
    tlp.context = pasid;
    return this.pri.request(tlp, access);
  }

  ahead(page: number, pasid = 1): void {
    this.pri.prefetch(pasid, 0, page * PAGE, WRITE);
  }

  /** Runs what is due until `time`, ps. */
  runTo(time: number): void {
    const end = new Event();
    this.kernel.after(time - this.kernel.clock[0]!, end, Op.WindowEnd);
    for (let event = this.kernel.next(); event !== null && event !== end; event = this.kernel.next()) {
      this.pri.groupDue();
    }
  }

  get groups(): number[][] {
    const groups: number[][] = [[]];
    for (const { page, bits } of this.sent) {
      groups.at(-1)!.push(page);
      if ((bits & PageRequestBit.Last) !== 0) groups.push([]);
    }
    return groups.slice(0, -1);
  }
}

describe('page requests of a device', () => {
  it('go at once, each a group of its own, where nothing is gathered', () => {
    const rig = new Rig({ group: 4 });
    rig.ask(1, READ);
    rig.ask(2, WRITE);
    expect(rig.sent.map(({ page, bits }) => [page, bits])).toEqual([
      [1, PageRequestBit.Read | PageRequestBit.Last],
      [2, PageRequestBit.Write | PageRequestBit.Last],
    ]);
    expect(new Set(rig.sent.map(({ group }) => group)).size).toBe(2);
  });

  it('gather into groups until one is full, or its time is over: then and not before', () => {
    const rig = new Rig({ group: 3, gather: 1000 });
    for (const page of [1, 2, 3, 4]) rig.ask(page);
    expect(rig.groups).toEqual([[1, 2, 3]]);
    rig.runTo(999);
    expect(rig.sent.length).toBe(3);
    rig.runTo(1000);
    expect(rig.groups).toEqual([[1, 2, 3], [4]]);
    expect(rig.sent.at(-1)!.at).toBe(1000);
  });

  it('gather while every allowed request is without an answer', () => {
    const rig = new Rig({ group: 2, outstanding: 2 });
    for (let page = 1; page <= 5; page++) rig.ask(page);
    expect(rig.groups).toEqual([[1], [2]]);
    expect(rig.pri.counters.waits).toBe(3);
    rig.pri.responded(rig.sent[0]!.group, PageStatus.Success);
    rig.pri.responded(rig.sent[1]!.group, PageStatus.Success);
    expect(rig.groups).toEqual([[1], [2], [3], [4]]);
    expect(rig.pri.occupancy.max).toBe(2);
  });

  it('have one PASID in a group', () => {
    const rig = new Rig({ group: 4, gather: 100 });
    rig.ask(1, WRITE, 7);
    rig.ask(2, WRITE, 7);
    rig.ask(3, WRITE, 8);
    rig.runTo(100);
    expect(rig.groups).toEqual([[1, 2], [3]]);
  });

  it('are made once for a page, unless more permission is needed', () => {
    const rig = new Rig();
    rig.ask(1, WRITE);
    rig.ask(1, READ);
    rig.ask(2, READ);
    rig.ask(2, WRITE);
    expect([rig.sent.length, rig.pri.counters.merged]).toEqual([3, 1]);
    rig.pri.responded(rig.sent[0]!.group, PageStatus.Success);
    expect(rig.answers).toEqual([
      [1, PageStatus.Success],
      [1, PageStatus.Success],
    ]);
  });

  it('end with an error after Response Failure: those that wait, and later ones', () => {
    const rig = new Rig({ outstanding: 1 });
    rig.ask(1);
    rig.ask(2);
    rig.pri.responded(rig.sent[0]!.group, 2);
    expect(rig.answers).toEqual([
      [1, PageStatus.Failure],
      [2, PageStatus.Failure],
    ]);
    expect([rig.ask(3), rig.sent.length, rig.pri.counters.failure]).toEqual([false, 1, 1]);
  });

  it('count an answer that nobody waits for', () => {
    const rig = new Rig();
    rig.ask(1);
    const { group } = rig.sent[0]!;
    rig.pri.responded(group, PageStatus.Success);
    rig.pri.responded(group, PageStatus.Success);
    rig.pri.responded(300, PageStatus.Invalid);
    expect([rig.answers.length, rig.pri.counters.unexpected]).toEqual([1, 2]);
  });

  it('of a PASID that stops: pages not asked for are errors, a stop marker follows the last answer', () => {
    const rig = new Rig({ outstanding: 1 });
    rig.ask(1, WRITE, 5);
    rig.ask(2, WRITE, 5);
    rig.ask(3, WRITE, 6);
    rig.pri.stop(5);
    expect(rig.answers).toEqual([[2, PageStatus.Invalid]]);
    expect([rig.ask(4, WRITE, 5), rig.sent.length]).toEqual([false, 1]);
    rig.pri.responded(rig.sent[0]!.group, PageStatus.Success);
    expect(rig.answers.at(-1)).toEqual([1, PageStatus.Success]);
    expect(rig.sent.slice(1).map(({ pasid, bits }) => [pasid, bits])).toEqual([
      [5, PageRequestBit.Last],
      [6, PageRequestBit.Write | PageRequestBit.Last],
    ]);
    expect(rig.pri.counters.stopMarkers).toBe(1);
  });

  it('tell who measures when the page was asked for, answered and used', () => {
    const rig = new Rig();
    rig.runTo(500);
    const tlp = new Event();
    tlp.addressLo = PAGE;
    tlp.context = 1;
    rig.pri.request(tlp, WRITE);
    const { group } = rig.sent[0]!;
    expect(rig.pri.askedAt(group, 0, PAGE)).toBe(500);
    expect(rig.pri.askedAt(group, 0, 2 * PAGE)).toBeNaN();
    const ends: number[][] = [];
    rig.pri.follow(group, 0, PAGE, { ended: (resumedAt, now) => void ends.push([resumedAt, now]) });
    rig.runTo(700);
    rig.pri.responded(group, PageStatus.Success);
    rig.runTo(900);
    expect(ends).toEqual([]);
    rig.pri.proceeds(tlp);
    expect(ends).toEqual([[700, 900]]);
  });
});

describe('a device is busy asking', () => {
  it('from the first page until the last answer, gathering included', () => {
    const rig = new Rig({ group: 1, outstanding: 1 });
    rig.runTo(100);
    rig.ask(1);
    rig.runTo(300);
    rig.ask(2);
    rig.runTo(700);
    rig.pri.responded(rig.sent[0]!.group, PageStatus.Success);
    expect(rig.pri.busy.count).toBe(0);
    rig.runTo(1000);
    rig.pri.responded(rig.sent[1]!.group, PageStatus.Success);
    rig.runTo(2000);
    rig.ask(3);
    rig.runTo(2050);
    rig.pri.responded(rig.sent[2]!.group, PageStatus.Invalid);
    expect([rig.pri.busy.count, rig.pri.busy.sum]).toEqual([2, 950]);
  });

  it('and no longer when what it gathers is given up', () => {
    const rig = new Rig({ group: 2, gather: 1000 });
    rig.ask(1, WRITE, 5);
    rig.runTo(40);
    rig.pri.stop(5);
    rig.runTo(100);
    rig.ask(2, WRITE, 6);
    rig.ask(3, WRITE, 6);
    rig.runTo(160);
    rig.pri.responded(rig.sent.at(-1)!.group, PageStatus.Success);
    expect([rig.pri.busy.count, rig.pri.busy.sum]).toEqual([2, 100]);
  });
});

describe('pages asked for before they are needed', () => {
  it('are told of when they are there; nobody waits for them, and their groups have no others', () => {
    const rig = new Rig({ group: 4, gather: 100 });
    rig.ahead(5);
    rig.ahead(6);
    rig.ask(1);
    rig.runTo(100);
    // What is needed goes first.
    expect(rig.groups).toEqual([[1], [5, 6]]);
    rig.pri.responded(rig.sent[1]!.group, PageStatus.Success);
    expect([rig.aheads, rig.answers]).toEqual([[5, 6], []]);
    expect([rig.pri.counters.prefetches, rig.pri.counters.prefetchLate]).toEqual([2, 0]);
  });

  it('an access that comes meanwhile waits for the same answer; one that is invalid says nothing about it', () => {
    const rig = new Rig({ group: 2, gather: 100 });
    rig.ahead(5);
    rig.ahead(6);
    rig.runTo(100);
    rig.ask(5);
    rig.ask(5);
    expect([rig.sent.length, rig.pri.counters.prefetchLate, rig.pri.counters.merged]).toEqual([2, 1, 2]);
    rig.pri.responded(rig.sent[0]!.group, PageStatus.Invalid);
    expect(rig.answers).toEqual([
      [5, PageStatus.Success],
      [5, PageStatus.Success],
    ]);
    expect(rig.aheads).toEqual([]);
    // It asks again, now for itself.
    rig.ask(5);
    rig.runTo(200);
    rig.pri.responded(rig.sent[2]!.group, PageStatus.Invalid);
    expect(rig.answers.at(-1)).toEqual([5, PageStatus.Invalid]);
  });

  it('take no credit that is not there, and are not asked for twice', () => {
    const rig = new Rig({ outstanding: 2 });
    rig.ahead(1);
    rig.ahead(1);
    rig.ahead(2);
    rig.ahead(3);
    expect(rig.groups).toEqual([[1], [2]]);
    rig.ask(4);
    rig.pri.responded(rig.sent[0]!.group, PageStatus.Success);
    expect(rig.groups).toEqual([[1], [2], [4]]);
  });
});

describe('in any order of requests, answers and stops', () => {
  const step = fc.record({
    what: fc.constantFrom('ask', 'ask', 'ask', 'ahead', 'ahead', 'answer', 'answer', 'time', 'stop'),
    page: fc.integer({ min: 0, max: 11 }),
    write: fc.boolean(),
    pasid: fc.integer({ min: 1, max: 3 }),
    status: fc.constantFrom(PageStatus.Success, PageStatus.Success, PageStatus.Invalid, PageStatus.Failure),
  });

  it('everyone is answered once, groups are whole, and the allowance holds', () => {
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 80 }),
        fc.integer({ min: 1, max: 6 }),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(0, 500),
        (steps, outstanding, group, gather) => {
          const rig = new Rig({ outstanding, group, gather });
          let taken = 0;
          const open = (): number[] => {
            const last = rig.sent.filter(({ bits }) => (bits & PageRequestBit.Last) !== 0);
            const groups = last.filter(({ bits }) => (bits & PageRequestBit.Access) !== 0).map((each) => each.group);
            return groups.slice(answered);
          };
          let answered = 0;
          const answer = (status: PageStatus): void => {
            const [next] = open();
            if (next === undefined) return;
            answered++;
            rig.pri.responded(next, status);
          };
          for (const { what, page, write, pasid, status } of steps) {
            if (what === 'ask' && rig.ask(page, write ? WRITE : READ, pasid)) taken++;
            else if (what === 'ahead') rig.ahead(page, pasid);
            else if (what === 'answer') answer(status);
            else if (what === 'time') rig.runTo(rig.kernel.clock[0]! + 300);
            else if (what === 'stop') rig.pri.stop(pasid);
            const groups = open();
            expect(new Set(groups).size).toBe(groups.length);
            expect(rig.pri.occupancy.value).toBeLessThanOrEqual(outstanding);
          }
          rig.runTo(rig.kernel.clock[0]! + 1000);
          while (open().length > 0) {
            answer(PageStatus.Success);
            rig.runTo(rig.kernel.clock[0]! + 1000);
          }
          expect(rig.answers.length).toBe(taken);
          expect([rig.pri.occupancy.value, rig.pri.counters.unexpected]).toEqual([0, 0]);
          for (const pages of rig.groups) expect(pages.length).toBeLessThanOrEqual(Math.max(1, group));
        },
      ),
      { numRuns: 300 },
    );
  });
});

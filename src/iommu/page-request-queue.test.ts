/** Page request queues against the rules of each architecture: what is queued, lost and answered, in any order of messages and software. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Event } from '../kernel/event.js';
import { PageRequestBit, PageStatus } from '../protocol/page-request.js';
import type { PageRequestQueue } from './page-request-queue.js';
import { MACHINES, type PageMachine } from './testing/page-machines.js';

const WRITE_LAST = PageRequestBit.Write | PageRequestBit.Last;

interface Answer {
  readonly group: number;
  readonly status: PageStatus;
}

/** A unit, messages of one device, software's hand on the registers. */
class Bench {
  readonly answers: Answer[] = [];
  readonly queue: PageRequestQueue;
  /** When software was interrupted, ps. */
  readonly interrupts: number[] = [];

  constructor(readonly machine: PageMachine) {
    this.queue = machine.queue;
    const port = {
      respond: (_device: number, group: number, status: PageStatus) => void this.answers.push({ group, status }),
    };
    this.queue.connect(Array.from({ length: 8 }, () => port));
    machine.onInterrupt = () => void this.interrupts.push(machine.kernel.clock[0]!);
  }

  send(group: number, bits: number = WRITE_LAST, page = group, pasid = 1): void {
    const message = new Event();
    message.parent = group;
    message.value = bits;
    message.context = pasid;
    message.addressLo = page * 4096;
    this.queue.receive(message);
  }

  run(): void {
    this.machine.run();
  }
}

describe.each(Object.entries(MACHINES))('%s', (_name, make) => {
  const bench = (enabled = true): Bench => new Bench(make(enabled));

  it('writes a record that says what the message said, and interrupts when memory has it', () => {
    const b = bench();
    b.send(300, PageRequestBit.Read | PageRequestBit.Execute | PageRequestBit.Last, 77, 0x12345);
    expect(b.interrupts).toEqual([]);
    b.run();
    expect(b.machine.record(0)).toEqual({
      source: b.machine.requester,
      pasid: 0x12345,
      bits: PageRequestBit.Read | PageRequestBit.Execute | PageRequestBit.Last,
      group: 300,
      addressHi: 0,
      addressLo: 77 * 4096,
    });
    expect(b.interrupts).toEqual([b.queue.recordedAt(0)]);
    expect(b.queue.recordedAt(0)).toBeGreaterThan(0);
    expect([b.answers.length, b.queue.counters.queued]).toEqual([0, 1]);
  });

  it('moderates interrupts: none while software has not dealt with the last one', () => {
    const b = bench();
    b.send(1);
    b.run();
    b.send(2);
    b.run();
    expect(b.interrupts.length).toBe(1);
    b.machine.acknowledge();
    b.machine.take(2);
    b.send(3);
    b.run();
    expect(b.interrupts.length).toBe(2);
  });

  it('answers last requests itself while it is full and until software has cleared that, then queues again', () => {
    const b = bench();
    const { capacity } = b.queue;
    for (let i = 0; i < capacity; i++) b.send(i & 255);
    b.send(300, PageRequestBit.Write);
    b.send(300);
    expect([b.answers, b.queue.counters.overflows]).toEqual([[{ group: 300, status: PageStatus.Success }], 1]);
    b.run();
    b.machine.acknowledge();
    b.machine.take(capacity);
    b.send(301);
    expect(b.answers.length).toBe(2);
    b.machine.clearOverflow();
    b.send(302);
    b.run();
    expect([b.answers.length, b.queue.counters.dropped, b.queue.produced - b.queue.consumed]).toEqual([2, 1, 1]);
  });

  it('refuses where page requests are off', () => {
    const b = bench(false);
    b.send(9, PageRequestBit.Write);
    b.send(9);
    b.run();
    expect([b.answers, b.interrupts]).toEqual([[{ group: 9, status: b.machine.refusal }], []]);
  });

  it('hands answers of software on to the device, and those for nobody to nobody', () => {
    const b = bench();
    b.machine.respond(b.machine.requester, 1, 511, PageStatus.Invalid);
    b.machine.respond(b.machine.requester, 1, 0, PageStatus.Success);
    b.machine.respond(0x7777, 1, 4, PageStatus.Failure);
    expect(b.answers).toEqual([
      { group: 511, status: PageStatus.Invalid },
      { group: 0, status: PageStatus.Success },
    ]);
  });

  it('in any order of messages, reads and restarts every group has one answer', () => {
    const step = fc.constantFrom('one', 'two', 'take', 'clear', 'run', 'marker');
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 120 }), fc.integer({ min: 1, max: 40 }), (steps, some) => {
        const b = bench();
        let next = 0;
        // Most of the ring is taken, so that a few requests overflow it.
        const filler = b.queue.capacity - (some % 8);
        for (let i = 0; i < filler; i++) b.send(500, PageRequestBit.Write);
        const groups: number[] = [];
        const read = (count: number): void => {
          for (let i = 0; i < count; i++) {
            const slot = b.queue.consumed & (2 ** b.queue.entriesLg2 - 1);
            const { bits, group } = b.machine.record(slot);
            b.machine.take(1);
            if ((bits & PageRequestBit.Last) !== 0 && (bits & PageRequestBit.Access) !== 0) {
              b.machine.respond(b.machine.requester, 1, group, PageStatus.Success);
            }
          }
        };
        for (const what of steps) {
          const group = next;
          if (what === 'one' || what === 'two') {
            next++;
            groups.push(group);
            if (what === 'two') b.send(group, PageRequestBit.Read);
            b.send(group);
          } else if (what === 'marker') b.send(0, PageRequestBit.Last);
          else if (what === 'run') b.run();
          else if (what === 'take') read(Math.min(some, b.queue.visible - b.queue.consumed));
          else if (b.queue.visible === b.queue.consumed) b.machine.clearOverflow();
        }
        b.run();
        read(b.queue.visible - b.queue.consumed);
        expect(b.answers.map((answer) => answer.group).sort((x, y) => x - y)).toEqual(groups);
      }),
      { numRuns: 60 },
    );
  });
});

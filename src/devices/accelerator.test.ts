import { describe, expect, it } from 'vitest';
import { Kernel } from '../kernel/kernel.js';
import { Access } from '../protocol/access.js';
import { Op } from '../protocol/op.js';
import type { WorkClient, WorkDescriptor, WorkQueueConfig } from '../protocol/portal.js';
import { DmaStatus } from '../protocol/queue.js';
import { Accelerator } from './accelerator.js';
import type { AcceleratorSpec } from './spec.js';

const SPEC: AcceleratorSpec = { queues: 3, entries: 8, engines: 1, descriptors: 2, dispatch: 40_000 };
const FIRST = 1000;

interface Posted {
  readonly tag: number;
  readonly address: number;
  readonly bytes: number;
  readonly access: Access;
  readonly pasid: number;
}

function setUp(spec: Partial<AcceleratorSpec> = {}) {
  const kernel = new Kernel(Op.Relay);
  const posted: Posted[] = [];
  const told: string[] = [];
  const accelerator = new Accelerator(kernel, 0, { ...SPEC, ...spec }, FIRST, (tag, hi, lo, bytes, access, pasid) => {
    posted.push({ tag, address: hi * 2 ** 32 + lo, bytes, access, pasid });
  });
  const client: WorkClient = {
    answered: (tag, accepted) => told.push(`answered ${tag} ${accepted}`),
    accepted: (tag) => told.push(`accepted ${tag}`),
    dispatched: (tag) => told.push(`dispatched ${tag}`),
    finished: (tag, status) => told.push(`finished ${tag} ${status}`),
  };
  const queue = (mode: WorkQueueConfig['mode'], entries: number): number =>
    accelerator.configure({ mode, entries }, client);
  /** Handles what is due up to `until` ps. */
  const run = (until: number): void => {
    for (;;) {
      if (kernel.pending === 0) return;
      const event = kernel.next()!;
      if (kernel.clock[0]! > until) throw new Error(`nothing may be due after ${until}, but is at ${kernel.clock[0]}`);
      expect(event.op).toBe(Op.AcceleratorDispatch);
      accelerator.dispatch();
    }
  };
  return { kernel, accelerator, posted, told, queue, run };
}

function move(tag: number, pasid = 7): WorkDescriptor {
  const [source, target, record] = [tag * 4096, 2 ** 20 + tag * 4096, 2 ** 30 + tag * 32];
  return {
    pasid,
    bytes: 4096,
    sourceHi: 0,
    sourceLo: source,
    targetHi: 1,
    targetLo: target,
    recordHi: 0,
    recordLo: record,
  };
}

describe('an accelerator', () => {
  it('reads, writes, records, each when the one before is done', () => {
    const { accelerator, posted, told, queue, run } = setUp();
    expect(accelerator.arrive(queue('shared', 4), 5, move(5))).toBe(true);
    run(40_000);
    expect(posted).toEqual(
      [{ tag: FIRST + 3, address: 5 * 4096, bytes: 4096, access: Access.Read, pasid: 7 }].map(relabel),
    );
    accelerator.completed(posted[0]!.tag, DmaStatus.Ok);
    expect(posted[1]).toMatchObject({ address: 2 ** 32 + 2 ** 20 + 5 * 4096, bytes: 4096, access: Access.Write });
    accelerator.completed(posted[1]!.tag, DmaStatus.Ok);
    expect(posted[2]).toMatchObject({ address: 2 ** 30 + 5 * 32, bytes: 32, access: Access.Write, pasid: 7 });
    expect(told).toEqual(['accepted 5', 'dispatched 5']);
    accelerator.completed(posted[2]!.tag, DmaStatus.Ok);
    expect(told.at(-1)).toBe('finished 5 0');
    expect(accelerator.moved).toBe(4096);
    expect(accelerator.processing.value).toBe(0);

    function relabel(each: Posted): Posted {
      return { ...each, tag: posted[0]!.tag };
    }
  });

  it('writes the record of a move that faults, and no target', () => {
    const { accelerator, posted, told, queue, run } = setUp();
    accelerator.arrive(queue('shared', 4), 1, move(1));
    run(40_000);
    accelerator.completed(posted[0]!.tag, DmaStatus.Fault);
    expect(posted).toHaveLength(2);
    expect(posted[1]!.bytes).toBe(32);
    accelerator.completed(posted[1]!.tag, DmaStatus.Ok);
    expect(told.at(-1)).toBe('finished 1 1');
    expect(accelerator.moved).toBe(0);
  });

  it('dispatches one descriptor an interval, not earlier', () => {
    const { kernel, accelerator, posted, queue } = setUp();
    const q = queue('shared', 4);
    accelerator.arrive(q, 1, move(1));
    accelerator.arrive(q, 2, move(2));
    const times: number[] = [];
    while (kernel.pending > 0) {
      kernel.next();
      accelerator.dispatch();
      times.push(kernel.clock[0]!);
    }
    expect(times).toEqual([40_000, 80_000]);
    expect(posted).toHaveLength(2);
  });

  it('a shared queue that is full refuses, a dedicated one must not be filled further', () => {
    const { accelerator, queue } = setUp();
    const [shared, dedicated] = [queue('shared', 2), queue('dedicated', 1)];
    const answers = [1, 2, 3].map((tag) => accelerator.arrive(shared, tag, move(tag)));
    expect(answers).toEqual([true, true, false]);
    expect([accelerator.taken, accelerator.refused]).toEqual([2, 1]);
    accelerator.arrive(dedicated, 4, move(4));
    expect(() => accelerator.arrive(dedicated, 5, move(5))).toThrow('full');
  });

  it('serves queues in turn, and no more than its engines hold', () => {
    const { accelerator, told, posted, queue, run } = setUp();
    const [a, b] = [queue('shared', 4), queue('shared', 4)];
    for (const tag of [1, 2, 3]) accelerator.arrive(a, tag, move(tag));
    for (const tag of [11, 12]) accelerator.arrive(b, tag, move(tag));
    run(80_000);
    const dispatched = (): string[] => told.filter((each) => each.startsWith('dispatched'));
    expect(dispatched()).toEqual(['dispatched 1', 'dispatched 11']);
    expect(accelerator.queued.value).toBe(3);
    for (let i = 0; i < 3; i++)
      accelerator.completed(posted.filter(({ tag }) => Math.floor((tag - FIRST) / 3) === 0).at(-1)!.tag, DmaStatus.Ok);
    run(120_000);
    expect(dispatched().at(-1)).toBe('dispatched 2');
  });

  it('has so many queues and entries', () => {
    const { queue } = setUp();
    queue('shared', 6);
    expect(() => queue('dedicated', 3)).toThrow('2 entries');
    queue('dedicated', 1);
    queue('dedicated', 1);
    expect(() => queue('shared', 0)).toThrow('all 3');
  });
});

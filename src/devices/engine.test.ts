import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Event } from '../kernel/event.js';
import { Kernel } from '../kernel/kernel.js';
import { Meter } from '../kernel/meter.js';
import { RandomStream } from '../kernel/random.js';
import { Access } from '../protocol/access.js';
import { Op } from '../protocol/op.js';
import { TransactionPool } from '../protocol/pool.js';
import type { DmaStatus } from '../protocol/queue.js';
import { CAUSES, Cause, TlpFlag } from '../protocol/tlp.js';
import { LatencyLedger } from '../stats/latency-ledger.js';
import { Engine } from './engine.js';
import { Source, type WindowWork } from './source.js';
import type { EngineSpec } from './spec.js';

const SPEC: EngineSpec = {
  readOverhead: 0,
  writeOverhead: 0,
  readInterval: [{ size: 2 ** 30, interval: 0 }],
  writeInterval: [{ size: 2 ** 30, interval: 0 }],
  outstanding: 8,
  retire: 'any',
  outstandingReadBytes: 65536,
  readSlots: [{ size: 2 ** 30, slots: 64 }],
};
const WORK: WindowWork = {
  base: 2 ** 33,
  window: 2 ** 20,
  size: 64,
  reads: 100,
  sequential: true,
  outstanding: 8,
  interarrival: 0,
  pasid: -1,
};

interface Sent {
  readonly at: number;
  readonly address: number;
  readonly bytes: number;
  readonly write: boolean;
  readonly dma: number;
  readonly context: number;
}

/** A device on a link that takes everything and answers each TLP after a time that the test chooses. */
class Bench {
  readonly kernel = new Kernel(Op.Relay);
  readonly meter = new Meter();
  readonly ledger = new LatencyLedger(64, CAUSES);
  readonly sent: Sent[] = [];
  readonly done: { tag: number; status: DmaStatus; at: number }[] = [];
  readonly engine: Engine;
  /** Read transactions, their bytes and their DMAs in flight. */
  reads = 0;
  readBytes = 0;
  mostReads = 0;
  mostReadBytes = 0;
  mostDmas = 0;
  private readonly inFlight: number[] = [];
  answer: (tlp: Event, index: number) => number = () => 100_000;
  private sources = 0;

  constructor(spec: Partial<EngineSpec> = {}, { tags = 32, maxPayload = 256, maxReadRequest = 512, pool = 64 } = {}) {
    const limits = { tags, maxPayload, maxReadRequest };
    const records = new TransactionPool(pool);
    this.engine = new Engine(this.kernel, 0, { ...SPEC, ...spec }, limits, records, this.ledger, this.meter);
    this.engine.connect(
      { send: (tlp) => this.take(tlp) },
      { completed: (_device, tag, status) => this.done.push({ tag, status, at: this.now }) },
    );
  }

  get now(): number {
    return this.kernel.clock[0]!;
  }

  add(work: Partial<WindowWork> | null, limit = 8): Source {
    const random = new RandomStream(7, `source ${this.sources++}`);
    const source = new Source(work === null ? null : { ...WORK, ...work }, random, limit);
    this.engine.addSource(source);
    return source;
  }

  /** Runs until so many DMAs are complete, or nothing is pending. */
  run(operations: number): void {
    this.engine.begin(this.now);
    this.continue(operations);
  }

  continue(operations: number): void {
    const goal = this.meter.operations + this.done.length + operations;
    while (this.meter.operations + this.done.length < goal) {
      const event = this.kernel.next();
      if (event === null) return;
      if (event.op === Op.DeviceIssue) this.engine.gateOpen(event);
      else if (event.op === Op.DeviceDone) this.finish(event);
      else throw new Error(`op ${event.op}`);
    }
  }

  private take(tlp: Event): boolean {
    const write = (tlp.flags & TlpFlag.Write) !== 0;
    const address = (tlp.addressHi >>> 0) * 2 ** 32 + (tlp.addressLo >>> 0);
    this.sent.push({ at: this.now, address, bytes: tlp.bytes, write, dma: tlp.parent, context: tlp.context });
    if (!write) {
      this.mostReads = Math.max(this.mostReads, ++this.reads);
      this.readBytes += tlp.bytes;
      this.mostReadBytes = Math.max(this.mostReadBytes, this.readBytes);
      this.inFlight.push(tlp.parent);
      this.mostDmas = Math.max(this.mostDmas, new Set(this.inFlight).size);
    }
    const delay = this.answer(tlp, this.sent.length - 1);
    this.ledger.chargeFor(tlp.id, Cause.Memory, delay);
    this.kernel.after(delay, tlp, Op.DeviceDone);
    return true;
  }

  private finish(tlp: Event): void {
    if ((tlp.flags & (TlpFlag.Write | TlpFlag.Settled)) === 0) {
      this.reads--;
      this.readBytes -= tlp.bytes;
      this.inFlight.splice(this.inFlight.indexOf(tlp.parent), 1);
    }
    this.engine.done(tlp);
  }
}

const rates = (interval: number) => [{ size: 2 ** 30, interval }];

describe('issue', () => {
  it('keeps the interval of the size between DMAs, the last row for larger ones', () => {
    const readInterval = [
      { size: 64, interval: 1000 },
      { size: 256, interval: 5000 },
    ];
    for (const [size, interval] of [
      [64, 1000],
      [65, 5000],
      [512, 5000],
    ] as const) {
      const bench = new Bench({ readInterval });
      bench.add({ size });
      bench.run(20);
      const starts = bench.sent.filter((_, i, all) => i === 0 || all[i - 1]!.dma !== all[i]!.dma).map((s) => s.at);
      for (let i = 1; i < 8; i++) expect(starts[i]! - starts[i - 1]!).toBe(interval);
    }
  });

  it('has as many DMAs in flight as the job or the engine allows', () => {
    for (const [engine, job, most] of [
      [4, 8, 4],
      [16, 3, 3],
    ] as const) {
      const bench = new Bench({ outstanding: engine });
      bench.add({ outstanding: job }, engine);
      bench.run(40);
      expect(bench.mostReads).toBe(most);
    }
  });

  it('takes sources in turn', () => {
    const bench = new Bench({ readInterval: rates(1000), outstanding: 32 });
    bench.add({ base: 0, outstanding: 32 }, 32);
    bench.add({ base: 2 ** 40, outstanding: 32 }, 32);
    bench.add({ base: 2 ** 41, outstanding: 32 }, 32);
    bench.run(60);
    expect(bench.sent.slice(0, 9).map((s) => Math.floor(s.address / 2 ** 40))).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });

  it('mixes reads and writes as asked', () => {
    const bench = new Bench();
    bench.add({ reads: 30 });
    bench.run(5000);
    const share = bench.sent.filter((s) => !s.write).length / bench.sent.length;
    expect(share).toBeGreaterThan(0.27);
    expect(share).toBeLessThan(0.33);
    expect(bench.engine.readLatency.count + bench.engine.writeLatency.count).toBe(5000);
  });

  it('carries the PASID of the job', () => {
    const bench = new Bench();
    bench.add({ pasid: 77 });
    bench.run(3);
    expect(bench.sent.every((s) => s.context === 77)).toBe(true);
  });
});

describe('transactions', () => {
  it('cut each DMA completely, at the limits and at every 4 KiB', () => {
    const shape = fc.record({
      address: fc.integer({ min: 0, max: 20_000 }),
      bytes: fc.integer({ min: 1, max: 30_000 }),
      write: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(shape, { minLength: 1, maxLength: 6 }), (shapes) => {
        const bench = new Bench({ outstandingReadBytes: 2 ** 20 });
        const source = bench.add(null);
        // Across a 4 GiB boundary: the carry matters.
        const base = 2 ** 34 - 10_000;
        for (const [tag, { address, bytes, write }] of shapes.entries()) {
          const at = base + address;
          source.post(Math.floor(at / 2 ** 32), at | 0, bytes, write ? Access.Write : Access.Read, tag);
        }
        bench.run(shapes.length);
        expect(bench.done.map((d) => d.tag).sort((a, b) => a - b)).toEqual(shapes.map((_, tag) => tag));
        let i = 0;
        for (const { address, bytes, write } of shapes) {
          for (let left = bytes, at = base + address; left > 0; i++) {
            const most = Math.min(left, write ? 256 : 512, 4096 - (at % 4096));
            expect(bench.sent[i]).toMatchObject({ address: at, bytes: most, write });
            at += most;
            left -= most;
          }
        }
        expect(i).toBe(bench.sent.length);
      }),
      { numRuns: 50 },
    );
  });

  it('stay within tags, read bytes and records, and use them up', () => {
    const cases = [
      { limits: { tags: 3 }, spec: {}, reads: 3, bytes: 1536 },
      { limits: {}, spec: { outstandingReadBytes: 2048 }, reads: 4, bytes: 2048 },
      { limits: { pool: 5 }, spec: {}, reads: 5, bytes: 2560 },
    ];
    for (const { limits, spec, reads, bytes } of cases) {
      const bench = new Bench(spec, limits);
      bench.add({ size: 2048 });
      bench.run(50);
      expect([bench.mostReads, bench.mostReadBytes]).toEqual([reads, bytes]);
    }
  });

  it('readSlots limit reads by their size, also when tags run out in between', () => {
    const readSlots = [
      { size: 64, slots: 5 },
      { size: 2048, slots: 2 },
    ];
    for (const [size, tags, most] of [
      [64, 32, 5],
      [512, 32, 2],
      [1024, 3, 2],
      [2048, 6, 2],
    ] as const) {
      const bench = new Bench({ readSlots }, { tags });
      bench.add({ size });
      bench.run(200);
      expect(bench.meter.operations).toBe(200);
      expect(bench.mostDmas).toBe(most);
    }
  });

  it('a read that waits for a tag takes one slot, not one for every try', () => {
    const bench = new Bench({ readSlots: [{ size: 1024, slots: 2 }] }, { tags: 2 });
    bench.add({ size: 1024 });
    bench.answer = (_tlp, index) => (index === 0 ? 100_000 : 300_000);
    bench.run(2);
    expect(bench.sent.slice(0, 4).map((s) => s.at / 1000)).toEqual([0, 0, 100, 300]);
  });

  it('the latency of a DMA follows its last TLP', () => {
    const bench = new Bench();
    bench.add({ size: 1024, outstanding: 1 });
    bench.answer = (_tlp, index) => (index % 2 === 0 ? 300_000 : 100_000);
    bench.run(1);
    expect(bench.engine.readLatency.max).toBe(300_000);
    expect(bench.ledger.totalPs(Cause.Memory)).toBe(300_000);
  });
});

describe('completion', () => {
  const slowFirst = (_tlp: Event, index: number): number => (index === 0 ? 1_000_000 : 100_000);

  it('in order: a place is free when all older DMAs are complete; any: at once', () => {
    const inOrder = new Bench({ retire: 'in-order' });
    inOrder.answer = slowFirst;
    inOrder.add({});
    inOrder.run(8);
    expect(inOrder.now).toBe(1_000_000);
    expect(inOrder.sent.filter((s) => s.at < inOrder.now).length).toBe(8);
    expect(inOrder.ledger.totalPs(Cause.Retire)).toBe(7 * 900_000);

    const any = new Bench({ retire: 'any' });
    any.answer = slowFirst;
    any.add({});
    any.run(8);
    expect(any.now).toBe(200_000);
  });

  it('a read slot of an in-order engine is free when its own read is complete', () => {
    const bench = new Bench({ retire: 'in-order', outstanding: 8, readSlots: [{ size: 64, slots: 2 }] });
    bench.answer = slowFirst;
    bench.add({});
    bench.run(1);
    expect(bench.sent.filter((s) => s.at < bench.now).map((s) => s.at / 100_000)).toEqual([0, 0, 1, 2, 3, 4, 5, 6]);
  });

  it('a write is done its overhead after it is visible, and not one picosecond earlier', () => {
    const bench = new Bench({ writeOverhead: 40_000 });
    bench.add({ reads: 0, size: 1024, outstanding: 1 });
    bench.run(3);
    expect(bench.now).toBe(3 * 140_000);
    expect([bench.engine.writeLatency.min, bench.engine.writeLatency.max]).toEqual([140_000, 140_000]);
    expect(bench.ledger.totalPs(Cause.Device)).toBe(3 * 40_000);
  });

  it('reports a refused transaction of a posted DMA', () => {
    const bench = new Bench();
    const source = bench.add(null);
    bench.answer = (tlp, index) => {
      if (index === 1) tlp.flags |= TlpFlag.Aborted;
      return 1000;
    };
    source.post(2, 0, 1024, Access.Write, 5);
    source.post(2, 4096, 64, Access.Write, 6);
    bench.run(2);
    expect(bench.done.sort((a, b) => a.tag - b.tag).map(({ tag, status }) => [tag, status])).toEqual([
      [5, 1],
      [6, 0],
    ]);
    expect(bench.engine.faults).toBe(1);
  });
});

describe('open loop', () => {
  it('arrives at the rate asked for, however long that takes', () => {
    const bench = new Bench({ outstanding: 64 });
    bench.answer = () => 50_000;
    bench.add({ interarrival: 1_000_000, outstanding: 64 }, 64);
    bench.run(4000);
    const mean = bench.now / 4000;
    expect(mean).toBeGreaterThan(950_000);
    expect(mean).toBeLessThan(1_050_000);
    expect(bench.engine.lostArrivals()).toBe(0);
  });

  it('latency counts from the arrival, and a full backlog loses arrivals', () => {
    const bench = new Bench();
    bench.answer = () => 1_000_000;
    bench.add({ interarrival: 1000, outstanding: 1 });
    bench.run(50);
    expect(bench.engine.readLatency.max).toBeGreaterThan(40_000_000);
    expect(bench.engine.lostArrivals()).toBeGreaterThan(0);
  });

  it('a far arrival of one source does not hold up another', () => {
    const bench = new Bench({ readInterval: rates(10_000) });
    bench.add({ base: 0, interarrival: 1e12, outstanding: 8 });
    const posted = bench.add(null);
    bench.run(0);
    for (let tag = 0; tag < 4; tag++) posted.post(2, 64 * tag, 64, Access.Read, tag);
    bench.engine.pump();
    bench.continue(4);
    expect(bench.now).toBe(3 * 10_000 + 100_000);
  });

  it('a source at its limit is not forgotten', () => {
    const bench = new Bench();
    bench.answer = (_tlp, index) => (index === 0 ? 50_000_000 : 100_000);
    bench.add({ base: 0, interarrival: 1_000_000, outstanding: 1 });
    bench.add({ base: 2 ** 40, interarrival: 1e10, outstanding: 1 });
    bench.run(40);
    // Had it waited for the other source's arrival, this would take 10 ms.
    expect(bench.now).toBeLessThan(200_000_000);
  });
});

describe('addresses', () => {
  it('are uniform over windows of more than 2^31 blocks', () => {
    const bench = new Bench({ outstanding: 1 });
    bench.add({ base: 0, window: 2 ** 40, size: 64, sequential: false, outstanding: 1 }, 1);
    bench.run(2000);
    const quarters = [0, 0, 0, 0];
    for (const { address } of bench.sent) quarters[Math.floor(address / 2 ** 38)]!++;
    for (const count of quarters) expect(Math.abs(count - 500)).toBeLessThan(100);
    expect(bench.sent.some((s) => s.address % 4096 !== 0)).toBe(true);
  });

  it('walk through the window and start again', () => {
    const bench = new Bench({ outstanding: 1 });
    bench.add({ window: 1000, size: 300, outstanding: 1 }, 1);
    bench.run(5);
    expect(bench.sent.slice(0, 5).map((s) => s.address - 2 ** 33)).toEqual([0, 300, 600, 0, 300]);
  });
});

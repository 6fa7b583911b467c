import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Llc } from './llc.js';

interface Line {
  line: number;
  dirty: boolean;
  used: number;
}

/** The obvious cache: objects in arrays; ways in order, free ones undefined. */
class NaiveLlc {
  private readonly sets: (Line | undefined)[][];
  private time = 0;
  evicted: number | undefined;
  constructor(
    private readonly count: number,
    private readonly ways: number,
    private readonly ddioWays: number,
  ) {
    this.sets = Array.from({ length: count }, () => new Array<Line | undefined>(ways).fill(undefined));
  }
  private find(line: number): Line | undefined {
    return this.sets[line % this.count]!.find((entry) => entry?.line === line);
  }
  read(line: number): boolean {
    const entry = this.find(line);
    if (entry !== undefined) entry.used = ++this.time;
    return entry !== undefined;
  }
  store(line: number, allowed: number, dirty: boolean): boolean {
    this.evicted = undefined;
    const entry = this.find(line);
    if (entry !== undefined) {
      entry.used = ++this.time;
      entry.dirty ||= dirty;
      return true;
    }
    const set = this.sets[line % this.count]!;
    let way = set.slice(0, allowed).lastIndexOf(undefined);
    if (way < 0) {
      const uses = set.slice(0, allowed).map((e) => e!.used);
      way = uses.indexOf(Math.min(...uses));
    }
    const old = set[way];
    if (old?.dirty) this.evicted = old.line;
    set[way] = { line, dirty, used: ++this.time };
    return false;
  }
  deviceWrite(line: number): boolean {
    if (this.ddioWays > 0) return this.store(line, this.ddioWays, true);
    this.invalidate(line);
    this.evicted = undefined;
    return false;
  }
  cpuWrite(line: number): boolean {
    return this.store(line, this.ways, true);
  }
  coherentRead(line: number): boolean {
    return this.store(line, this.ways, false);
  }
  invalidate(line: number): boolean {
    const set = this.sets[line % this.count]!;
    const way = set.findIndex((entry) => entry?.line === line);
    const dirty = set[way]?.dirty ?? false;
    if (way >= 0) set[way] = undefined;
    return dirty;
  }
}

const spec = (sets: number, ways: number, ddioWays: number) => ({
  size: sets * ways * 64,
  ways,
  ddioWays,
  latency: 1,
  bandwidth: 1,
  scatter: 0,
});
const hiOf = (line: number) => Math.floor(line / 2 ** 26);
const loOf = (line: number) => (line % 2 ** 26) << 6;

function warm(llc: Llc, first: number, lines: number): void {
  for (let i = 0; i < lines; i++) llc.deviceWrite(hiOf(first + i), loOf(first + i));
}

function cached(llc: Llc, first: number, lines: number): number {
  let hits = 0;
  for (let i = 0; i < lines; i++) if (llc.contains(hiOf(first + i), loOf(first + i))) hits++;
  return hits;
}

describe('Llc', () => {
  it('agrees with a naive cache: hits, victims and their dirtiness', () => {
    const region = fc.constantFrom(0, 2 ** 26 - 10, 2 ** 30 - 10, 2 ** 40, 2 ** 46 - 64);
    const step = fc.record({
      kind: fc.constantFrom('read', 'deviceWrite', 'cpuWrite', 'walk', 'flush'),
      line: fc.tuple(region, fc.nat(40)).map(([base, n]) => base + n),
    });
    const geometry = fc.record({
      sets: fc.constantFrom(1, 2, 3, 5, 8),
      ways: fc.constantFrom(1, 2, 4, 5),
      ddio: fc.nat(3),
    });
    fc.assert(
      fc.property(geometry, fc.array(step, { minLength: 50, maxLength: 300 }), ({ sets, ways, ddio }, steps) => {
        const ddioWays = Math.min(ddio, ways);
        const llc = new Llc(spec(sets, ways, ddioWays));
        const naive = new NaiveLlc(sets, ways, ddioWays);
        for (const { kind, line } of steps) {
          const hi = hiOf(line);
          const lo = loOf(line);
          if (kind === 'read') expect(llc.deviceRead(hi, lo)).toBe(naive.read(line));
          else if (kind === 'flush') expect(llc.invalidate(hi, lo)).toBe(naive.invalidate(line));
          else {
            if (kind === 'deviceWrite') expect(llc.deviceWrite(hi, lo)).toBe(naive.deviceWrite(line));
            else if (kind === 'cpuWrite') expect(llc.cpuWrite(hi, lo)).toBe(naive.cpuWrite(line));
            else expect(llc.coherentRead(hi, lo)).toBe(naive.coherentRead(line));
            const victim = llc.evictedDirty ? llc.evictedHi * 2 ** 26 + (llc.evictedLo >>> 6) : undefined;
            expect(victim).toBe(naive.evicted);
          }
        }
      }),
    );
  });

  it('maps every line number to its remainder by the number of sets', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 70_000 }),
        fc.integer({ min: 0, max: 2 ** 46 - 1 }),
        fc.nat(3),
        (sets, any, near) => {
          const line = near === 3 ? any : Math.max(0, any - (any % sets) - 1 + near);
          const llc = new Llc(spec(sets, 1, 1));
          llc.deviceWrite(hiOf(line), loOf(line));
          const neighbour = line >= sets ? line - sets : line + sets;
          llc.deviceWrite(hiOf(neighbour), loOf(neighbour));
          expect(llc.contains(hiOf(line), loOf(line))).toBe(false);
          llc.deviceWrite(hiOf(line % sets), loOf(line % sets));
          expect(llc.contains(hiOf(neighbour), loOf(neighbour))).toBe(neighbour === line % sets);
          llc.deviceWrite(hiOf(neighbour), loOf(neighbour));
          if (sets > 1) {
            const other = line >= 1 ? line - 1 : line + 1;
            llc.deviceWrite(hiOf(other), loOf(other));
            expect(llc.contains(hiOf(neighbour), loOf(neighbour))).toBe(true);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('keeps of a device-written window exactly its last lines, as many as the DDIO ways hold', () => {
    const share = 2 * 20480;
    for (const lines of [1, share - 1, share, share + 1, 3 * share + 7, 20 * 20480]) {
      const llc = new Llc(spec(20480, 20, 2));
      warm(llc, 2 ** 26, lines);
      expect(cached(llc, 2 ** 26, lines)).toBe(Math.min(lines, share));
      expect(cached(llc, 2 ** 26 + lines - Math.min(lines, share), Math.min(lines, share))).toBe(
        Math.min(lines, share),
      );
    }
  });

  it('keeps all of a CPU-written window up to its whole size', () => {
    const llc = new Llc(spec(96, 4, 1));
    for (let i = 0; i < 96 * 4; i++) llc.cpuWrite(1, i << 6);
    expect(cached(llc, 2 ** 26, 96 * 4)).toBe(96 * 4);
    llc.cpuWrite(1, (96 * 4) << 6);
    expect(cached(llc, 2 ** 26, 96 * 4)).toBe(96 * 4 - 1);
  });

  it('updates in place what a device writes and a CPU has cached, beyond the DDIO share', () => {
    const llc = new Llc(spec(8, 4, 1));
    for (let i = 0; i < 32; i++) llc.cpuWrite(1, i << 6);
    warm(llc, 2 ** 26, 32);
    expect(cached(llc, 2 ** 26, 32)).toBe(32);
  });

  it('lets device writes evict only from the DDIO ways', () => {
    const llc = new Llc(spec(8, 4, 1));
    for (let i = 0; i < 24; i++) llc.coherentRead(1, i << 6);
    warm(llc, 2 ** 27, 1000);
    expect(cached(llc, 2 ** 26, 24)).toBe(24);
  });

  it('does not allocate on device reads', () => {
    const llc = new Llc(spec(8, 4, 2));
    for (let i = 0; i < 100; i++) expect(llc.deviceRead(1, i << 6)).toBe(false);
    expect(cached(llc, 2 ** 26, 100)).toBe(0);
  });

  it('scatters the given share of lines over the sets, the same ones every time', () => {
    const lines = 20_000;
    const conflicts = (scatter: number) => {
      const llc = new Llc({ ...spec(lines, 1, 1), scatter });
      warm(llc, 2 ** 26, lines);
      return lines - cached(llc, 2 ** 26, lines);
    };
    expect(conflicts(0)).toBe(0);
    expect(conflicts(200_000)).toBe(conflicts(200_000));
    // Lines thrown at random leave a share of 1/e sets empty; a fifth of them empties about a fifth of e^(-1/5).
    expect(conflicts(1_000_000) / lines).toBeCloseTo(Math.exp(-1), 1);
    expect(conflicts(200_000) / lines).toBeCloseTo(0.2 * Math.exp(-0.2), 1);
  });

  it('refuses impossible geometry', () => {
    expect(() => new Llc({ ...spec(8, 4, 2), size: 1000 })).toThrow(/whole number of sets/);
    expect(() => new Llc(spec(8, 4, 5))).toThrow(/4 ways; 5/);
  });
});

/**
 * Random words against a naive format: both walks are fed the same words, near to valid entries and far from them, and must agree on
 * every read, update, fault and result.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type Format, Permission } from '../format.js';
import { SETS } from '../templates.js';
import { Fault, Step, startWalk, stepWalk, Walk } from '../walk.js';
import { type NaiveFormat, naiveWalk } from './naive.js';

const int32 = (value: bigint): number => Number(BigInt.asIntN(32, value));
const int64 = (hi: number, lo: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);

const REQUESTS = [
  0,
  Permission.Read | Permission.User,
  Permission.Write | Permission.User,
  Permission.Read | Permission.Write | Permission.User,
  Permission.Execute | Permission.User,
  Permission.Read | Permission.Supervisor,
  Permission.Write | Permission.Supervisor,
  Permission.SupervisorExecute | Permission.Supervisor,
];

/** Words that software would write at a level, with a random address, and then some of their bits changed. */
function word(format: Format): fc.Arbitrary<(level: number) => bigint> {
  const { templates } = format;
  const width = format.hostAddressWidth;
  return fc
    .record({
      random: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      form: fc.constantFrom('expected', 'expected', 'expected', 'expected', 'leaf', 'random'),
      permissions: fc.nat({ max: SETS - 1 }),
      size: fc.nat(),
      page: fc.bigInt({ min: 0n, max: (1n << BigInt(width)) - 1n }),
      flips: fc.oneof(fc.constant<number[]>([]), fc.array(fc.nat({ max: 63 }), { maxLength: 2 })),
    })
    .map((c) => (level) => {
      const sizes = templates.leafSizes.filter((size) => templates.levelOfSize[size] === level);
      const size = sizes[c.size % sizes.length];
      let base = c.random;
      const leaf = c.form === 'leaf' || (c.form === 'expected' && level === 1);
      if (leaf && size !== undefined) {
        const at = size * SETS + c.permissions;
        const page = Number((c.page >> BigInt(size)) << BigInt(size));
        base = int64(templates.leafHi[at]! | format.fieldHi(page), templates.leafLo[at]! | format.fieldLo(page));
      } else if (c.form === 'expected') {
        const table = Number((c.page >> 16n) << 16n);
        const [hi, lo] = [templates.tableHi[level]!, templates.tableLo[level]!];
        base = int64(hi | format.fieldHi(table), lo | format.fieldLo(table));
      }
      return c.flips.reduce((value, at) => value ^ (1n << BigInt(at)), base);
    });
}

/** Registers the comparison for tables of each height. */
export function checkAgainstNaive(title: string, format: Format, naive: NaiveFormat, runs: number): void {
  it(`agrees with the specification on random words: ${title}`, () => {
    const seen = new Set<Fault>();
    let most = 0;
    const sample = fc.record({
      height: fc.oneof(fc.constantFrom(...format.heights), fc.constant(Math.max(...format.heights))),
      narrow: fc.nat({ max: 8 }),
      input: fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
      shape: fc.constantFrom('legal', 'legal', 'legal', 'legal', 'low', 'any'),
      need: fc.constantFrom(...REQUESTS),
      intent: fc.constantFrom(0, Permission.Write),
      words: fc.array(word(format), { minLength: 6, maxLength: 6 }),
    });
    fc.assert(
      fc.property(sample, (c) => {
        const inputLg2 = Math.max(format.inputWidth(c.height) - c.narrow, format.granuleLg2 + 1);
        let input = c.shape === 'any' ? c.input : BigInt.asUintN(inputLg2, c.input);
        if (c.shape === 'legal' && format.signExtended) input = BigInt.asUintN(64, BigInt.asIntN(inputLg2, c.input));
        if (c.shape === 'low') input = BigInt.asUintN(Math.min(inputLg2 - 1, 25), c.input);
        const request = { input, need: c.need, intent: c.intent };
        let served = 0;
        const load = (_: bigint, level: number): bigint => c.words[served++]!(level);
        const expected = naiveWalk(naive, request, 1n << 40n, c.height, inputLg2, load);

        const walk = new Walk();
        walk.inputHi = int32(input >> 32n);
        walk.inputLo = int32(input);
        walk.access = c.need;
        walk.intent = c.intent;
        let step = startWalk(format, walk, 256, 0, c.height, inputLg2);
        for (const read of expected.reads) {
          expect(step).toBe(Step.Read);
          expect([int64(walk.entryHi, walk.entryLo), walk.level]).toEqual([read.address, read.level]);
          step = stepWalk(format, walk, int32(read.before >> 32n), int32(read.before));
          expect(walk.update).toBe(read.after === read.before ? 0 : 1);
          if (walk.update === 1) {
            expect(int64(walk.updateWordHi, walk.updateWordLo)).toBe(read.after);
            expect(int64(walk.updateHi, walk.updateLo)).toBe(read.address);
          }
        }
        expect(walk.reads).toBe(served);
        most = Math.max(most, served);
        seen.add(expected.fault);
        expect([walk.fault, step]).toEqual([expected.fault, expected.fault === Fault.None ? Step.Done : Step.Fault]);
        if (step !== Step.Done) return;
        expect(int64(walk.outHi, walk.outLo)).toBe(expected.out);
        expect([walk.sizeLg2, walk.permissions]).toEqual([expected.sizeLg2, expected.granted]);
        expect([walk.clean, walk.global]).toEqual([expected.clean ? 1 : 0, expected.global ? 1 : 0]);
      }),
      { numRuns: runs, seed: 1 },
    );
    // The words were worth comparing: full walks, successes and faults among them.
    expect(most).toBe(Math.max(...format.heights));
    expect(seen.has(Fault.None) && seen.has(Fault.NotPresent)).toBe(true);
  });
}

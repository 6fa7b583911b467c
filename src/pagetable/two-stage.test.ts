import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameAllocator } from '../memory/frames.js';
import { PhysicalMemory } from '../memory/physical.js';
import { Access } from '../protocol/access.js';
import type { FormatDescription } from './description.js';
import { amdHost } from './formats/amdv1.js';
import { armv8 } from './formats/armv8.js';
import { riscv } from './formats/riscv.js';
import { vtdSecondStage } from './formats/vtdss.js';
import { amdGuest, x86FirstStage } from './formats/x86_64.js';
import { compileFormat, type Format, Permission } from './format.js';
import { high } from './page-size.js';
import { PageTable } from './table.js';
import type { NaiveFormat } from './testing/naive.js';
import { naiveAmdHost, naiveArm, naiveRiscv, naiveVtdSecond, naiveX86 } from './testing/naive-formats.js';
import { NaiveTwoStage } from './testing/naive-two-stage.js';
import {
  refuseTwoStage,
  resumeSecond,
  resumeTwoStage,
  startSecond,
  startTwoStage,
  stepTwoStage,
  Target,
  translatedTwoStage,
  translateOnly,
  TwoStageWalk,
} from './two-stage.js';
import { finishTwoStage, type Root, runTwoStage } from './two-stage-run.js';
import { Fault, Step } from './walk.js';

const RW = Access.Read | Access.Write;
const PAGE = 4096;
/** Guest tables start here, host tables and the pages behind guest pages elsewhere. */
const GUEST_TABLES = 2 ** 32;
const HOST_TABLES = 2 ** 33;
const HOST_PAGES = 2 ** 34;
const IOVA = 0x12_3456_7000;
const GUEST_PAGE = 0x4_5678_9000;

const int64 = (hi: number, lo: number): bigint => (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
const int32 = (value: bigint): number => Number(BigInt.asIntN(32, value));

interface Pair {
  readonly name: string;
  readonly first: FormatDescription;
  readonly second: FormatDescription;
  readonly naiveFirst: NaiveFormat;
  readonly naiveSecond: NaiveFormat;
  readonly heights: readonly [number, number];
  readonly inputLg2?: number;
}

/** A guest whose first-stage table lies in guest memory: its frames are host frames of other addresses. */
class Guest {
  readonly memory = new PhysicalMemory();
  readonly first: Format;
  readonly second: Format;
  readonly firstRoot: Root;
  readonly secondRoot: Root;
  readonly record = new TwoStageWalk();

  constructor(readonly pair: Pair) {
    this.first = compileFormat(pair.first);
    this.second = compileFormat(pair.second);
    const [height, secondHeight] = pair.heights;
    const guest = new PhysicalMemory();
    const inner = new PageTable(this.first, guest, new FrameAllocator(GUEST_TABLES, 2 ** 22), height);
    inner.map(IOVA, GUEST_PAGE, PAGE, RW | Access.Execute, 12);
    const options = pair.inputLg2 === undefined ? {} : { inputLg2: pair.inputLg2 };
    const frames = new FrameAllocator(HOST_TABLES, 2 ** 24);
    const outer = new PageTable(this.second, this.memory, frames, secondHeight, 'covered', options);
    const pages = new Set<number>([GUEST_PAGE]);
    guest.forEachLine((hi, lo) => pages.add(hi * 2 ** 32 + ((lo & -PAGE) >>> 0)));
    let host = HOST_PAGES;
    for (const page of [...pages].sort((a, b) => a - b)) {
      outer.map(page, host, PAGE, RW, 12);
      for (let offset = 0; offset < PAGE; offset += 8) {
        guest.read(high(page + offset), (page + offset) | 0);
        this.memory.write(high(host + offset), (host + offset) | 0, guest.wordHi, guest.wordLo);
      }
      host += 3 * PAGE;
    }
    const rootOf = (table: PageTable): Root => {
      return { hi: high(table.root), lo: table.root | 0, height: table.levels, inputLg2: table.inputLg2 };
    };
    this.firstRoot = rootOf(inner);
    this.secondRoot = rootOf(outer);
  }

  ask(iova: number, access: number): TwoStageWalk {
    this.record.first.inputHi = high(iova);
    this.record.first.inputLo = iova | 0;
    this.record.first.access = access;
    return this.record;
  }

  run(iova: number, access: number): Step {
    const { first, second, memory, firstRoot, secondRoot } = this;
    return runTwoStage(this.ask(iova, access), first, second, memory, firstRoot, secondRoot);
  }

  /** All words, for the naive memory. */
  words(): Map<bigint, bigint> {
    const words = new Map<bigint, bigint>();
    this.memory.forEachLine((hi, lo) => {
      for (let at = 0; at < 64; at += 8) {
        this.memory.read(hi, lo + at);
        const value = int64(this.memory.wordHi, this.memory.wordLo);
        if (value !== 0n) words.set(int64(hi, lo + at), value);
      }
    });
    return words;
  }
}

const vtd = {
  ...{ hostAddressWidth: 46, guestAddressWidth: 57, largestPageLg2: 30, scalable: true, snoopControl: true },
  ...{ accessedDirty: true, executeEnable: false },
};
const x86 = { hostAddressWidth: 46, largestPageLg2: 30, executeDisable: true };
const sv = { hostAddressWidth: 56, hardwareUpdates: true, napot: true, pageTypes: true };
const arm = { granuleLg2: 12, hostAddressWidth: 44, updates: 'dirty', contiguous: true } as const;
const naiveArmOptions = { ...arm, wideAddresses: false, ignoreTableAttributes: false };

const PAIRS: readonly Pair[] = [
  ...([4, 5] as const).map(
    (height): Pair => ({
      name: `VT-d ${height} over ${height}`,
      first: x86FirstStage(x86),
      second: vtdSecondStage(vtd),
      naiveFirst: naiveX86({ ...x86, signExtended: true }),
      naiveSecond: naiveVtdSecond(vtd),
      heights: [height, height],
    }),
  ),
  {
    name: 'AMD v2 over v1, 4 over 3',
    first: amdGuest({ hostAddressWidth: 48, signExtended: false }),
    second: amdHost({ hostAddressWidth: 48, hostAccessDirty: 3 }),
    naiveFirst: naiveX86({ hostAddressWidth: 48, largestPageLg2: 30, executeDisable: true, signExtended: false }),
    naiveSecond: naiveAmdHost({ hostAddressWidth: 48, hostAccessDirty: 3 }),
    heights: [4, 3],
  },
  {
    name: 'Arm 4 over 3 (concatenated)',
    first: armv8({ ...arm, stage: 1 }),
    second: armv8({ ...arm, stage: 2 }),
    naiveFirst: naiveArm({ ...naiveArmOptions, stage: 1 }),
    naiveSecond: naiveArm({ ...naiveArmOptions, stage: 2 }),
    heights: [4, 3],
    inputLg2: 40,
  },
  ...([3, 4, 5] as const).flatMap((height) =>
    [true, false].map(
      (hardwareUpdates): Pair => ({
        name: `Sv${9 * height + 12} over Sv${9 * height + 12}x4, A/D ${hardwareUpdates ? 'updates' : 'faults'}`,
        first: riscv({ ...sv, hardwareUpdates, secondStage: false }),
        second: riscv({ ...sv, hardwareUpdates, secondStage: true }),
        naiveFirst: naiveRiscv({ ...sv, hardwareUpdates, secondStage: false }),
        naiveSecond: naiveRiscv({ ...sv, hardwareUpdates, secondStage: true }),
        heights: [height, height],
      }),
    ),
  ),
];

const USER_READ = Permission.Read | Permission.User;
const USER_WRITE = Permission.Write | Permission.User;

describe('cold two-stage walks', () => {
  for (const pair of PAIRS) {
    const [n, m] = pair.heights;
    it(`${pair.name}: ${n * (m + 1) + m} reads`, () => {
      const guest = new Guest(pair);
      expect(guest.run(IOVA + 0x123, USER_READ)).toBe(Step.Done);
      const { record } = guest;
      expect(record.reads).toBe(n * (m + 1) + m);
      expect([record.sizeLg2, record.faultStage]).toEqual([12, 0]);
      expect(int64(record.outHi, record.outLo) % 4096n).toBe(0x123n);
      expect(record.permissions & Permission.Read).toBe(Permission.Read);
    });
  }

  it('counts what the architectures publish: 24 for 4 over 4, 15 for Sv39, 35 for Sv57', () => {
    const reads = (name: string): number => {
      const guest = new Guest(PAIRS.find((pair) => pair.name.startsWith(name))!);
      guest.run(IOVA, USER_READ);
      return guest.record.reads;
    };
    expect([reads('VT-d 4'), reads('Sv39'), reads('Sv57'), reads('Arm 4')]).toEqual([24, 15, 35, 19]);
  });
});

describe('random two-stage walks', () => {
  for (const pair of PAIRS) {
    it(`agree with the recursive reference: ${pair.name}`, () => {
      const faults = new Set<string>();
      const flip = fc.record({ word: fc.nat(), bit: fc.oneof(fc.nat({ max: 11 }), fc.nat({ max: 63 })) });
      const sample = fc.record({
        flips: fc.array(flip, { maxLength: 3 }),
        access: fc.constantFrom(
          ...[0, USER_READ, USER_WRITE, USER_READ | USER_WRITE, Permission.Execute | Permission.User],
          ...[Permission.Read | Permission.Supervisor, Permission.SupervisorExecute | Permission.Supervisor],
        ),
        intent: fc.constantFrom(0, Permission.Write),
      });
      fc.assert(
        fc.property(sample, ({ flips, access, intent }) => {
          const guest = new Guest(pair);
          const { memory, record, firstRoot, secondRoot } = guest;
          const addresses = [...guest.words().keys()].sort((a, b) => (a < b ? -1 : 1));
          for (const { word, bit } of flips) {
            const at = addresses[word % addresses.length]!;
            memory.read(int32(at >> 32n), int32(at));
            const value = int64(memory.wordHi, memory.wordLo) ^ (1n << BigInt(bit));
            memory.write(int32(at >> 32n), int32(at), int32(value >> 32n), int32(value));
          }
          const stage = (format: NaiveFormat, root: Root) => {
            return { format, root: int64(root.hi, root.lo), height: root.height, inputLg2: root.inputLg2 };
          };
          const naive = new NaiveTwoStage(
            guest.words(),
            stage(pair.naiveFirst, firstRoot),
            stage(pair.naiveSecond, secondRoot),
            pair.first.marksTables === true,
          );
          const expected = naive.translate({ input: BigInt(IOVA), need: access, intent });
          guest.ask(IOVA, access);
          record.first.intent = intent;
          const step = runTwoStage(record, guest.first, guest.second, memory, firstRoot, secondRoot);
          faults.add(`${expected.stage} ${expected.fault}`);
          expect([record.fault, record.faultStage]).toEqual([expected.fault, expected.stage]);
          expect(record.reads).toBe(naive.reads.length);
          const left = guest.words();
          for (const [at, word] of naive.memory) expect([at, left.get(at)]).toEqual([at, word]);
          if (step !== Step.Done) return;
          expect(int64(record.outHi, record.outLo)).toBe(expected.out);
          expect([record.sizeLg2, record.permissions]).toEqual([expected.sizeLg2, expected.granted]);
        }),
        { numRuns: 80, seed: 2 },
      );
      for (const kind of ['0 0', `1 ${Fault.NotPresent}`, `2 ${Fault.NotPresent}`]) expect(faults).toContain(kind);
    });
  }
});

describe('protocol', () => {
  const pair = PAIRS[0]!;

  it('says what it wants translated, and takes answers from a second-stage TLB', () => {
    const guest = new Guest(pair);
    guest.run(IOVA, USER_READ);
    const host = int64(guest.record.outHi, guest.record.outLo);
    const { first, second, firstRoot, memory } = guest;
    const record = guest.ask(IOVA, USER_READ);
    let step = startTwoStage(record, first, firstRoot.hi, firstRoot.lo, 4, 48);
    expect([step, record.target, record.guestAccess]).toEqual([Step.Translate, Target.Table, USER_READ]);
    expect(record.guestHi * 2 ** 32 + (record.guestLo >>> 0)).toBeGreaterThanOrEqual(GUEST_TABLES);
    let asked = 0;
    const ends: number[] = [];
    while (step !== Step.Done) {
      // The first table is walked to; all else is answered from what the walks of a second record find.
      if (step === Step.Translate && asked++ === 0) {
        step = startSecond(record, second, guest.secondRoot.hi, guest.secondRoot.lo, 4, 48);
      } else if (step === Step.Translate) {
        const other = new TwoStageWalk();
        const begun = translateOnly(other, record.guestHi, record.guestLo, record.guestAccess, Target.Directory);
        expect(finishTwoStage(other, begun, first, second, memory, guest.secondRoot)).toBe(Step.Done);
        step = translatedTwoStage(record, first, other.outHi, other.outLo, other.sizeLg2, other.permissions);
      } else {
        memory.read(record.entryHi, record.entryLo);
        step = stepTwoStage(record, first, second, memory.wordHi, memory.wordLo);
        if (record.secondDone === 1) ends.push(record.reads);
      }
    }
    expect([asked, record.reads, ends]).toEqual([5, 8, [4]]);
    expect([record.target, int64(record.outHi, record.outLo)]).toEqual([Target.Final, host]);
  });

  it('resumes both stages from tables that caches knew', () => {
    const guest = new Guest(pair);
    const { first, second, firstRoot, secondRoot, memory } = guest;
    const record = guest.ask(IOVA, USER_READ);
    let step = startTwoStage(record, first, firstRoot.hi, firstRoot.lo, 4, 48);
    const known: { stage: number; hi: number; lo: number; level: number; permissions: number; guest: bigint }[] = [];
    while (step !== Step.Done) {
      if (step === Step.Translate) step = startSecond(record, second, secondRoot.hi, secondRoot.lo, 4, 48);
      const { stage } = record;
      memory.read(record.entryHi, record.entryLo);
      step = stepTwoStage(record, first, second, memory.wordHi, memory.wordLo);
      const walk = stage === 1 ? record.first : record.second;
      if (stage === 1 ? step === Step.Translate : step === Step.Read && record.secondDone === 0) {
        const { tableHi: hi, tableLo: lo, level, permissions } = walk;
        known.push({ stage, hi, lo, level, permissions, guest: int64(walk.inputHi, walk.inputLo) });
      }
    }
    const wanted = int64(record.outHi, record.outLo);
    const last = known.filter(({ stage, level }) => stage === 1 && level === 1)[0]!;
    step = resumeTwoStage(guest.ask(IOVA, USER_READ), first, last.hi, last.lo, last.level, last.permissions);
    while (step === Step.Translate || step === Step.Read) {
      if (step === Step.Translate) {
        const page = int64(record.guestHi, record.guestLo) >> 21n;
        const table = known.find((k) => k.stage === 2 && k.level === 1 && k.guest >> 21n === page)!;
        step = resumeSecond(record, second, table.hi, table.lo, table.level, table.permissions);
      }
      memory.read(record.entryHi, record.entryLo);
      step = stepTwoStage(record, first, second, memory.wordHi, memory.wordLo);
    }
    expect([step, record.reads, int64(record.outHi, record.outLo)]).toEqual([Step.Done, 3, wanted]);
  });

  it('faults at the stage and target that failed', () => {
    const guest = new Guest(pair);
    const { first, firstRoot } = guest;
    expect(guest.run(IOVA + PAGE, USER_READ)).toBe(Step.Fault);
    expect([guest.record.faultStage, guest.record.fault]).toEqual([1, Fault.NotPresent]);
    expect(guest.run(2 ** 60, USER_READ)).toBe(Step.Fault);
    expect([guest.record.faultStage, guest.record.fault]).toEqual([1, Fault.NonCanonical]);

    const record = guest.ask(IOVA, USER_READ);
    startTwoStage(record, first, firstRoot.hi, firstRoot.lo, 4, 48);
    expect(translatedTwoStage(record, first, 1, 0, 12, Permission.Write | Permission.User)).toBe(Step.Fault);
    expect([record.faultStage, record.fault, record.target]).toEqual([2, Fault.ReadDenied, Target.Table]);
    startTwoStage(record, first, 1 << 20, 0, 4, 48);
    expect(startSecond(record, guest.second, 2, 0, 4, 48)).toBe(Step.Fault);
    expect([record.faultStage, record.fault, record.guestHi]).toEqual([2, Fault.AddressWidth, 1 << 20]);
    startTwoStage(record, first, firstRoot.hi, firstRoot.lo, 4, 48);
    startSecond(record, guest.second, 2, 0, 4, 48);
    expect(refuseTwoStage(record)).toBe(Step.Fault);
    expect([record.faultStage, record.fault]).toEqual([2, Fault.TableAccess]);
  });
});

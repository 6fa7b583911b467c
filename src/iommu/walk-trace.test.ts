import { expect, test } from 'vitest';
import { REQUESTERS, Rig } from './testing/rig.js';
import { NO_WALK_CACHES } from './testing/spec.js';
import { PasidType } from './arch/vtd/format.js';
import { Reason, WalkRecorder } from './walk-trace.js';

const IOVA = 0x7_4020_3000;
const RID = REQUESTERS[0]!;

function legacyRig(): { rig: Rig; root: number } {
  const rig = new Rig(NO_WALK_CACHES);
  const { table } = rig.mapped(IOVA, 4096);
  rig.tables.legacy(RID, { root: table.root, levels: 4, domain: 7 });
  return { rig, root: table.root };
}

function addressOf({ hi, lo }: { hi: number; lo: number }): number {
  return (hi >>> 0) * 2 ** 32 + (lo >>> 0);
}

test('a trace shows every entry with its words, in order', () => {
  const { rig, root } = legacyRig();
  const recorder = new WalkRecorder(rig.physical);
  rig.unit.walkers.trace = recorder;
  const { output } = rig.translate({ address: IOVA });
  const { steps } = recorder;
  expect(steps.map(({ kind, bytes }) => `${kind} ${bytes}`)).toEqual([
    'directory 16',
    'directory 16',
    ...Array<string>(4).fill('table 8'),
  ]);
  expect(steps.map((step) => (step.kind === 'table' ? [step.stage, step.level, step.reason] : []))).toEqual([
    [],
    [],
    [2, 4, Reason.Input],
    [2, 3, Reason.Input],
    [2, 2, Reason.Input],
    [2, 1, Reason.Input],
  ]);
  expect(addressOf(steps[0]!)).toBe(rig.tables.rootEntryAt(RID));
  expect(addressOf(steps[1]!)).toBe(rig.tables.contextAt(RID));
  expect(addressOf(steps[2]!)).toBe(root + 8 * (Math.floor(IOVA / 2 ** 39) % 512));
  const leaf = steps.at(-1)!;
  expect((leaf.words[1]! & 0xfffff) * 2 ** 32 + ((leaf.words[0]! & ~0xfff) >>> 0)).toBe(output);
});

test('a trace takes no time', () => {
  const { rig } = legacyRig();
  const traced = legacyRig().rig;
  traced.unit.walkers.trace = new WalkRecorder(traced.physical);
  expect(traced.translate({ address: IOVA })).toEqual(rig.translate({ address: IOVA }));
});

test('after dropCaches a walk reads everything again', () => {
  const rig = new Rig();
  const { table } = rig.mapped(IOVA, 4096);
  rig.tables.legacy(RID, { root: table.root, levels: 4, domain: 7 });
  const recorder = new WalkRecorder(rig.physical);
  rig.unit.walkers.trace = recorder;
  const reads = (): number => {
    recorder.clear();
    rig.translate({ address: IOVA });
    return recorder.steps.length;
  };
  expect([reads(), reads()]).toEqual([6, 0]);
  rig.unit.dropCaches();
  expect(reads()).toBe(6);
});

test('updates of accessed and dirty bits are steps of their own', () => {
  const rig = new Rig({ ...NO_WALK_CACHES, mode: 'scalable', stage: 'first' });
  const { table } = rig.mapped(IOVA, 4096, { first: true });
  rig.tables.context(RID);
  rig.tables.pasid(RID, 0, {
    type: PasidType.FirstStage,
    domain: 7,
    firstRoot: table.root,
    firstLevels: 4,
    secondLevels: 4,
  });
  const recorder = new WalkRecorder(rig.physical);
  rig.unit.walkers.trace = recorder;
  rig.translate({ address: IOVA, write: true });
  const leaf = recorder.steps.at(-1)!;
  expect(leaf).toMatchObject({ kind: 'table', stage: 1, level: 1 });
  // Software presets both bits: cleared, hardware sets them again.
  rig.tables.poke(addressOf(leaf), 0, (word) => word & ~0x60);
  rig.unit.dropCaches();
  recorder.clear();
  rig.translate({ address: IOVA, write: true });
  const update = recorder.steps.at(-1)!;
  expect(update.kind).toBe('update');
  expect(addressOf(update)).toBe(addressOf(leaf));
  expect(update.words).toEqual(leaf.words);
});

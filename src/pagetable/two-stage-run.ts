/** Whole two-stage walks at once, without caches and in no time: for software look-ups, tools and tests. */
import type { PhysicalMemory } from '../memory/physical.js';
import type { Format } from './format.js';
import { startSecond, startTwoStage, stepTwoStage, type TwoStageWalk } from './two-stage.js';
import { Step } from './walk.js';

/** Where a stage's tables are. */
export interface Root {
  readonly hi: number;
  readonly lo: number;
  readonly height: number;
  readonly inputLg2: number;
}

/** Goes on from the last step until the walk is over. */
export function finishTwoStage(
  record: TwoStageWalk,
  step: Step,
  firstFormat: Format,
  secondFormat: Format,
  memory: PhysicalMemory,
  root: Root,
): Step {
  let next = step;
  while (next === Step.Read || next === Step.Translate) {
    if (next === Step.Translate) {
      next = startSecond(record, secondFormat, root.hi, root.lo, root.height, root.inputLg2);
      continue;
    }
    memory.read(record.entryHi, record.entryLo);
    next = stepTwoStage(record, firstFormat, secondFormat, memory.wordHi, memory.wordLo);
    const { second } = record;
    if (second.update === 1) memory.write(second.updateHi, second.updateLo, second.updateWordHi, second.updateWordLo);
    if (record.update === 1) memory.write(record.updateHi, record.updateLo, record.updateWordHi, record.updateWordLo);
  }
  return next;
}

/** A whole two-stage walk at once, from cold. */
export function runTwoStage(
  record: TwoStageWalk,
  firstFormat: Format,
  secondFormat: Format,
  memory: PhysicalMemory,
  first: Root,
  second: Root,
): Step {
  const step = startTwoStage(record, firstFormat, first.hi, first.lo, first.height, first.inputLg2);
  return finishTwoStage(record, step, firstFormat, secondFormat, memory, second);
}

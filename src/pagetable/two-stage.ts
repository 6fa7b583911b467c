import type { Format } from './format.js';
import { Fault, Step, Walk } from './walk.js';
export const enum Target {
  Directory,
  Table,
  Final,
}
export const enum Consumed {
  None,
  FirstTable,
  FirstLeaf,
  SecondTable,
  SecondLeaf,
}
export class TwoStageWalk {
  first = new Walk();
  second = new Walk();
  target: Target = Target.Final;
  consumed: Consumed = Consumed.None;
  guestHi = 0;
  guestLo = 0;
  guestAccess = 0;
  entryHi = 0;
  entryLo = 0;
  update = 0;
  updateHi = 0;
  updateLo = 0;
  updateWordHi = 0;
  updateWordLo = 0;
  outHi = 0;
  outLo = 0;
  sizeLg2 = 0;
  permissions = 0;
  clean = 0;
  global = 0;
  fault: Fault = Fault.None;
  faultStage = 1;
}
export function startTwoStage(_r: TwoStageWalk, _f: Format, _rh: number, _rl: number, _h: number, _i: number): Step {
  return Step.Fault;
}
export function resumeTwoStage(_r: TwoStageWalk, _f: Format, _rh: number, _rl: number, _l: number, _p: number): Step {
  return Step.Fault;
}
export function translateOnly(_r: TwoStageWalk, _h: number, _l: number, _a: number, _t: Target): Step {
  return Step.Fault;
}
export function translatedTwoStage(_r: TwoStageWalk, _f: Format, _h: number, _l: number, _s: number, _p: number): Step {
  return Step.Fault;
}
export function startSecond(_r: TwoStageWalk, _f: Format, _rh: number, _rl: number, _h: number, _i: number): Step {
  return Step.Fault;
}
export function resumeSecond(_r: TwoStageWalk, _f: Format, _rh: number, _rl: number, _h: number, _i: number): Step {
  return Step.Fault;
}
export function stepTwoStage(_r: TwoStageWalk, _f: Format, _s: Format, _h: number, _l: number): Step {
  return Step.Fault;
}
export function refuseTwoStage(_r: TwoStageWalk): Step {
  return Step.Fault;
}

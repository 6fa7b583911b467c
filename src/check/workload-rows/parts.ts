/**
 * What the points of a stage consist of where the publication gives the whole only: the parts come from the run, and the parameters that make
 * them are shown with it. Stage 10: a page fault by stages (os/page-fault.ts).
 */
import { FAULT_STAGES } from '../../os/page-fault.js';
import { findSheet } from '../../models/catalog.js';
import { sheetRows } from '../../models/sheet.js';

export interface Part {
  readonly name: string;
  readonly metric: `${string}/${string}`;
  /** `PATH VALUE UNIT CONFIDENCE` of each parameter that it consists of; none: the hardware that is simulated. */
  readonly parameters: readonly string[];
}

/** Sheet of the measured system. */
const SHEET = 'linux-5.14-kunpeng-920';
const WAKE = ['wakeLatency', 'contextSwitch'];

/** By stage of a fault, below `processes` of the sheet. */
const FAULT_PARAMETERS: Readonly<Record<string, readonly string[]>> = {
  interrupt: ['faults.hardInterrupt'],
  wake: WAKE,
  queue: ['faults.report'],
  hand_off: [...WAKE, 'faults.takeWork'],
  handler: ['lock', 'vmaLookup', 'fault', 'allocatePage', 'clearPage'].map((cost) => `memory.${cost}`),
};

function described(path: string): string {
  const { value, unit, confidence } = sheetRows(findSheet(SHEET)!).find((row) => row.path === `processes.${path}`)!;
  return `${path} ${value} ${unit} ${confidence}`;
}

/** By stage. */
export const PARTS: Readonly<Record<number, readonly Part[]>> = {
  10: FAULT_STAGES.map((name) => ({
    name,
    metric: `os/fault.time.${name}`,
    parameters: (FAULT_PARAMETERS[name] ?? []).map(described),
  })),
};

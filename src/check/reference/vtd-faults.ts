/**
 * Fault conditions of VT-d by the names of the specification (Intel VT-d specification rev. 5.10, 7.1.3, table 30), and how they end
 * translation requests. Conditions in which memory refuses an access to a table (LRT.1, LSS.1, SFS.1, ...) do not occur: reads of a vector's
 * memory never fail.
 */

import type { CompletionStatus } from '../vectors/vector.js';

/** Fault reason by condition code. */
const REASONS = {
  'LRT.2': 0x01,
  'LRT.3': 0x0a,
  'LCT.2': 0x02,
  'LCT.3': 0x0b,
  'LCT.4': 0x03,
  'LCT.5': 0x0d,
  'LSS.2': 0x0c,
  'LGN.1': 0x04,
  'LGN.2': 0x05,
  'LGN.3': 0x06,
  'LGN.4': 0x0e,
  'RTA.1': 0x30,
  'RTA.2': 0x31,
  'SRT.2': 0x39,
  'SRT.3': 0x3a,
  'SCT.2': 0x41,
  'SCT.3': 0x42,
  'SCT.4': 0x43,
  'SCT.5': 0x44,
  'SCT.6': 0x45,
  'SCT.7': 0x46,
  'SCT.9': 0x48,
  'SPD.2': 0x51,
  'SPD.3': 0x52,
  'SPT.2': 0x59,
  'SPT.3': 0x5a,
  'SPT.4': 0x5b,
  'SPT.5': 0x5c,
  'SPT.6': 0x5d,
  'SFS.2': 0x71,
  'SFS.3': 0x72,
  'SFS.5': 0x74,
  'SFS.6': 0x75,
  'SFS.7': 0x76,
  'SFS.8': 0x77,
  'SFS.9': 0x90,
  'SSS.2': 0x79,
  'SSS.3': 0x7a,
  'SSS.5': 0x7c,
  'SGN.1': 0x80,
  'SGN.2': 0x81,
  'SGN.4': 0x83,
  'SGN.5': 0x84,
  'SGN.6': 0x85,
  'SGN.7': 0x86,
  'SGN.8': 0x87,
} as const;

export type Condition = keyof typeof REASONS;

/** Thrown where a request is blocked. */
export class Blocked extends Error {
  /**
   * How a translation request is completed: unsupported where the device is not known or may not ask; with an abort where its PASID is the matter; successfully,
   * without permissions, for what the tables say.
   */
  readonly completion: CompletionStatus;
  /** Fault reason as it stands in a fault record. */
  readonly reason: number;
  /** A set FPD bit on the way keeps a qualified fault out of the record. */
  readonly qualified: boolean;

  constructor(condition: Condition) {
    super(condition);
    this.reason = REASONS[condition];
    this.completion = /^(LRT|SRT|RTA|LCT|SCT\.[2-5])/.test(condition)
      ? 'ur'
      : /^(SCT|SPD|SPT)/.test(condition)
        ? 'ca'
        : 'success';
    this.qualified = !/^(LRT|SRT|RTA)/.test(condition);
  }
}

/** Names of the conditions that legacy and scalable mode share. */
export interface StageConditions {
  readonly rootAbsent: Condition;
  readonly rootReserved: Condition;
  readonly contextAbsent: Condition;
  readonly contextReserved: Condition;
  readonly reserved: Condition;
  /** Second-stage input above the width. */
  readonly beyondWidth: Condition;
  readonly notWritable: Condition;
  readonly notReadable: Condition;
  /** Second-stage entries grant neither right; null: as the right that the request lacks. */
  readonly noRights: Condition | null;
}

export const LEGACY_CONDITIONS: StageConditions = {
  rootAbsent: 'LRT.2',
  rootReserved: 'LRT.3',
  contextAbsent: 'LCT.2',
  contextReserved: 'LCT.3',
  reserved: 'LSS.2',
  beyondWidth: 'LGN.1',
  notWritable: 'LGN.2',
  notReadable: 'LGN.3',
  noRights: null,
};

export const SCALABLE_CONDITIONS: StageConditions = {
  rootAbsent: 'SRT.2',
  rootReserved: 'SRT.3',
  contextAbsent: 'SCT.2',
  contextReserved: 'SCT.3',
  reserved: 'SSS.3',
  beyondWidth: 'SGN.5',
  notWritable: 'SGN.6',
  notReadable: 'SGN.7',
  noRights: 'SSS.2',
};

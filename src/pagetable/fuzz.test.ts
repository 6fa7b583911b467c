import type { FormatDescription } from './description.js';
import { amdHost } from './formats/amdv1.js';
import { armv8 } from './formats/armv8.js';
import { dart } from './formats/dart.js';
import { riscv } from './formats/riscv.js';
import { tce } from './formats/tce.js';
import { vtdSecondStage } from './formats/vtdss.js';
import { amdGuest, x86FirstStage } from './formats/x86_64.js';
import { compileFormat } from './format.js';
import { checkAgainstNaive } from './testing/fuzz.js';
import type { NaiveFormat } from './testing/naive.js';
import {
  naiveAmdHost,
  naiveArm,
  naiveDart,
  naiveRiscv,
  naiveTce,
  naiveVtdSecond,
  naiveX86,
} from './testing/naive-formats.js';

const RUNS = 250;

function check(description: FormatDescription, naive: NaiveFormat, options: object): void {
  checkAgainstNaive(`${description.name} ${JSON.stringify(options)}`, compileFormat(description), naive, RUNS);
}

const both = [false, true];

for (const largestPageLg2 of [12, 21, 30]) {
  for (const accessedDirty of both) {
    for (const scalable of both) {
      const snoopControl = largestPageLg2 === 21;
      const o = {
        hostAddressWidth: 46,
        largestPageLg2,
        scalable,
        snoopControl,
        accessedDirty,
        executeEnable: scalable,
      };
      check(vtdSecondStage({ ...o, guestAddressWidth: 57 }), naiveVtdSecond(o), o);
    }
  }
  for (const executeDisable of both) {
    const o = { hostAddressWidth: 46, largestPageLg2, executeDisable };
    check(x86FirstStage(o), naiveX86({ ...o, signExtended: true }), o);
  }
}
for (const privileged of ['protected', 'unprotected'] as const) {
  const o = { hostAddressWidth: 46, largestPageLg2: 30, executeDisable: false, privileged, extendedAccessed: true };
  check(x86FirstStage(o), naiveX86({ ...o, signExtended: true }), o);
}
for (const guestAddressWidth of [39, 48]) {
  const o = {
    hostAddressWidth: 46,
    largestPageLg2: 30,
    executeDisable: false,
    updates: 'fault',
    guestAddressWidth,
  } as const;
  check(x86FirstStage(o), naiveX86({ ...o, signExtended: true }), o);
}
for (const signExtended of both) {
  const o = { hostAddressWidth: 48, signExtended };
  check(amdGuest(o), naiveX86({ ...o, largestPageLg2: 30, executeDisable: true }), o);
}
for (const hostAccessDirty of [0, 1, 3] as const) {
  for (const hostAddressWidth of [48, 52]) {
    const o = { hostAddressWidth, hostAccessDirty };
    check(amdHost(o), naiveAmdHost(o), o);
  }
}
for (const secondStage of both) {
  for (const hardwareUpdates of both) {
    for (const napot of both) {
      for (const pageTypes of both) {
        const o = { secondStage, hardwareUpdates, napot, pageTypes };
        check(riscv({ ...o, hostAddressWidth: 56 }), naiveRiscv(o), o);
      }
    }
  }
}
for (const stage of [1, 2] as const) {
  for (const granuleLg2 of [12, 14, 16] as const) {
    for (const updates of ['none', 'ignore', 'access', 'dirty'] as const) {
      for (const contiguous of both) {
        const wideAddresses = granuleLg2 === 16 && contiguous;
        const ignoreTableAttributes = updates === 'access' && contiguous;
        const o = {
          stage,
          granuleLg2,
          hostAddressWidth: 44,
          updates,
          contiguous,
          wideAddresses,
          ignoreTableAttributes,
        };
        check(armv8(o), naiveArm(o), o);
      }
    }
  }
}
check(
  armv8({
    stage: 1,
    granuleLg2: 16,
    hostAddressWidth: 52,
    wideAddresses: true,
    inputLimitLg2: 52,
    updates: 'none',
    contiguous: true,
  }),
  naiveArm({
    stage: 1,
    granuleLg2: 16,
    hostAddressWidth: 52,
    wideAddresses: true,
    updates: 'none',
    contiguous: true,
    ignoreTableAttributes: false,
  }),
  { stage: 1, bits: 52 },
);
for (const pageLg2 of [12, 16, 21, 30]) {
  const o = { hostAddressWidth: 51, pageLg2, indexBits: pageLg2 === 12 ? 9 : 13 };
  check(tce(o), naiveTce(o), o);
}
for (const type of ['DART1', 'DART2'] as const) {
  for (const granuleLg2 of type === 'DART1' ? ([12, 14] as const) : ([14] as const)) {
    const o = { type, granuleLg2 };
    check(dart({ ...o, inputLimitLg2: granuleLg2 === 12 ? 39 : 42 }), naiveDart(o), o);
  }
}

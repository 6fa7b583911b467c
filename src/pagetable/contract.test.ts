import { amdHost } from './formats/amdv1.js';
import { type Armv8Options, armv8 } from './formats/armv8.js';
import { dart } from './formats/dart.js';
import { riscv } from './formats/riscv.js';
import { tce } from './formats/tce.js';
import { vtdSecondStage } from './formats/vtdss.js';
import { amdGuest, x86FirstStage } from './formats/x86_64.js';
import { compileFormat } from './format.js';
import type { FormatDescription } from './description.js';
import { checkFormatContract } from './testing/contract.js';

function check(description: FormatDescription, title: string, heights = description.heights): void {
  const format = compileFormat(description);
  for (const height of heights) checkFormatContract(`${description.name}${title}`, format, height);
}

const second = { hostAddressWidth: 46, guestAddressWidth: 57, snoopControl: true, scalable: false };
for (const largestPageLg2 of [12, 21, 30]) {
  check(vtdSecondStage({ ...second, largestPageLg2, accessedDirty: false }), `, pages to 2^${largestPageLg2}`);
}
check(vtdSecondStage({ ...second, largestPageLg2: 30, accessedDirty: true, executeEnable: true }), ', A/D, SSEE');

for (const largestPageLg2 of [21, 30]) {
  const options = { hostAddressWidth: 52, largestPageLg2, executeDisable: largestPageLg2 === 30 };
  check(x86FirstStage(options), `, pages to 2^${largestPageLg2}`);
}
for (const signExtended of [false, true]) {
  check(amdGuest({ hostAddressWidth: 48, signExtended }), signExtended ? '' : ', not sign-extended');
}
for (const hostAccessDirty of [0, 3] as const) {
  check(amdHost({ hostAddressWidth: 52, hostAccessDirty }), `, HAD ${hostAccessDirty}`);
}

for (const secondStage of [false, true]) {
  for (const napot of [false, true]) {
    const options = { hostAddressWidth: 50, secondStage, hardwareUpdates: napot, napot, pageTypes: napot };
    check(riscv(options), napot ? ', Svnapot, Svpbmt, A/D' : '');
  }
}

for (const stage of [1, 2] as const) {
  for (const granuleLg2 of [12, 14, 16] as const) {
    const base: Armv8Options = { stage, granuleLg2, hostAddressWidth: 44, updates: 'none', contiguous: false };
    check(armv8(base), '', granuleLg2 === 16 ? [2, 3] : [3, 4]);
    const format = compileFormat(armv8({ ...base, updates: 'dirty', contiguous: true }));
    const title = `${format.name}, contiguous, HD`;
    // Narrow roots in stage 1, concatenated ones in stage 2.
    const small = granuleLg2 === 16 ? 2 : 3;
    checkFormatContract(title, format, small, { inputLg2: stage === 1 ? 36 : 40 });
    checkFormatContract(title, format, stage === 1 && granuleLg2 !== 16 ? 4 : small, { inputLg2: 42 });
  }
  const wide = { stage, granuleLg2: 16, hostAddressWidth: 52, wideAddresses: true, inputLimitLg2: 52 } as const;
  check(armv8({ ...wide, updates: 'access', contiguous: true }), ', 52 bits', [3]);
}

for (const pageLg2 of [12, 16, 21, 30]) {
  check(
    tce({ hostAddressWidth: 51, pageLg2, indexBits: 13 }),
    `, pages of 2^${pageLg2}`,
    [1, 2, 3].slice(0, pageLg2 > 16 ? 2 : 3),
  );
}
check(tce({ hostAddressWidth: 51, pageLg2: 12, indexBits: 17 }), ', flat', [1]);

for (const type of ['DART1', 'DART2'] as const) {
  const narrow = dart({ type, granuleLg2: 14, inputLimitLg2: 32 });
  check(narrow, '', [2]);
}
check(dart({ type: 'DART1', granuleLg2: 12, inputLimitLg2: 30 }), '', [2]);
check(dart({ type: 'DART2', granuleLg2: 14, inputLimitLg2: 42 }), '', [3]);

// Drivers restrict the sizes they use (pgsize_bitmap).
const amd = compileFormat(amdHost({ hostAddressWidth: 52, hostAccessDirty: 0 }));
checkFormatContract(`${amd.name}, 4 KiB, 64 KiB and 2 MiB only`, amd, 4, { inputLg2: 40, pageSizes: [12, 16, 21] });

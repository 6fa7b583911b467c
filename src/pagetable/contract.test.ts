import { vtdSecondStage } from './formats/vtdss.js';
import { riscv } from './formats/riscv.js';
import { x86FirstStage } from './formats/x86_64.js';
import { compileFormat } from './format.js';
import { checkFormatContract } from './testing/contract.js';

const second = { hostAddressWidth: 46, guestAddressWidth: 57, snoopControl: true, scalable: false };
for (const largestPageLg2 of [12, 21, 30]) {
  for (const accessedDirty of [false, true]) {
    const format = compileFormat(vtdSecondStage({ ...second, largestPageLg2, accessedDirty }));
    const title = `VT-d second stage, pages to 2^${largestPageLg2}, A/D ${accessedDirty ? 'on' : 'off'}`;
    for (const height of format.heights) checkFormatContract(title, format, height);
  }
}
for (const largestPageLg2 of [21, 30]) {
  for (const executeDisable of [false, true]) {
    const format = compileFormat(x86FirstStage({ hostAddressWidth: 52, largestPageLg2, executeDisable }));
    const title = `x86-64 first stage, pages to 2^${largestPageLg2}, NXE ${executeDisable ? 1 : 0}`;
    for (const height of format.heights) checkFormatContract(title, format, height);
  }
}
for (const secondStage of [false, true]) {
  const format = compileFormat(
    riscv({ hostAddressWidth: 50, secondStage, hardwareUpdates: true, napot: false, pageTypes: false }),
  );
  for (const height of format.heights) checkFormatContract(format.name, format, height);
}

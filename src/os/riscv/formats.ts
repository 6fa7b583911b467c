/** Page-table formats as the RISC-V driver uses them: accessed and dirty bits preset, Svnapot where a mapping is aligned. */
import { compileFormat, type Format } from '../../pagetable/format.js';
import { riscv } from '../../pagetable/formats/riscv.js';
import type { UnitSpec } from '../spec.js';

export function tableFormat({ hostAddressWidth }: UnitSpec, secondStage: boolean): Format {
  const options = { hostAddressWidth, secondStage, hardwareUpdates: false, napot: true, pageTypes: false };
  return compileFormat(riscv(options));
}

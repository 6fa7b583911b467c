/** The machine of every architecture that has vectors. */
import type { Architecture } from '../vector.js';
import { AMDVI_MACHINE } from './amdvi.js';
import type { MachineKind } from './machine.js';
import { RISCV_MACHINE } from './riscv.js';
import { SMMUV3_MACHINE } from './smmuv3.js';
import { VTD_MACHINE } from './vtd.js';

export const MACHINES: Readonly<Record<Architecture, MachineKind>> = {
  vtd: VTD_MACHINE,
  amdvi: AMDVI_MACHINE,
  smmuv3: SMMUV3_MACHINE,
  riscv: RISCV_MACHINE,
};

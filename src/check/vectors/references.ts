/** The plain reference walker of every architecture that has one, each written from its specification without the simulator's code. */
import { amdviReference } from '../reference/amdvi.js';
import { riscvReference } from '../reference/riscv.js';
import { SMMUV3_REFERENCE } from '../reference/smmuv3.js';
import { VTD_REFERENCE } from '../reference/vtd.js';
import type { Architecture, Responder } from './vector.js';

export const REFERENCES: Readonly<Record<Architecture, Responder>> = {
  vtd: VTD_REFERENCE,
  amdvi: amdviReference,
  smmuv3: SMMUV3_REFERENCE,
  riscv: riscvReference,
};

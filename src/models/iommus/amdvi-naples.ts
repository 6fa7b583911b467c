/** AMD-Vi unit of EPYC 7001 (Naples). */
import { spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { NBIO } from '../sources.js';
import { amdviUnit } from './amdvi.js';

const EFR = 'EFR 000f77ef22294ada from a kernel boot log';
const unit = amdviUnit({ pages: 512, directories: 256, devices: 32, walks: 16 });

export const amdviNaples: Sheet = defineSheet({
  name: 'amdvi-naples',
  title: 'AMD-Vi unit of EPYC 7001 (Naples, Zen 1)',
  kind: 'iommu',
  description:
    'Host tables of up to six levels, guest tables of four, 16-bit PASIDs. Sizes and times are not published. Four units a socket.',
  parameters: {
    ...unit,
    processLevels: spec(2, 'levels', `${EFR}: GLXSup = 1, PASmax = 16 bits`),
    invalidation: {
      ...(unit['invalidation'] as Parameters),
      drain: spec(true, '', `${NBIO} 7.0: reset value of CP_CONTROL, flushing on invalidation`),
    },
  },
});

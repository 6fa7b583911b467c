/** AMD-Vi unit of EPYC 7002 (Rome). */
import { spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { amdviUnit } from './amdvi.js';

const EFR = 'EFR 058f77ef22294ade from a kernel boot log';

export const amdviRome: Sheet = defineSheet({
  name: 'amdvi-rome',
  title: 'AMD-Vi unit of EPYC 7002 (Rome, Zen 2)',
  kind: 'iommu',
  description:
    'Host tables of up to six levels, guest tables of four, 16-bit PASIDs. Sizes and times are not published. Four units a socket.',
  parameters: {
    ...amdviUnit({ pages: 1024, directories: 256, devices: 64, walks: 16 }),
    processLevels: spec(2, 'levels', `${EFR}: GLXSup = 1, PASmax = 16 bits`),
  },
});

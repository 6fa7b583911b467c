/** AMD-Vi unit of EPYC 7003 (Milan). */
import { assumed } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { amdviUnit } from './amdvi.js';

const EFR = 'EFR 841f77e022094ace (with SEV-SNP, which hides guest translation and PASIDs) from a kernel boot log';

export const amdviMilan: Sheet = defineSheet({
  name: 'amdvi-milan',
  title: 'AMD-Vi unit of EPYC 7003 (Milan, Zen 3)',
  kind: 'iommu',
  description:
    'Host tables of up to six levels, guest tables of four. Sizes and times are not published. A host that runs SEV-SNP guests has host tables only. Four units a socket.',
  parameters: {
    ...amdviUnit({ pages: 1024, directories: 512, devices: 64, walks: 32 }),
    processLevels: assumed(2, 'levels', `as Rome without SEV-SNP; ${EFR}`),
  },
});

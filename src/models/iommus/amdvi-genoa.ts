/** AMD-Vi unit of EPYC 9004 (Genoa). */
import { spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { OPENSIL } from '../sources.js';
import { amdviUnit } from './amdvi.js';

const EFR = 'EFR 25bf732fa2295afe, EFR2 1d from a kernel boot log';
const unit = amdviUnit({ pages: 2048, directories: 512, devices: 64, walks: 32 });

export const amdviGenoa: Sheet = defineSheet({
  name: 'amdvi-genoa',
  title: 'AMD-Vi unit of EPYC 9004 (Genoa, Zen 4)',
  kind: 'iommu',
  description:
    'Host tables of up to six levels, guest tables of five, 16-bit PASIDs, guest-physical GCR3 tables. Sizes and times are not published. Four units a socket.',
  parameters: {
    ...unit,
    processLevels: spec(2, 'levels', `${EFR}: GLXSup = 1, PASmax = 16 bits`),
    hostAddressWidth: spec(52, 'bits', 'CPUID 8000_0008'),
    largestPage: spec(1, 'GiB', `${OPENSIL}: L2 page sizes 4 KiB, 2 MiB, 1 GiB`),
    invalidation: {
      ...(unit['invalidation'] as Parameters),
      drain: spec(false, '', `${OPENSIL}: CPFlushOnWait = 1, CPFlushOnInv = 0: once, at COMPLETION_WAIT`),
    },
  },
});

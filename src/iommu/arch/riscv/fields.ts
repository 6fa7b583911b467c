/** Fields of the RISC-V IOMMU's directory structures (RISC-V IOMMU specification, chapter "Data structures") for people. */
import { type EntryField, type EntryLayout, field } from '../../entry-layout.js';
import { DEVICE, PROCESS } from './directory.js';
import { MSI_ENTRY } from './msi-table.js';

const VALID = field('V', 0, 0, 'valid');
const SECOND_MODES = { 0: 'Bare', 8: 'Sv39x4', 9: 'Sv48x4', 10: 'Sv57x4' };
const FIRST_MODES = { 0: 'Bare', 8: 'Sv39', 9: 'Sv48', 10: 'Sv57' };

/** The mode of dc.fsc depends on tc.PDTV: a page-table root, or a process directory. */
const FSC_MODES = { ...FIRST_MODES, 1: 'PD8', 2: 'PD17', 3: 'PD20' };

const CONTEXT: readonly EntryField[] = [
  VALID,
  field('EN_ATS', 1, 1, 'ATS allowed'),
  field('EN_PRI', 2, 2, 'page requests allowed'),
  field('T2GPA', 3, 3, 'ATS returns guest-physical addresses'),
  field('DTF', 4, 4, 'faults are not reported'),
  field('PDTV', 5, 5, 'fsc points to a process directory'),
  field('PRPR', 6, 6, 'page responses carry the PASID'),
  field('GADE', 7, 7, 'hardware updates A and D of the second stage'),
  field('SADE', 8, 8, 'hardware updates A and D of the first stage'),
  field('DPE', 9, 9, 'requests without PASID are process 0'),
  field('SBE', 10, 10, 'big-endian tables'),
  field('SXL', 11, 11, '32-bit schemes'),
  field('iohgatp.PPN', 107, 64, 'second-stage root, page number'),
  field('GSCID', 123, 108, 'guest address space id'),
  field('iohgatp.MODE', 127, 124, 'second stage', SECOND_MODES),
  field('PSCID', 159, 140, 'process address space id'),
  field('fsc.PPN', 235, 192, 'first-stage root or process directory, page number'),
  field('fsc.MODE', 255, 252, 'first stage or process directory', FSC_MODES),
];

const BASE: EntryLayout = { title: 'device context', source: 'RISC-V IOMMU, Device-context fields', fields: CONTEXT };

const EXTENDED: EntryLayout = {
  title: 'extended device context',
  source: 'RISC-V IOMMU, Device-context fields',
  fields: [
    ...CONTEXT,
    field('msiptp.PPN', 299, 256, 'MSI page table, page number'),
    field('msiptp.MODE', 319, 316, 'MSI page table', { 0: 'Off', 1: 'Flat' }),
    field('msi_addr_mask', 371, 320, 'page number bits that select an MSI entry'),
    field('msi_addr_pattern', 435, 384, 'page number of virtual interrupt files'),
  ],
};

const PROCESS_CONTEXT: EntryLayout = {
  title: 'process context',
  source: 'RISC-V IOMMU, Process-context fields',
  fields: [
    VALID,
    field('ENS', 1, 1, 'privileged requests allowed'),
    field('SUM', 2, 2, 'privileged requests reach user pages'),
    field('PSCID', 31, 12, 'process address space id'),
    field('fsc.PPN', 107, 64, 'first-stage root, page number'),
    field('fsc.MODE', 127, 124, 'first stage', FIRST_MODES),
  ],
};

const MSI: EntryLayout = {
  title: 'MSI page-table entry',
  source: 'RISC-V IOMMU, MSI page tables',
  fields: [
    VALID,
    field('M', 2, 1, 'mode', { 1: 'MRIF', 3: 'basic translate' }),
    field('PPN', 53, 10, 'interrupt file, page number'),
    field('C', 63, 63, 'custom'),
  ],
};

function directoryEntry(title: string, source: string): EntryLayout {
  return { title, source, fields: [VALID, field('PPN', 53, 10, 'next table, page number')] };
}

/** Layout of a directory entry; `extended`: device contexts of 64 bytes. */
export function directoryLayout(entry: number, extended: boolean): EntryLayout {
  if (entry === MSI_ENTRY) return MSI;
  if (entry === PROCESS + 1) return PROCESS_CONTEXT;
  if (entry > PROCESS) return directoryEntry('non-leaf PDT entry', 'RISC-V IOMMU, Non-leaf PDT entry');
  if (entry > DEVICE + 1) return directoryEntry('non-leaf DDT entry', 'RISC-V IOMMU, Non-leaf DDT entry');
  return extended ? EXTENDED : BASE;
}

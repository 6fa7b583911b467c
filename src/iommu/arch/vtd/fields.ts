/** Fields of VT-d's translation structures (VT-d specification, chapter 9) for people. Memory types are left out. */
import { type EntryLayout, field, pointer } from '../../entry-layout.js';
import { Entry } from './directory.js';

const PRESENT = field('P', 0, 0, 'present');
const SUPPRESS = field('FPD', 1, 1, 'faults are not recorded');
const WIDTHS = { 1: '3 levels, 39 bits', 2: '4 levels, 48 bits', 3: '5 levels, 57 bits' };

const ROOT: EntryLayout = {
  title: 'root entry',
  source: 'VT-d 9.1',
  fields: [PRESENT, pointer('CTP', 63, 12, 'context table')],
};

const SCALABLE_ROOT: EntryLayout = {
  title: 'scalable-mode root entry',
  source: 'VT-d 9.2',
  fields: [
    field('LP', 0, 0, 'lower half present'),
    pointer('LCTP', 63, 12, 'context table of devices 0 to 15'),
    field('UP', 64, 64, 'upper half present'),
    pointer('UCTP', 127, 76, 'context table of devices 16 to 31'),
  ],
};

const CONTEXT: EntryLayout = {
  title: 'context entry',
  source: 'VT-d 9.3',
  fields: [
    PRESENT,
    SUPPRESS,
    field('TT', 3, 2, 'translation type', {
      0: 'second stage',
      1: 'second stage, device TLB allowed',
      2: 'pass-through',
      3: 'reserved',
    }),
    pointer('SSPTPTR', 63, 12, 'second-stage root'),
    field('AW', 66, 64, 'address width', WIDTHS),
    field('DID', 87, 72, 'domain'),
  ],
};

const SCALABLE_CONTEXT: EntryLayout = {
  title: 'scalable-mode context entry',
  source: 'VT-d 9.4',
  fields: [
    PRESENT,
    SUPPRESS,
    field('DTE', 2, 2, 'device TLB enabled'),
    field('PASIDE', 3, 3, 'requests with PASID allowed'),
    field('PRE', 4, 4, 'page requests allowed'),
    field('PDTS', 11, 9, 'PASID directory of 2^(PDTS + 7) entries'),
    pointer('PASIDDIRPTR', 63, 12, 'PASID directory'),
    field('RID_PASID', 83, 64, 'PASID of requests without one'),
    field('RID_PRIV', 84, 84, 'requests without PASID are privileged'),
  ],
};

const PASID_DIRECTORY: EntryLayout = {
  title: 'PASID directory entry',
  source: 'VT-d 9.5',
  fields: [PRESENT, SUPPRESS, pointer('SMPTBLPTR', 63, 12, 'PASID table')],
};

const PASID: EntryLayout = {
  title: 'PASID table entry',
  source: 'VT-d 9.6',
  fields: [
    PRESENT,
    SUPPRESS,
    field('AW', 4, 2, 'second-stage address width', WIDTHS),
    field('PGTT', 8, 6, 'translation type', {
      1: 'first stage',
      2: 'second stage',
      3: 'nested',
      4: 'pass-through',
    }),
    field('SSADE', 9, 9, 'second-stage accessed and dirty bits'),
    pointer('SSPTPTR', 63, 12, 'second-stage root'),
    field('DID', 79, 64, 'domain'),
    field('PWSNP', 87, 87, 'walks snoop processor caches'),
    field('PGSNP', 88, 88, 'page accesses snoop processor caches'),
    field('SRE', 128, 128, 'privileged requests allowed'),
    field('FSPM', 131, 130, 'first-stage levels', { 0: '4 levels', 1: '5 levels' }),
    field('WPE', 132, 132, 'privileged writes obey R/W'),
    field('EAFE', 135, 135, 'extended accessed bits'),
    pointer('FSPTPTR', 191, 140, 'first-stage root'),
  ],
};

/** Layout of a directory entry; `scalable`: root table mode. */
export function directoryLayout(entry: Entry, scalable: boolean): EntryLayout {
  switch (entry) {
    case Entry.Root:
      return scalable ? SCALABLE_ROOT : ROOT;
    case Entry.Context:
      return scalable ? SCALABLE_CONTEXT : CONTEXT;
    case Entry.PasidDirectory:
      return PASID_DIRECTORY;
    case Entry.Pasid:
      return PASID;
  }
}

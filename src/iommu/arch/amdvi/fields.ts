/**
 * Fields of AMD-Vi's device table entry and GCR3 table entry (specification 48882, 2.2.2 and 2.2.6) for people. Fields about interrupts
 * and the hardware vIOMMU are left out.
 */
import { type EntryLayout, field, pointer } from '../../entry-layout.js';
import { DEVICE_ENTRY } from './directory.js';

const DEVICE: EntryLayout = {
  title: 'device table entry',
  source: 'AMD IOMMU 2.2.2',
  fields: [
    field('V', 0, 0, 'valid; 0: requests pass untranslated'),
    field('TV', 1, 1, 'translation information valid; 0: requests are blocked'),
    field('HAD', 8, 7, 'bits hardware sets in host entries', { 0: 'none', 1: 'A', 3: 'A and D' }),
    field('Mode', 11, 9, 'levels of the host table', { 0: 'no host table', 7: 'reserved' }),
    pointer('HostPageTableRoot', 51, 12, 'host table'),
    field('PPR', 52, 52, 'page requests allowed'),
    field('GPRP', 53, 53, 'page responses carry the PASID'),
    field('GIOV', 54, 54, 'requests without PASID use PASID 0'),
    field('GV', 55, 55, 'guest translation valid'),
    field('GLX', 57, 56, 'levels of the GCR3 table less one', { 3: 'reserved' }),
    field('GCR3[14:12]', 60, 58, 'GCR3 table, lowest bits'),
    field('IR', 61, 61, 'reads permitted'),
    field('IW', 62, 62, 'writes permitted'),
    field('DomainID', 79, 64, 'domain'),
    field('GCR3[30:15]', 95, 80, 'GCR3 table, middle bits'),
    field('I', 96, 96, 'device TLB allowed'),
    field('SE', 97, 97, 'only the first fault is reported'),
    field('SA', 98, 98, 'no fault is reported'),
    field('IoCtl', 100, 99, 'port I/O'),
    field('Cache', 101, 101, 'device TLB cache hint'),
    field('SD', 102, 102, 'accesses do not snoop'),
    field('EX', 103, 103, 'exclusion range applies'),
    field('SysMgt', 105, 104, 'system management messages'),
    field('SATS', 106, 106, 'secure address translation'),
    field('GCR3[51:31]', 127, 107, 'GCR3 table, highest bits'),
    field('GuestPagingMode', 183, 182, 'levels of guest tables', { 0: '4 levels', 1: '5 levels' }),
  ],
};

const GCR3: EntryLayout = {
  title: 'GCR3 table entry',
  source: 'AMD IOMMU 2.2.6',
  fields: [field('V', 0, 0, 'valid'), pointer('Address', 51, 12, 'guest page table')],
};

const GCR3_DIRECTORY: EntryLayout = {
  ...GCR3,
  fields: [field('V', 0, 0, 'valid'), pointer('Address', 51, 12, 'GCR3 table of the next level')],
};

/** Layout of a directory entry; GCR3 entries are numbered by level, from 1. */
export function directoryLayout(entry: number): EntryLayout {
  if (entry === DEVICE_ENTRY) return DEVICE;
  return entry === 1 ? GCR3 : GCR3_DIRECTORY;
}

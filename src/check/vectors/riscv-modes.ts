/**
 * What a mode of the RISC-V vector generator varies, and the machines (`cfg capabilities`) that it draws.
 */
import { CAPABILITY, type Capability } from '../reference/riscv-machine.js';
import type { Dice } from './riscv-image.js';
import type { AccessKind } from './vector.js';

export interface ModeTraits {
  readonly about: string;
  readonly kinds: readonly (readonly [AccessKind, number])[];
  /** Accesses with Privileged Mode Requested; ENS, SUM, supervisor pages. */
  readonly privilege: boolean;
  /** ATS translation requests and translated requests. */
  readonly ats: boolean;
  /** Of them those that go through the second stage (T2GPA), and those for execution. */
  readonly guestAddresses: boolean;
  /** MSI page tables. */
  readonly msi: boolean;
  /** Entries with clear accessed and dirty bits where hardware sets them. */
  readonly updates: boolean;
  /** Share of 64 KiB regions among level-0 leaves, percent. */
  readonly napotPercent: number;
  /** Svpbmt memory types and Svrsw60t59b software bits. */
  readonly attributes: boolean;
  /** Leaves above 1 GiB where the other stage is Bare. */
  readonly largeLeaves: boolean;
  /** Contexts with encodings that are the implementation's own choice. */
  readonly unusualEncodings: boolean;
}

const READ_WRITE: ModeTraits['kinds'] = [
  ['r', 50],
  ['w', 50],
];

const COMMON: ModeTraits = {
  about:
    'what the RISC-V IOMMU reference model and QEMU take: reads and writes, all directories, schemes and page sizes, two stages',
  kinds: READ_WRITE,
  privilege: false,
  ats: false,
  guestAddresses: false,
  msi: false,
  updates: false,
  napotPercent: 0,
  attributes: false,
  largeLeaves: false,
  unusualEncodings: false,
};

/** `common` is the first. */
export const RISCV_MODES: Readonly<Record<string, ModeTraits>> = {
  common: COMMON,
  svnapot: { ...COMMON, about: '64 KiB regions (Svnapot) in both stages', napotPercent: 45 },
  'ad-update': {
    ...COMMON,
    about: 'accessed and dirty bits set by hardware (SADE, GADE), seen by later accesses',
    updates: true,
  },
  permissions: {
    ...COMMON,
    about: 'execute and atomic accesses, supervisor privilege, SUM, supervisor and user pages',
    kinds: [
      ['r', 35],
      ['w', 25],
      ['x', 30],
      ['rw', 10],
    ],
    privilege: true,
  },
  ats: {
    ...COMMON,
    about: 'ATS translation requests, to read, to write or to execute, and translated requests, with and without PASID',
    kinds: [
      ['r', 45],
      ['w', 45],
      ['x', 10],
    ],
    ats: true,
  },
  t2gpa: {
    ...COMMON,
    about: 'ATS translation requests and translated requests, with and without T2GPA, also for execution',
    kinds: [
      ['r', 45],
      ['w', 45],
      ['x', 10],
    ],
    ats: true,
    guestAddresses: true,
  },
  msi: {
    ...COMMON,
    about: 'flat MSI page tables in basic translate mode',
    kinds: [
      ['r', 30],
      ['w', 60],
      ['x', 10],
    ],
    msi: true,
  },
  attributes: { ...COMMON, about: 'memory types (Svpbmt) and software bits 60:59 (Svrsw60t59b)', attributes: true },
  'large-leaves': {
    ...COMMON,
    about: 'leaves of 512 GiB and 256 TiB under a single stage, whose size a model may cap at that of its Bare stage',
    largeLeaves: true,
  },
  encodings: {
    ...COMMON,
    about: 'contexts with 32-bit schemes and custom modes, which a machine without them refuses',
    unusualEncodings: true,
  },
};

const VERSION = 0x10n;
/** Smallest physical width that the address window fits into. */
const MIN_PHYSICAL_BITS = 34;
const HPM = 30;
const DBG = 31;

/**
 * Draws `capabilities`: mostly every scheme and 56 bits, as QEMU has, else a part of them. Sv39 and Sv39x4 are always there:
 * without any scheme the reference model leaves the page size of a Bare stage undefined.
 */
export function drawCapabilities(dice: Dice, traits: ModeTraits): bigint {
  const full = dice.chance(65);
  const some = (percent: number): boolean => full || dice.chance(percent);
  const has: Capability[] = ['Sv39', 'Sv39x4'];
  if (some(60)) has.push('Sv48');
  if (has.includes('Sv48') && some(50)) has.push('Sv57');
  if (some(60)) has.push('Sv48x4');
  if (has.includes('Sv48x4') && some(50)) has.push('Sv57x4');
  for (const directory of ['PD8', 'PD17', 'PD20'] as const) if (some(60)) has.push(directory);
  if (traits.updates || some(50)) has.push('AMO_HWAD');
  if (traits.ats || some(50)) has.push('ATS');
  if (has.includes('ATS') && some(50) && (!traits.ats || traits.guestAddresses)) has.push('T2GPA');
  if (traits.msi || dice.chance(50)) has.push('MSI_FLAT');
  if (traits.attributes) has.push(...dice.pick([['Svpbmt'], ['Svrsw60t59b'], ['Svpbmt', 'Svrsw60t59b']] as const));
  let word = VERSION | (BigInt(full ? 56 : dice.between(MIN_PHYSICAL_BITS, 56)) << 32n);
  for (const capability of has) word |= 1n << BigInt(CAPABILITY[capability]);
  if (dice.chance(50)) word |= 1n << BigInt(HPM);
  if (dice.chance(50)) word |= 1n << BigInt(DBG);
  return word;
}

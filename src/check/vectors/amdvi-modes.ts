/** What the modes of the AMD-Vi generator put into a vector. */
import type { HostOptions } from './amdvi-host-space.js';
import { ALL_KINDS, type Kinds, READ_OR_WRITE } from './amdvi-devices.js';

export interface Mode {
  readonly sentence: string;
  /** Every access is one that all releases of QEMU and the specification answer alike. */
  readonly common: boolean;
  readonly kinds: Kinds;
  readonly host: HostOptions;
  /** Percent of translated devices with guest tables, and of these with a host table below. */
  readonly guest: number;
  readonly nested: number;
  /** Percent of entries on paths, and of device table entries, that are broken. */
  readonly corruption: number;
  /** Hardware may set accessed and dirty bits in host entries. */
  readonly accessedDirty: boolean;
  /** Devices without translation among all: pass-through, blocked, nonexistent. */
  readonly plain: number;
  /** Translation requests and translated requests of devices that translate. */
  readonly ats: boolean;
}

const HOST = { skips: 0, denials: 25, tableDenials: 4, hugeNaturalPages: true } as const;
const QUIET = { ...HOST, denials: 10, tableDenials: 0 } as const;

export const MODES = {
  common: {
    sentence:
      'Host tables of 1 to 6 levels, size-coded pages, pass-through and blocked devices, as every emulator has them.',
    common: true,
    kinds: READ_OR_WRITE,
    host: { ...HOST, hugeNaturalPages: false },
    guest: 0,
    nested: 0,
    corruption: 0,
    accessedDirty: false,
    plain: 40,
    ats: false,
  },
  host: {
    sentence: 'Host tables by the specification alone: accessed and dirty bits, natural pages of every level, atomics.',
    common: false,
    kinds: ALL_KINDS,
    host: HOST,
    guest: 0,
    nested: 0,
    corruption: 0,
    accessedDirty: true,
    plain: 25,
    ats: false,
  },
  'level-skip': {
    sentence: 'Host tables whose entries lead past levels, and addresses with bits set that select nothing.',
    common: false,
    kinds: ALL_KINDS,
    host: { ...HOST, skips: 60 },
    guest: 0,
    nested: 0,
    corruption: 0,
    accessedDirty: true,
    plain: 10,
    ats: false,
  },
  guest: {
    sentence:
      'GCR3 tables of 1 to 3 levels, guest tables of 4 and 5 levels, PASIDs, user, no-execute, accessed and dirty bits.',
    common: false,
    kinds: ALL_KINDS,
    host: QUIET,
    guest: 100,
    nested: 0,
    corruption: 0,
    accessedDirty: false,
    plain: 10,
    ats: false,
  },
  nested: {
    sentence: 'Guest tables over host tables, the GCR3 table at a guest-physical or a system-physical address.',
    common: false,
    kinds: ALL_KINDS,
    host: QUIET,
    guest: 100,
    nested: 100,
    corruption: 0,
    accessedDirty: true,
    plain: 10,
    ats: false,
  },
  ats: {
    sentence:
      'ATS translation requests, to read, to write or to execute, with privilege or without, and translated requests, with and without PASID; DTE.I on and off.',
    common: false,
    kinds: ALL_KINDS,
    host: { ...HOST, denials: 30 },
    guest: 50,
    nested: 50,
    corruption: 0,
    accessedDirty: false,
    plain: 10,
    ats: true,
  },
  faults: {
    sentence:
      'One fault after the other: reserved bits, illegal levels and sizes, malformed device table entries, stray PASIDs.',
    common: false,
    kinds: ALL_KINDS,
    host: { ...QUIET, skips: 10 },
    guest: 50,
    nested: 50,
    corruption: 35,
    accessedDirty: true,
    plain: 15,
    ats: false,
  },
} as const satisfies Record<string, Mode>;

export type ModeName = keyof typeof MODES;

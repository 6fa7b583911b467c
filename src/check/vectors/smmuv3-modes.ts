/**
 * Modes of the SMMUv3 vector generator. `common` is what QEMU's emulated SMMUv3 answers as the specification does
 * (hw/arm/smmuv3.c and smmu-common.c, release 10.2). It leaves out, and other modes make, what is lawful but answered otherwise there:
 *
 * - StreamIDs beyond L1STD.Span (QEMU: bound 2^Span, then C_BAD_STE; architecture: 2^(Span-1), C_BAD_STREAMID), reserved Span;
 * - blocks at level 0, and at level 1 of a 16 KiB or 64 KiB granule (QEMU takes them);
 * - a table descriptor beyond the output size (QEMU: F_WALK_EABT, or a stage 2 fault when nested; architecture: F_ADDR_SIZE);
 * - a leaf that is both too large and has AF = 0 or no permission (QEMU checks the address last);
 * - unprivileged accesses to AP[1] = 0 or under APTable[0] (QEMU takes all accesses as privileged);
 * - writes under APTable[1] that meet anything but a leaf fit for use (QEMU refuses at the table descriptor);
 * - TBI0 differing from TBI1 (QEMU tests TBI0 for both);
 * - concatenated start tables of stage 2 other than the first (QEMU clears the index with the alignment);
 * - stage 2 start levels too deep for S2T0SZ, and S2T0SZ between 64 - OAS and 64 - effective S2PS (releases differ);
 * - inputs of 2^44 and more with stage 2 alone (QEMU leaves no record: it asks CD.R, and there is no CD);
 * - nested: a TTB that stage 2 refuses (QEMU translates both when it reads the CD), an IPS of 32 bits (QEMU cuts the translated TTB),
 *   and stage 1 tables whose pages stage 2 scatters (QEMU translates the start of a table only);
 * - CD.IPS 6 and 7, S2AA64 = 0 (QEMU asserts), STE.S1ContextPtr beyond the address size;
 * - fields without meaning here that QEMU still judges: S1CDMax and S1STALLD without stage 1 or substreams; S2HA and S2HD, which it
 *   does not judge; substreams, HTTU, execution and privilege.
 */
export interface Mode {
  /** Stay where QEMU agrees. */
  readonly emulator?: boolean;
  readonly strict?: boolean;
  readonly substreams?: boolean;
  readonly contiguous?: boolean;
  readonly httu?: boolean;
  readonly permissions?: boolean;
  readonly wide?: boolean;
  /** Translation requests and translated requests; CR0.ATSCHK is set. */
  readonly ats?: boolean;
}

export const MODES: Readonly<Record<string, Mode>> = {
  common: { emulator: true },
  substreams: { substreams: true },
  contiguous: { contiguous: true },
  httu: { httu: true },
  permissions: { permissions: true },
  wide: { wide: true },
  strict: { strict: true },
  ats: { substreams: true, ats: true },
};

export const MODE_SENTENCES: Readonly<Record<string, string>> = {
  common:
    'One CD per stream, linear and two-level stream tables, both stages, all granules: what every emulator can take.',
  substreams: 'Linear and two-level CD tables, PASIDs present and absent, S1DSS.',
  contiguous: 'Groups of entries with the contiguous bit at every level that allows it, both stages.',
  httu: 'Access flag and dirty state written by hardware, both stages, stage 1 tables behind stage 2 included.',
  permissions: 'Privileged, unprivileged, instruction and atomic accesses; PXN, UXN, WXN, PAN, APTable, stage 2 XN.',
  wide: '52-bit input and output addresses with the 64 KiB granule.',
  ats: 'ATS translation requests, to read, to write or to execute, with privilege or without, and translated requests, with and without PASID, both stages; EATS on and off.',
  strict:
    'What emulators answer otherwise than the specification: spans, levels, order of faults, address sizes, start levels.',
};

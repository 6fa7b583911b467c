/** Page-table formats of an AMD-Vi unit: host tables by what DTE.HAD lets hardware set, and guest tables (specification 2.2.3, 2.2.6). */
import { compileFormat, type Format } from '../../../pagetable/format.js';
import { amdHost } from '../../../pagetable/formats/amdv1.js';
import { amdGuest } from '../../../pagetable/formats/x86_64.js';
import type { IommuSpec } from '../../spec.js';
import { HostAccessDirty } from './format.js';

/** Index into the unit's formats. */
export const enum FormatIndex {
  Host = 0,
  HostAccessed = 1,
  HostAccessedDirty = 2,
  Guest = 3,
  /** Guest tables as requests without PASID use them: addresses are not sign-extended. */
  GuestFlat = 4,
}

/** The host format that a device table entry asks for; the reserved HAD = 2 sets nothing. */
export function hostFormat(accessDirty: number): FormatIndex {
  if (accessDirty === HostAccessDirty.Accessed) return FormatIndex.HostAccessed;
  return accessDirty === HostAccessDirty.Both ? FormatIndex.HostAccessedDirty : FormatIndex.Host;
}

/** By FormatIndex. */
export function formatsOf({ hostAddressWidth }: IommuSpec): readonly Format[] {
  const hosts = [HostAccessDirty.None, HostAccessDirty.Accessed, HostAccessDirty.Both] as const;
  return [
    ...hosts.map((hostAccessDirty) => compileFormat(amdHost({ hostAddressWidth, hostAccessDirty }))),
    ...[true, false].map((signExtended) => compileFormat(amdGuest({ hostAddressWidth, signExtended }))),
  ];
}

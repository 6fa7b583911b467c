/** What the caches of a unit hold, as rows for people: cache, what is looked up, what it answers. */
import { type AddressSpace, Stage } from '../../iommu/address-space.js';
import type { SetAssociativeCache } from '../../tlb/cache.js';
import { OwnProcess } from '../../iommu/contexts.js';
import type { IommuUnit } from '../../iommu/unit.js';
import { formatRequester } from '../../workload/fields.js';
import { wordOf } from '../vectors/bench.js';
import { hex, permissionNames, short, sizeName } from './decode.js';

export interface CacheRow {
  readonly cache: string;
  readonly key: string;
  readonly value: string;
}

/** Entries that are valid now. */
function entriesOf(cache: SetAssociativeCache): number[] {
  return Array.from({ length: cache.entries }, (_, entry) => entry).filter((entry) => cache.valid[entry] === 1);
}

/** One row a cache at least: its entries, or that it is empty or absent. */
function rows(
  cache: string,
  of: SetAssociativeCache,
  show: (entry: number) => Omit<CacheRow, 'cache'>,
): readonly CacheRow[] {
  if (!of.enabled) return [{ cache, key: '-', value: 'absent in this unit' }];
  const entries = entriesOf(of);
  if (entries.length === 0) return [{ cache, key: '-', value: 'empty' }];
  return entries.map((entry) => ({ cache, ...show(entry) }));
}

export function spaceText(space: AddressSpace): string {
  const tags = `domain ${short(space.did)}${space.pasid > 0 ? `, PASID tag ${short(space.pasid)}` : ''}`;
  const root = `root ${hex(wordOf(space.rootHi, space.rootLo))}, ${space.levels} levels`;
  const second = `second-stage root ${hex(wordOf(space.secondRootHi, space.secondRootLo))}, ${space.secondLevels} levels`;
  switch (space.stage) {
    case Stage.PassThrough:
      return `pass-through, ${tags}`;
    case Stage.Second:
      return `second stage, ${tags}, ${root}`;
    case Stage.First:
      return `first stage, ${tags}, ${root}`;
    case Stage.Nested:
      return `nested, ${tags}, first-stage ${root}, ${second}`;
  }
}

/** Input address of an entry whose key holds the bits from `shift` on. */
function keyAddress(shift: number, k0: number, k1: number, top: number): bigint {
  const above = wordOf(k1 & 0xffff, k0) << BigInt(shift);
  return (above & ((1n << 60n) - 1n)) | (BigInt(top) << 60n);
}

export function cacheRows(unit: IommuUnit): CacheRow[] {
  const { translations: t, architecture } = unit;
  const { contexts } = architecture;
  return [
    ...rows('context cache', contexts.device, (entry) => ({
      key: formatRequester(contexts.requesterOfDevice(entry)),
      value:
        contexts.ownProcess[entry] === OwnProcess.None
          ? spaceText(contexts.deviceSpace[entry]!)
          : `has process contexts${contexts.takesPasid[entry] === 1 ? ', takes requests with PASID' : ''}`,
    })),
    ...rows('PASID cache', contexts.process, (entry) => ({
      key: `${formatRequester(contexts.requesterOfProcess(entry))} PASID ${short(contexts.pasidOfProcess(entry))}`,
      value: spaceText(contexts.processSpace[entry]!),
    })),
    ...t.structure.flatMap((cache, i) =>
      rows(`paging structures, level ${i + 2}`, cache, (entry) => {
        const span = t.tableSpan[i]![entry]!;
        const input = keyAddress(span, cache.k0[entry]!, cache.k1[entry]!, 0);
        const table = hex(wordOf(t.tableHi[i]![entry]!, t.tableLo[i]![entry]!));
        const grants = permissionNames(t.tablePermission[i]![entry]!);
        return {
          key: `${hex(input)}, ${sizeName(span)}, domain ${short(cache.k1[entry]! >>> 16)}`,
          value: `level ${t.tableLevel[i]![entry]} table at ${table}; grants so far ${grants}`,
        };
      }),
    ),
    ...rows('second-stage TLB', t.second, (entry) => {
      const lg2 = t.sizeLg2[t.second.k2[entry]!]!;
      const guest = keyAddress(lg2, t.second.k0[entry]!, t.second.k1[entry]!, 0);
      const host = hex(wordOf(t.hostHi[entry]!, t.hostLo[entry]!));
      return {
        key: `guest ${hex(guest)}, ${sizeName(lg2)}, domain ${short(t.second.k1[entry]! >>> 16)}`,
        value: `${host}; grants ${permissionNames(t.hostPermission[entry]!)}`,
      };
    }),
    ...rows('IOTLB', t.iotlb, (entry) => {
      const k2 = t.iotlb.k2[entry]!;
      const lg2 = t.sizeLg2[(k2 >>> 20) & 15]!;
      const input = keyAddress(lg2, t.iotlb.k0[entry]!, t.iotlb.k1[entry]!, k2 >>> 26);
      const page = hex(wordOf(t.pageHi[entry]!, t.pageLo[entry]!));
      return {
        key: `${hex(input)}, ${sizeName(lg2)}, domain ${short(t.iotlb.k1[entry]! >>> 16)}`,
        value: `${page}; grants ${permissionNames(t.permission[entry]!)}`,
      };
    }),
  ];
}

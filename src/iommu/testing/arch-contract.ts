/**
 * What every architecture must do around the walk: read exactly the entries its tables have, record each fault with its reason and the
 * request it was, not record the ones software does not want to hear of, and survive a full fault log.
 */
import { describe, expect, it } from 'vitest';
import { AddressType, RequestType } from '../arch/vtd/format.js';
import { type Request, REQUESTERS, type Rig } from './rig.js';
import { READ_PS } from './spec.js';

export interface Case {
  readonly rig: Rig;
  readonly request: Request;
}

export interface ReadCase {
  readonly name: string;
  /** Entries read from the directory and from tables when nothing is cached. */
  readonly directory: number;
  readonly table: number;
  readonly make: () => Case;
}

export interface FaultCase {
  readonly name: string;
  readonly reason: number;
  /** Not recorded when every entry on the way asks for that. */
  readonly suppressible: boolean;
  readonly make: (suppress: boolean) => Case;
}

export function checkArchContract(name: string, reads: readonly ReadCase[], faults: readonly FaultCase[]): void {
  describe(`architecture contract: ${name}`, () => {
    it.each(reads)('cold reads: $name', ({ make, directory, table }) => {
      const { rig, request } = make();
      const { counters } = rig.unit;
      const first = rig.translate(request);
      expect([counters.directoryReads, counters.tableReads]).toEqual([directory, table]);
      expect(first).toMatchObject({ aborted: false, at: (directory + table) * READ_PS });
      const again = rig.translate(request);
      expect([counters.directoryReads, counters.tableReads]).toEqual([directory, table]);
      expect(again).toMatchObject({ aborted: false, at: first.at, output: first.output });
    });

    it.each(faults)('fault $reason: $name', ({ make, reason }) => {
      const { rig, request } = make(false);
      const departure = rig.translate(request);
      expect(departure.aborted).toBe(true);
      expect(countsOf(rig)).toEqual({ [reason]: 1 });
      expect(recordOf(rig, 0)).toEqual({
        reason,
        source: REQUESTERS[request.device ?? 0],
        page: Math.floor(request.address / 4096),
        pasid: request.pasid ?? -1,
        request: request.write === true ? RequestType.Write : RequestType.Read,
        type: AddressType.Untranslated,
      });
      // Nothing of it was cached: the same request fails again, with memory read again.
      rig.translate(request);
      expect(countsOf(rig)).toEqual({ [reason]: 2 });
      expect(rig.unit.translations.iotlb.occupancy).toBe(0);
    });

    it.each(faults)('fault $reason under fault processing disable: $name', ({ make, reason, suppressible }) => {
      const { rig, request } = make(true);
      // Twice: the second time directory entries may come from the caches.
      for (const _ of [0, 1]) expect(rig.translate(request).aborted).toBe(true);
      expect(rig.unit.counters.aborted).toBe(2);
      expect(countsOf(rig)).toEqual(suppressible ? {} : { [reason]: 2 });
    });
  });
}

export function countsOf(rig: Rig): Record<number, number> {
  return Object.fromEntries([...rig.faults.counters.byCode].map((n, reason) => [reason, n]).filter(([, n]) => n !== 0));
}

/** Fields of a fault recording register; null when it is empty. */
export function recordOf(rig: Rig, index: number): Record<string, unknown> | null {
  const [d0, d1, d2, d3] = rig.faults.records.subarray(4 * index, 4 * index + 4) as unknown as number[];
  if (d3! >= 0) return null;
  return {
    reason: d3! & 0xff,
    source: d2! & 0xffff,
    page: (d1! >>> 0) * 2 ** 20 + (d0! >>> 12),
    pasid: d2! < 0 ? (d3! >>> 8) & 0xfffff : -1,
    request: ((d2! >>> 28) & 1) | (((d3! >>> 30) & 1) << 1),
    type: (d3! >>> 28) & 3,
  };
}

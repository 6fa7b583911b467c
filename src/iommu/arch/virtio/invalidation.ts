/**
 * What the host's unit forgets when its tables have changed, as a VT-d driver would ask it to (VT-d specification, chapter 6): leaves of the
 * range; table entries of the range when tables were freed, else only where the hint is not honoured.
 */
import type { InvalidationSpec } from '../../spec.js';
import { dropLeaves, dropStructures } from '../../sweep.js';
import type { Tag } from '../../tag.js';
import { inDomain } from '../../tag-index.js';
import type { IommuUnit } from '../../unit.js';
import type { Invalidator } from './host.js';

/** Pages of a walk under way are compared with ranges of powers of two; any other range stands for the whole domain. */
export class UnitCaches implements Invalidator {
  constructor(
    private readonly unit: IommuUnit,
    private readonly spec: InvalidationSpec,
  ) {}

  invalidateRange(did: number, start: number, end: number, tablesFreed: boolean): void {
    const { translations: t, walkers } = this.unit;
    const { hintHonoured, nonLeafScope } = this.spec;
    const inside = (tag: Tag): boolean => {
      const size = 2 ** tag.spanLg2;
      return tag.did === did && tag.region * size < end && (tag.region + 1) * size > start;
    };
    const first = Math.floor(start / 4096);
    const inPages = inDomain(did, 0, { first, count: Math.ceil(end / 4096) - first });
    dropLeaves(t, inPages, inside);
    if (tablesFreed || !hintHonoured) {
      if (nonLeafScope === 'range') dropStructures(t, inPages, inside);
      else dropStructures(t, inDomain(did), (tag) => tag.did === did);
    }
    walkers.overtake(did, null);
  }

  invalidateDomain(did: number): void {
    const { translations: t, walkers } = this.unit;
    const mine = (tag: Tag): boolean => tag.did === did;
    const scope = inDomain(did);
    dropLeaves(t, scope, mine);
    dropStructures(t, scope, mine);
    walkers.overtake(did, null);
  }

  invalidateEndpoint(endpoint: number): void {
    const { contexts } = this.unit.architecture;
    contexts.dropDevice(endpoint);
    this.unit.walkers.overtake(-1, null);
  }
}

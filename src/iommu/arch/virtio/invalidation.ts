/**
 * What the host's unit forgets when its tables have changed, as a VT-d driver would ask it to (VT-d specification, chapter 6): leaves of the
 * range; table entries of the range when tables were freed, else only where the hint is not honoured.
 */
import type { InvalidationSpec } from '../../spec.js';
import { dropLeaves, dropStructures, type Tag } from '../../sweep.js';
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
    dropLeaves(t, inside);
    if (tablesFreed || !hintHonoured) {
      const whole = nonLeafScope === 'domain';
      dropStructures(t, (tag) => (whole ? tag.did === did : inside(tag)));
    }
    walkers.overtake(did, null);
  }

  invalidateDomain(did: number): void {
    const { translations: t, walkers } = this.unit;
    dropLeaves(t, (tag) => tag.did === did);
    dropStructures(t, (tag) => tag.did === did);
    walkers.overtake(did, null);
  }

  invalidateEndpoint(endpoint: number): void {
    const { contexts } = this.unit.architecture;
    contexts.dropDevices((entry) => contexts.requesterOfDevice(entry) === endpoint);
    this.unit.walkers.overtake(-1, null);
  }
}

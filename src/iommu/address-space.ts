/**
 * What directory structures say about one (requester, PASID): which tables translate it and under which tags results are cached.
 * Plain int32 fields; caches and misses hold their own instance and copy.
 */
export const enum Stage {
  Second = 0,
  First = 1,
  PassThrough = 2,
}

export class AddressSpace {
  /** Domain id: tag of cached translations. */
  did = 0;
  /** PASID tag of first-stage translations; 0 for second-stage and pass-through, which are shared by all PASIDs of a domain. */
  pasid = 0;
  stage: Stage = Stage.Second;
  /** Table levels. */
  levels = 0;
  rootHi = 0;
  rootLo = 0;
  /** An entry on the way to it asks not to record qualified faults (FPD). */
  suppressFaults = false;

  copy(from: AddressSpace): void {
    this.did = from.did;
    this.pasid = from.pasid;
    this.stage = from.stage;
    this.levels = from.levels;
    this.rootHi = from.rootHi;
    this.rootLo = from.rootLo;
    this.suppressFaults = from.suppressFaults;
  }
}

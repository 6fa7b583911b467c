/** What the simulator has to know of an architecture to take its vectors: which unit a vector speaks about, and how faults are stated. */
import type { EntryLayout } from '../../../iommu/entry-layout.js';
import type { Miss } from '../../../iommu/miss.js';
import type { IommuSpec } from '../../../iommu/spec.js';
import type { BuiltUnit } from '../../../system/unit.js';
import type { Config } from '../config.js';

export interface MachineKind {
  /** Name of the architecture for messages, and the `cfg` keys it has (`cache` is common to all). */
  readonly title: string;
  readonly keys: readonly string[];
  /** The unit that the `cfg` lines describe. */
  spec(config: Config): IommuSpec;
  /** Sets what IommuSpec has no key for (capability registers), before registers are written. */
  configure?(built: BuiltUnit, config: Config): void;
  /** Fault code as vectors state it, where it is not the simulator's own. */
  code?(m: Miss, config: Config): number;
  /** What a directory entry that a walk has read is; `entry` as in its trace. */
  layout(entry: number, built: BuiltUnit): EntryLayout;
  /** What a fault code means. */
  readonly faultNames: Readonly<Record<number, string>>;
  /** Second address of the fault record; undefined where it has none. */
  address2?(m: Miss, built: BuiltUnit): bigint | undefined;
}

/**
 * The simulator as a Responder: each vector gets a machine of its own around the timed unit, whose caches are emptied before every
 * access (unless `cfg cache 1` says otherwise).
 * Not modelled: second stages of translated requests (RISC-V T2GPA, SMMUv3 EATS 0b10).
 */
import { Stage } from '../../iommu/address-space.js';
import type { IommuSpec } from '../../iommu/spec.js';
import type { WalkStep } from '../../iommu/walk-trace.js';
import { AtsStatus } from '../../protocol/ats.js';
import { type Outcome, VectorBench, Workplaces, wordOf } from './bench.js';
import { Config, VectorConfigError } from './config.js';
import { MACHINES } from './machines/catalog.js';
import type { MachineKind } from './machines/machine.js';
import type { Answer, CompletionStatus, MemoryAccess, Responder, Vector, VectorAccess } from './vector.js';

type Completion = NonNullable<Outcome['completion']>;
type Refused = Extract<Answer, { ok: false }>;

/** By Access bits; execution is granted with reads only. */
const PERMISSIONS = [null, 'r', 'w', 'rw', null, 'rx', null, 'rwx'] as const;
const STATUSES: Readonly<Record<AtsStatus, CompletionStatus>> = {
  [AtsStatus.Success]: 'success',
  [AtsStatus.UnsupportedRequest]: 'ur',
  [AtsStatus.CompleterAbort]: 'ca',
};

/** A machine with the vector's memory and registers, ready for accesses. */
export class Simulation {
  readonly config: Config;
  readonly bench: VectorBench;
  readonly kind: MachineKind;
  private readonly keepsCaches: boolean;

  /**
   * `spec`: the unit, instead of the one that the `cfg` lines describe.
   * @throws VectorConfigError for `cfg` lines the architecture does not have and for units that cannot be built
   */
  constructor(vector: Vector, spec: IommuSpec | null = null, places: Workplaces = new Workplaces()) {
    this.kind = MACHINES[vector.architecture];
    this.config = new Config(vector.config, this.kind.title, this.kind.keys);
    this.keepsCaches = this.config.keepsCaches;
    this.bench = benchFor(spec ?? this.kind.spec(this.config), places);
    this.kind.configure?.(this.bench.built, this.config);
    this.bench.load(vector.words);
    this.bench.writeRegisters(vector.registers);
  }

  flush(): void {
    this.bench.built.unit.dropCaches();
  }

  access(access: VectorAccess): Answer {
    if (!this.keepsCaches) this.flush();
    const { bench } = this;
    const outcome = this.send(access);
    const accesses = bench.steps.map(memoryAccess);
    const { output: pa, walk, completion } = outcome;
    if (completion !== null) return this.completed(outcome, completion, accesses);
    if (outcome.aborted) return this.refused(outcome, accesses);
    if (walk === null || access.at === 'translated' || walk.space.stage === Stage.PassThrough)
      return { ok: true, pa, accesses };
    return { ok: true, pa, size: 1n << BigInt(walk.walk.sizeLg2), accesses };
  }

  private send(access: VectorAccess): Outcome {
    try {
      return this.bench.send(access);
    } catch (error) {
      if (error instanceof RangeError) throw new VectorConfigError(error.message);
      throw error;
    }
  }

  /** The answer of a translation request. */
  private completed(outcome: Outcome, completion: Completion, accesses: readonly MemoryAccess[]): Answer {
    const { status, sizeLg2 } = completion;
    const permissions = PERMISSIONS[completion.permissions]!;
    if (permissions === null) return { ...this.refused(outcome, accesses), status: STATUSES[status] };
    const { output: pa, walk } = outcome;
    if (walk === null || walk.space.stage === Stage.PassThrough) return { ok: true, pa, permissions, accesses };
    return { ok: true, pa, size: 1n << BigInt(sizeLg2), permissions, accesses };
  }

  private refused({ walk, recorded }: Outcome, accesses: readonly MemoryAccess[]): Refused {
    if (walk === null) throw new Error('a request was refused without a walk');
    const code = this.kind.code?.(walk, this.config) ?? walk.fault;
    const address2 = this.kind.address2?.(walk, this.bench.built);
    return {
      ok: false,
      code,
      accesses,
      ...(address2 !== undefined && { address2 }),
      ...(!recorded && { silent: true }),
    };
  }
}

function benchFor(spec: IommuSpec, places: Workplaces): VectorBench {
  try {
    return new VectorBench(spec, places.next(spec));
  } catch (error) {
    if (error instanceof RangeError) throw new VectorConfigError(error.message);
    throw error;
  }
}

function memoryAccess({ kind, hi, lo, bytes }: WalkStep): MemoryAccess {
  return { kind: kind === 'update' ? 'a' : 'r', bytes, address: wordOf(hi, lo) };
}

/** Machines one after the other in the same workplaces. */
export class Simulator implements Responder {
  private readonly places = new Workplaces();

  /** A machine for the vector; the one before is over. */
  simulation(vector: Vector): Simulation {
    return new Simulation(vector, null, this.places);
  }

  answer(vector: Vector): Answer[] {
    const simulation = this.simulation(vector);
    return vector.accesses.map((access) => simulation.access(access));
  }
}

export const SIMULATOR: Simulator = new Simulator();

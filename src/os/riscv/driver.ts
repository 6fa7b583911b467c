/**
 * The RISC-V IOMMU driver (drivers/iommu/riscv/iommu.c): device contexts, an address space id for each domain, and the invalidations of
 * the DMA API: commands to every unit of the domain first, then a fence on each in turn, without a lock over the whole.
 * Beyond Linux 7.2, which only has first-stage tables: second-stage and nested tables, PASIDs where the unit has process
 * directories, and ATS: device TLBs are invalidated after a fence, and waited for by another. Not modelled: MSI page tables, hardware updates of accessed and dirty bits (they are preset).
 */
import {
  Command,
  encodeAtsInvalidate,
  encodeInvalidateDevices,
  encodeInvalidateProcess,
} from '../../iommu/arch/riscv/format.js';
import type { Format } from '../../pagetable/format.js';
import { PageTable } from '../../pagetable/table.js';
import type { DomainState } from '../domain-state.js';
import { type Block, coveringBlock } from '../flush-range.js';
import type { PageResponder } from '../fault-device.js';
import type { Endpoint, FaultPath, IommuDriver } from '../iommu-driver.js';
import type { UnitSpec } from '../spec.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { EVERYTHING, encodePlan, newCommand, type Plan, planRange, type Scope } from './commands.js';
import { tableFormat } from './formats.js';
import { GUEST, RiscvUnit } from './unit.js';

/** PSCIDs are 20 bits, GSCIDs 16; 0 stands for identity. */
const FIRST_ID = 2;
/** log2 of all pages of 4 KiB. */
const WHOLE_SPACE = 52;

export class RiscvDriver implements IommuDriver {
  readonly syncsMaps = false;
  private readonly units: readonly (RiscvUnit | null)[];
  private readonly formats: readonly (Format | null)[];
  private readonly freeIds: number[] = [];
  private nextId = FIRST_ID;

  /** Sets up and enables every unit. */
  constructor(protected readonly environment: UnitDriverEnvironment) {
    this.units = environment.units.map((unit, id) =>
      unit === null ? null : new RiscvUnit(id, unit.spec, unit.frames, environment),
    );
    this.formats = environment.units.map((unit) =>
      unit === null ? null : tableFormat(unit.spec, unit.spec.stage === 'second'),
    );
  }

  createTable(unit: number): PageTable {
    const { spec, frames } = this.environment.units[unit]!;
    return new PageTable(this.formats[unit]!, this.environment.memory, frames, spec.levels);
  }

  apertureBits(unit: number): number {
    const { stage, levels } = this.environment.units[unit]!.spec;
    const bits = 12 + 9 * levels;
    // First-stage addresses are canonical, and software uses the lower half; second-stage roots have two index bits more.
    return stage === 'second' ? bits + 2 : bits - 1;
  }

  supportsPasid(unit: number): boolean {
    return hasProcesses(this.environment.units[unit]!.spec);
  }

  reserved(): readonly (readonly [number, number])[] {
    return [];
  }

  attach(domain: DomainState, device: Endpoint, pasid: number): void {
    const { spec, tables } = this.units[device.unit]!;
    const tag = domain.addTag(device.unit, -1, () => (domain.type === 'identity' ? 0 : this.allocateId(spec)));
    if (device.ats !== null) tables.enableAts(device.requester, device.ats.pageRequests);
    if (domain.table !== null) domain.addDeviceTag(device, pasid);
    const translation = { root: domain.table?.root ?? null, id: tag.id };
    if (hasProcesses(spec)) tables.setProcess(device.requester, Math.max(pasid, 0), translation);
    else tables.setDevice(device.requester, translation);
    const identity = domain.type === 'identity';
    this.environment.observer?.attached(domain.id, device.unit, device.requester, pasid, identity);
  }

  /**
   * riscv_iommu_iodir_update to a blocked domain: context, its cache, the translations, one fence; riscv_iommu_bond_unlink: once
   * more the translations and a fence when the unit has no device of the domain any more.
   */
  *detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void> {
    const { spec, tables, queue } = this.units[device.unit]!;
    const tag = domain.tags.find((other) => other.unit === device.unit);
    if (tag === undefined) throw new Error(`domain ${domain.id} is not attached to ${device.name}`);
    if (thread.debt !== 0) yield Wait.Run;
    const words = newCommand();
    const processId = Math.max(pasid, 0);
    if (hasProcesses(spec)) {
      tables.clearProcess(device.requester, processId);
      encodeInvalidateProcess(words, 0, device.requester, processId);
    } else {
      tables.clearDevice(device.requester);
      encodeInvalidateDevices(words, 0, device.requester);
    }
    yield* queue.send(thread, words);
    encodePlan(words, EVERYTHING, 0, scopeOf(domain, spec, tag.id));
    yield* queue.send(thread, words);
    yield* queue.sync(thread);
    if (device.ats !== null) {
      const ofDevice = newCommand();
      encodeAtsInvalidate(ofDevice, 0, device.requester, pasid, 0, 12 + WHOLE_SPACE);
      yield* queue.send(thread, ofDevice);
      yield* queue.sync(thread);
      domain.dropDeviceTag(device, pasid);
    }
    if (domain.dropTag(device.unit, -1)) {
      yield* queue.send(thread, words);
      yield* queue.sync(thread);
      if (domain.type !== 'identity') this.freeIds.push(tag.id);
    }
    this.environment.observer?.detached(domain.id, device.unit, device.requester, pasid);
  }

  *syncMap(): Call<void> {}

  flushRange(thread: Thread, domain: DomainState, iova: number, bytes: number, tablesFreed: boolean): Call<void> {
    return this.flushRanges(thread, domain, [iova], bytes, tablesFreed);
  }

  flushRanges(
    thread: Thread,
    domain: DomainState,
    iovas: readonly number[],
    bytes: number,
    tablesFreed: boolean,
  ): Call<void> {
    const plans = (spec: UnitSpec): Plan[] => iovas.map((iova) => planRange(spec, iova, bytes, tablesFreed));
    return this.flush(
      thread,
      domain,
      plans,
      iovas.map((iova) => coveringBlock(iova, bytes)),
    );
  }

  flushAll(thread: Thread, domain: DomainState): Call<void> {
    return this.flush(thread, domain, () => [EVERYTHING], [{ start: 0, mask: WHOLE_SPACE }]);
  }

  /** What a command without PSCID and GSCID removes: everything of its stage. */
  *flushGlobal(thread: Thread, domain: DomainState): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    const asked = scheduler.now();
    const words = newCommand();
    for (const id of new Set(domain.tags.map((tag) => tag.unit))) {
      const { spec, queue } = this.units[id]!;
      // Entries with a GSCID are out of reach of IOTINVAL.VMA without one.
      const command = spec.stage === 'first' ? Command.InvalidateFirst : Command.InvalidateSecond;
      encodePlan(words, EVERYTHING, 0, { command, pscid: -1, gscid: -1 });
      yield* queue.send(thread, words);
      yield* queue.sync(thread);
    }
    statistics.flushes++;
    statistics.latency.add(scheduler.now() - asked);
  }

  recoverPageRequests(unit: number, path: FaultPath): PageResponder {
    return this.units[unit]!.recoverPageRequests(path);
  }

  pagesRequested(unit: number): void {
    this.units[unit]!.pages!.line.raise();
  }

  stored(hi: number, lo: number): void {
    for (const unit of this.units) if (unit?.queue.stored(hi, lo) === true) return;
  }

  changed(unit: number, offset: number, _hi: number, lo: number): void {
    this.units[unit]?.queue.changed(offset, lo);
    this.units[unit]?.pages?.changed(offset, lo);
  }

  /** `blocks`: what device TLBs are to forget. */
  private *flush(
    thread: Thread,
    domain: DomainState,
    plansFor: (spec: UnitSpec) => readonly Plan[],
    blocks: readonly Block[],
  ): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    const asked = scheduler.now();
    const tags = [...domain.tags];
    const words = newCommand();
    for (const { unit: id, id: tag } of tags) {
      const { spec, queue } = this.units[id]!;
      const scope = scopeOf(domain, spec, tag);
      for (const plan of plansFor(spec)) {
        if (plan.start < 0) statistics.domains++;
        else statistics.pages++;
        for (let i = 0; i < plan.count; i++) {
          encodePlan(words, plan, i, scope);
          yield* queue.send(thread, words);
        }
      }
    }
    for (const { unit } of tags) yield* this.units[unit]!.queue.sync(thread);
    const { deviceTags } = domain;
    if (deviceTags.length > 0) {
      for (const { unit, requester, pasid } of deviceTags) {
        for (const { start, mask } of blocks) {
          encodeAtsInvalidate(words, 0, requester, pasid, start, 12 + mask);
          yield* this.units[unit]!.queue.send(thread, words);
        }
      }
      for (const { unit } of tags) yield* this.units[unit]!.queue.sync(thread);
    }
    statistics.flushes++;
    statistics.latency.add(scheduler.now() - asked);
  }

  /** Throws RangeError when there is none left. */
  private allocateId({ stage }: UnitSpec): number {
    const id = this.freeIds.pop() ?? this.nextId++;
    if (id >= (stage === 'second' ? 2 ** 16 : 2 ** 20)) throw new RangeError('no address space id is left');
    return id;
  }
}

/** Each device has a process directory: its second stage belongs to the device, so tables of the first stage are what PASIDs select. */
function hasProcesses({ stage, processLevels }: UnitSpec): boolean {
  return stage !== 'second' && processLevels > 0;
}

/** Identity domains have no address space id: what is removed for them is everything of their kind, as Linux does. */
function scopeOf({ type }: DomainState, { stage }: UnitSpec, id: number): Scope {
  const own = type === 'identity' ? -1 : id;
  if (stage === 'second') return { command: Command.InvalidateSecond, pscid: -1, gscid: own };
  return { command: Command.InvalidateFirst, pscid: own, gscid: stage === 'nested' ? GUEST : -1 };
}

/**
 * DMA mapping of PowerNV (arch/powerpc/kernel/iommu.c, arch/powerpc/platforms/powernv/pci-ioda.c): map and unmap both kill the TCEs of the
 * endpoint and wait, there is no lazy mode. I/O addresses come from the allocator that all drivers share here, not from POWER's
 * bitmap pools of 16-entry blocks.
 */
import { PageTable } from '../../pagetable/table.js';
import type { DomainState } from '../domain-state.js';
import type { Endpoint, IommuDriver } from '../iommu-driver.js';
import type { Call, Thread } from '../thread.js';
import { Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { PhbFirmware } from './phb.js';
import { endOfMemory, type Window, windowFor } from './windows.js';
import { log2 } from '../log2.js';

/** MMIO of 32-bit devices: addresses between 2 and 4 GiB stay on the bus. */
const MMIO32 = [[2 ** 31, 2 ** 32 - 1]] as const;

interface Attached {
  readonly phb: PhbFirmware;
  readonly requester: number;
  readonly pe: number;
}

export class TceDriver implements IommuDriver {
  readonly syncsMaps = true;
  readonly defersFlush = false;
  private readonly phbs: readonly (PhbFirmware | null)[];
  private readonly windows: readonly (Window | null)[];
  private readonly endpoints = new Map<DomainState, Attached[]>();

  constructor(private readonly environment: UnitDriverEnvironment) {
    const { units, ranges } = environment;
    this.phbs = units.map((unit, id) => (unit === null ? null : new PhbFirmware(id, unit.frames, environment)));
    this.windows = units.map((unit) => (unit === null ? null : windowFor(unit.spec, ranges)));
  }

  createTable(unit: number): PageTable {
    const { spec, frames } = this.environment.units[unit]!;
    const { format, bits } = this.windows[unit]!;
    return new PageTable(format, this.environment.memory, frames, spec.levels, 'covered', { inputLg2: bits });
  }

  apertureBits(unit: number): number {
    return this.windows[unit]!.bits;
  }

  supportsPasid(): boolean {
    return false;
  }

  reserved(): readonly (readonly [number, number])[] {
    return MMIO32;
  }

  attach(domain: DomainState, device: Endpoint, pasid: number): void {
    const phb = this.phbs[device.unit]!;
    const { spec } = this.environment.units[device.unit]!;
    const window = domain.space === null ? null : this.windows[device.unit]!;
    const root = domain.space?.table.root ?? 0;
    // As Linux does, the untranslated window covers memory rounded up to a power of two.
    const end = 2 ** log2(endOfMemory(this.environment.ranges));
    const pe = phb.addEndpoint(device.requester, window, root, spec.levels, end);
    const endpoints = this.endpoints.get(domain) ?? [];
    endpoints.push({ phb, requester: device.requester, pe });
    this.endpoints.set(domain, endpoints);
    this.environment.observer?.attached(domain.id, device.unit, device.requester, pasid, domain.type === 'identity');
  }

  *detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void> {
    const phb = this.phbs[device.unit]!;
    const endpoints = this.endpoints.get(domain) ?? [];
    const at = endpoints.findIndex((e) => e.phb === phb && e.requester === device.requester);
    const endpoint = endpoints[at];
    if (endpoint === undefined) throw new Error(`domain ${domain.id} is not attached to ${device.name}`);
    yield* phb.removeEndpoint(thread, device.requester, endpoint.pe);
    endpoints.splice(at, 1);
    this.environment.observer?.detached(domain.id, device.unit, device.requester, pasid);
  }

  /** pnv_ioda2_tce_build: the bridge may hold the entry as it was, read ahead with its line. */
  syncMap(thread: Thread, domain: DomainState): Call<void> {
    return this.kill(thread, domain);
  }

  flushRange(thread: Thread, domain: DomainState): Call<void> {
    return this.kill(thread, domain);
  }

  flushAll(thread: Thread, domain: DomainState): Call<void> {
    return this.kill(thread, domain);
  }

  stored(): void {}

  changed(unit: number, offset: number): void {
    this.phbs[unit]!.changed(offset);
  }

  private *kill(thread: Thread, domain: DomainState): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    const asked = scheduler.now();
    for (const { phb, pe } of this.endpoints.get(domain) ?? []) yield* phb.kill(thread, pe);
    statistics.flushes++;
    statistics.latency.add(scheduler.now() - asked);
  }
}

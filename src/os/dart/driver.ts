/**
 * The driver of Apple's DART (drivers/iommu/apple-dart.c, drivers/iommu/io-pgtable-dart.c): a page table for every domain, and a flush of all
 * its streams at every map and every unmap; no deferred flushes. One DART and one stream for each device.
 */
import { layoutOf, ttbrsLg2 } from '../../iommu/arch/dart/format.js';
import { compileFormat, type Format } from '../../pagetable/format.js';
import { dart } from '../../pagetable/formats/dart.js';
import { PageTable } from '../../pagetable/table.js';
import type { DomainState } from '../domain-state.js';
import type { Endpoint, IommuDriver } from '../iommu-driver.js';
import type { UnitSpec } from '../spec.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import { DartRegisters } from './dart.js';

/** Page that message-signalled interrupts are written to (DOORBELL_ADDR of pcie-apple.c). */
const DOORBELL = 0xffff_f000;

interface Streams {
  readonly dart: DartRegisters;
  readonly streams: { requester: number; stream: number }[];
}

export class DartDriver implements IommuDriver {
  readonly syncsMaps = true;
  readonly defersFlush = false;
  private readonly darts: readonly (DartRegisters | null)[];
  private readonly formats: readonly (Format | null)[];
  private readonly attached = new Map<DomainState, Streams[]>();

  constructor(private readonly environment: UnitDriverEnvironment) {
    const { units } = environment;
    this.darts = units.map((unit, id) =>
      unit === null ? null : new DartRegisters(id, layoutOf(unit.spec.levels, unit.spec.hostAddressWidth), environment),
    );
    this.formats = units.map((unit) => (unit === null ? null : formatOf(unit.spec)));
  }

  createTable(unit: number): PageTable {
    const { spec, frames } = this.environment.units[unit]!;
    return new PageTable(this.formats[unit]!, this.environment.memory, frames, spec.levels);
  }

  apertureBits(unit: number): number {
    const { levels, hostAddressWidth } = this.environment.units[unit]!.spec;
    return layoutOf(levels, hostAddressWidth).inputLg2;
  }

  supportsPasid(): boolean {
    return false;
  }

  reserved(unit: number): readonly (readonly [number, number])[] {
    const { granule } = this.environment.units[unit]!.spec;
    const first = DOORBELL - (DOORBELL % granule);
    return [[first, first + granule - 1]];
  }

  attach(domain: DomainState, device: Endpoint, pasid: number): void {
    const registers = this.darts[device.unit]!;
    const stream = registers.addStream(device.requester, this.tablesOf(domain, device.unit));
    const list = this.attached.get(domain) ?? [];
    this.attached.set(domain, list);
    let own = list.find((entry) => entry.dart === registers);
    if (own === undefined) {
      own = { dart: registers, streams: [] };
      list.push(own);
    }
    own.streams.push({ requester: device.requester, stream });
    this.environment.observer?.attached(domain.id, device.unit, device.requester, pasid, domain.type === 'identity');
  }

  *detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void> {
    const registers = this.darts[device.unit]!;
    const streams = this.attached.get(domain)?.find((entry) => entry.dart === registers)?.streams ?? [];
    const at = streams.findIndex(({ requester }) => requester === device.requester);
    const entry = streams[at];
    if (entry === undefined) throw new Error(`domain ${domain.id} is not attached to ${device.name}`);
    yield* registers.removeStream(thread, entry.stream);
    streams.splice(at, 1);
    this.environment.observer?.detached(domain.id, device.unit, device.requester, pasid);
  }

  syncMap(thread: Thread, domain: DomainState): Call<void> {
    return this.flush(thread, domain);
  }

  flushRange(thread: Thread, domain: DomainState): Call<void> {
    return this.flush(thread, domain);
  }

  flushAll(thread: Thread, domain: DomainState): Call<void> {
    return this.flush(thread, domain);
  }

  stored(): void {}

  changed(unit: number): void {
    this.darts[unit]!.changed();
  }

  private *flush(thread: Thread, domain: DomainState): Call<void> {
    const { scheduler, statistics } = this.environment;
    if (thread.debt !== 0) yield Wait.Run;
    const asked = scheduler.now();
    for (const entry of this.attached.get(domain) ?? []) {
      const streams = entry.streams.map(({ stream }) => stream);
      if (streams.length > 0) yield* entry.dart.flush(thread, streams);
    }
    statistics.flushes++;
    statistics.latency.add(scheduler.now() - asked);
  }

  /** Tables of the TTBRs: parts of the root, which holds them side by side. */
  private tablesOf(domain: DomainState, unit: number): number[] | null {
    const table = domain.space?.table;
    if (table === undefined) return null;
    const { tableBytes } = this.formats[unit]!;
    const count = Math.max(1, table.rootBytes / tableBytes);
    return Array.from({ length: count }, (_, i) => table.root + i * tableBytes);
  }
}

/** The format of whole tables: a root is as large as any other table, whatever part of it the unit's addresses reach. */
function formatOf({ levels, hostAddressWidth, granule }: UnitSpec): Format {
  const layout = layoutOf(levels, hostAddressWidth);
  const granuleLg2 = granule === 4096 ? 12 : 14;
  return compileFormat(
    dart({
      type: layout.entries,
      granuleLg2,
      inputLimitLg2: granuleLg2 + levels * (granuleLg2 - 3),
      ttbrsLg2: ttbrsLg2(layout, levels, granuleLg2),
    }),
  );
}

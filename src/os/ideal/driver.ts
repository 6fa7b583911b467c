/** Driver of an ideal IOMMU: tables like those of any other, and nothing to invalidate. */
import { Entry, LEVELS, Register } from '../../iommu/arch/ideal/format.js';
import { compileFormat } from '../../pagetable/format.js';
import { vtdSecondStage } from '../../pagetable/formats/vtdss.js';
import { PageTable } from '../../pagetable/table.js';
import type { DomainState } from '../domain-state.js';
import type { Endpoint, IommuDriver } from '../iommu-driver.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';

export class IdealDriver implements IommuDriver {
  readonly syncsMaps = false;

  constructor(private readonly environment: UnitDriverEnvironment) {}

  createTable(unit: number): PageTable {
    const { spec, frames } = this.environment.units[unit]!;
    const options = { hostAddressWidth: spec.hostAddressWidth, guestAddressWidth: 48, largestPageLg2: 30 };
    const format = compileFormat(
      vtdSecondStage({ ...options, scalable: false, snoopControl: true, accessedDirty: false }),
    );
    return new PageTable(format, this.environment.memory, frames, LEVELS);
  }

  apertureBits(): number {
    return 48;
  }

  supportsPasid(): boolean {
    return true;
  }

  reserved(): readonly (readonly [number, number])[] {
    return [];
  }

  attach(domain: DomainState, device: Endpoint, pasid: number): void {
    const root = domain.space?.table.root ?? 0;
    this.program(device, pasid, root, domain.space === null ? Entry.PassThrough : Entry.Valid);
    this.environment.observer?.attached(domain.id, device.unit, device.requester, pasid, domain.type === 'identity');
  }

  *detach(thread: Thread, domain: DomainState, device: Endpoint, pasid: number): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
    this.program(device, pasid, 0, 0);
    this.environment.observer?.detached(domain.id, device.unit, device.requester, pasid);
  }

  *syncMap(): Call<void> {}

  *flushRange(thread: Thread): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
  }

  *flushAll(thread: Thread): Call<void> {
    if (thread.debt !== 0) yield Wait.Run;
  }

  stored(): void {}

  private program(device: Endpoint, pasid: number, root: number, bits: number): void {
    const { registers } = this.environment;
    registers.write(device.unit, Register.Select, pasid + 1, device.requester, 0);
    registers.write(device.unit, Register.Table, Math.floor(root / 2 ** 32), (root % 2 ** 32) | bits, 0);
  }
}

/** The driver of each IOMMU architecture. */
import { AmdviDriver } from './amdvi/driver.js';
import { DartDriver } from './dart/driver.js';
import { IdealDriver } from './ideal/driver.js';
import type { IommuDriver } from './iommu-driver.js';
import { RiscvDriver } from './riscv/driver.js';
import type { UnitSpec } from './spec.js';
import type { UnitDriverEnvironment } from './unit-environment.js';
import { Smmuv3Driver } from './smmuv3/driver.js';
import { TceDriver } from './tce/driver.js';
import { VirtioDriver } from './virtio/driver.js';
import { VtdDriver } from './vtd/driver.js';

export type DriverName = Exclude<UnitSpec['architecture'], 'none'>;

const DRIVERS: Readonly<Partial<Record<DriverName, new (environment: UnitDriverEnvironment) => IommuDriver>>> = {
  vtd: VtdDriver,
  riscv: RiscvDriver,
  smmuv3: Smmuv3Driver,
  amdvi: AmdviDriver,
  virtio: VirtioDriver,
  tce: TceDriver,
  dart: DartDriver,
  ideal: IdealDriver,
};

export function makeDriver(architecture: DriverName, environment: UnitDriverEnvironment): IommuDriver {
  const Driver = DRIVERS[architecture];
  if (Driver === undefined) throw new RangeError(`no driver for ${architecture}`);
  return new Driver(environment);
}

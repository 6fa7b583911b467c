/** RISC-V units in whole machines, audited: streams and map benchmarks in strict and lazy mode over every kind of table. */
import { describe, expect, it } from 'vitest';
import { ForgetfulRiscvDriver } from '../os/testing/broken-driver.js';
import { Machine, type MachineOptions } from '../system/machine.js';
import { pointOf, run, total, TWO_UNITS, value } from './testing/point.js';

const UNITS = ['iommu0', 'iommu1'];
/** Buffers touched again after their unmap. */
const LATE = [
  'workload.rx.lateAccess=100%',
  'workload.rx.lateAfter=2500ns',
  'workload.rx.depth=1',
  'warmup.operations=0',
];

/** Settings of both units; `stage` nested over Sv39x4. */
function units(preset: string, stage = 'first'): string[] {
  const secondLevels = stage === 'nested' ? 3 : 0;
  return UNITS.flatMap((name) => [
    `machine.iommus.${name}.preset=${preset}`,
    `machine.iommus.${name}.stage=${stage}`,
    `machine.iommus.${name}.secondLevels=${secondLevels}`,
  ]);
}

const MACHINES: readonly (readonly [preset: string, stage: string])[] = [
  ['riscv-zero-day', 'first'],
  ['riscv-zero-day', 'second'],
  ['riscv-zero-day', 'nested'],
  ['riscv-server', 'first'],
  ['riscv-server', 'second'],
  ['riscv-server', 'nested'],
];

describe.each(MACHINES)('%s, %s stage', (preset, stage) => {
  it.each(['strict', 'lazy', 'passthrough'])('%s mode: the audit finds nothing', (mode) => {
    const result = run(pointOf(TWO_UNITS, [...units(preset, stage), `os.dma.mode=${mode}`]), true);
    expect(result.audit!.violations).toEqual([]);
    expect(result.windows.stoppedBy).toBe('operations');
    expect(total(result, 'dma.aborted')).toBe(0);
    expect(total(result, 'iommu.faults')).toBe(0);
    if (mode !== 'passthrough') expect(total(result, 'iommu.walks')).toBeGreaterThan(50);
  });
});

describe.each([
  ['riscv-zero-day', 'first'],
  ['riscv-server', 'first'],
  ['riscv-server', 'second'],
  ['riscv-server', 'nested'],
])('%s, %s stage', (preset, stage) => {
  it('strict: late accesses end in faults, never in memory', () => {
    const result = run(pointOf(TWO_UNITS, [...units(preset, stage), ...LATE]), true);
    expect(result.audit!.violations).toEqual([]);
    expect(value(result, 'nic', 'dma.aborted')).toBeGreaterThan(50);
    expect(value(result, 'audit', 'audit.stale_accesses')).toBe(0);
  });

  it('catches a driver that forgets to invalidate', () => {
    const spec = pointOf(TWO_UNITS, [...units(preset, stage), ...LATE, 'workload.rx.lateAfter=1us']);
    const options = { everyEvent: false, audit: true };
    const violations = (machine: Machine): number => {
      machine.start();
      machine.meter.start(3000);
      while (machine.meter.open) machine.dispatcher.batch(1000);
      return machine.audit!.violationCount;
    };
    const makeDriver: MachineOptions['makeDriver'] = (_, e) => new ForgetfulRiscvDriver(e);
    expect(violations(new Machine(spec, { ...options, makeDriver }))).toBeGreaterThan(0);
  });
});

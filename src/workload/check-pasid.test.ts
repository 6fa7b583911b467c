/** PASIDs of jobs: which units translate by them, how wide they are, and what is said where they cannot be. */
import { describe, expect, it } from 'vitest';
import { InputError } from './errors.js';
import { resolveWorkload } from './resolve.js';

const TEXT = `name: pasid
question: Does the unit take it?
machine:
  preset: skx-8160
os: { preset: linux-7.2 }
devices:
  nic: { preset: nic-100g, port: port0, requester: "3:00.0" }
workload:
  job: { kind: dma, device: nic, size: 64B, window: 64KiB, outstanding: 1, memory: s0 }
seeds: 1
stop: { operations: 10 }
`;

/** What is wrong with a job of that PASID; null if nothing is. */
function problem(preset: string, pasid: number, settings: readonly string[] = []): string | null {
  const unit = [`preset=${preset}`, ...settings.filter((s) => !s.startsWith('os.'))];
  const sets = [
    ...unit.map((s) => `machine.iommus.iommu0.${s}`),
    ...settings.filter((s) => s.startsWith('os.')),
    `workload.job.pasid=${pasid}`,
  ];
  try {
    resolveWorkload(TEXT, 'w.yaml', sets, null);
    return null;
  } catch (error) {
    if (error instanceof InputError) return error.message.replace(/^.* error /, '');
    throw error;
  }
}

const GUEST = ['stage=first', 'levels=4'];

describe('PASIDs of jobs', () => {
  it.each<[string, readonly string[], number]>([
    ['vtd-spr', [], 20],
    ['vtd-spr', ['stage=second'], 20],
    ['amdvi-genoa', [...GUEST, 'processLevels=1'], 9],
    ['amdvi-genoa', [...GUEST, 'processLevels=2'], 18],
    ['amdvi-genoa', [...GUEST, 'processLevels=3'], 20],
    ['mmu-700', ['processLevels=1'], 10],
    ['mmu-700', ['processLevels=2'], 20],
    ['riscv-server', ['processLevels=1'], 8],
    ['riscv-server', ['processLevels=2'], 17],
    ['riscv-server', ['processLevels=3'], 20],
  ])('%s %o takes %d bits', (preset, settings, bits) => {
    expect(problem(preset, 2 ** bits - 1, settings)).toBeNull();
    if (bits === 20) return;
    expect(problem(preset, 2 ** bits, settings)).toBe(
      `E305: workload.job.pasid: "iommu0" takes PASIDs up to ${2 ** bits - 1}, not ${2 ** bits}`,
    );
  });

  it.each<[string, readonly string[], string]>([
    ['vtd-skx', [], 'a PASID needs an IOMMU in scalable mode: "iommu0" is in legacy mode'],
    [
      'mmu-700',
      ['stage=second', 'levels=3'],
      '"iommu0" does not translate by PASID: second-stage tables alone have none',
    ],
    ['amdvi-genoa', ['processLevels=2'], '"iommu0" does not translate by PASID: second-stage tables alone have none'],
    ['riscv-server', ['processLevels=0'], '"iommu0" does not translate by PASID'],
    ['power9-phb4', [], '"iommu0" does not translate by PASID'],
    ['none', [], '"iommu0" does not translate by PASID'],
    ['mmu-700', ['os.dma.mode=passthrough'], '"iommu0" has no pass-through for requests with PASID'],
    ['amdvi-genoa', [...GUEST, 'os.dma.mode=passthrough'], '"iommu0" has no pass-through for requests with PASID'],
  ])('%s %o does not', (preset, settings, message) => {
    expect(problem(preset, 5, settings)).toBe(`E305: workload.job.pasid: ${message}`);
  });

  it('pass-through exists in VT-d and RISC-V', () => {
    expect(problem('vtd-spr', 5, ['os.dma.mode=passthrough'])).toBeNull();
    expect(problem('riscv-server', 5, ['processLevels=2', 'os.dma.mode=passthrough'])).toBeNull();
  });

  it('0 is what requests without PASID have', () => {
    expect(problem('vtd-spr', 0)).toBe('E204: workload.job.pasid: expected a whole number from 1 to 1048575, got 0');
  });
});

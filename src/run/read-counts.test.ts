/**
 * Memory reads of cold translations in whole machines: without any cache, a DMA over 4 KiB pages of both stages costs what the
 * specifications' walks add up to, with every directory in memory.
 */
import { describe, expect, it } from 'vitest';
import { pointOf, run, value } from './testing/point.js';

const STRUCTURES = [
  'contextCache',
  'pasidCache',
  'iotlb',
  'pagingStructureCache.level2',
  'pagingStructureCache.level3',
  'pagingStructureCache.level4',
  'pagingStructureCache.level5',
  'secondStageTlb',
];

const ONE_DEVICE = `
name: reads
question: What does a cold translation read?
machine:
  preset: skx-8160
  sockets: { s0: { dram: { size: 1GiB } } }
os:
  preset: linux-7.2
devices:
  nic: { preset: nic-100g, port: port0, requester: "3:00.0" }
workload:
  job: { kind: dma, device: nic, size: 64B, window: 64KiB, outstanding: 1, memory: s0 }
seeds: 1
warmup: { operations: 20 }
stop: { operations: 40 }
`;

interface Case {
  readonly preset: string;
  readonly stage: 'first' | 'second' | 'nested';
  readonly levels: number;
  readonly second?: number;
  readonly process?: number;
  readonly pasid?: true;
  readonly reads: number;
}

const CASES: readonly Case[] = [
  { preset: 'vtd-skx', stage: 'second', levels: 4, reads: 6 },
  { preset: 'vtd-spr', stage: 'first', levels: 4, reads: 8 },
  { preset: 'vtd-spr', stage: 'second', levels: 5, reads: 9 },
  { preset: 'vtd-spr', stage: 'nested', levels: 4, second: 4, reads: 28 },
  { preset: 'vtd-spr', stage: 'nested', levels: 4, second: 4, pasid: true, reads: 28 },
  { preset: 'amdvi-rome', stage: 'second', levels: 6, reads: 7 },
  { preset: 'amdvi-genoa', stage: 'first', levels: 4, process: 2, pasid: true, reads: 7 },
  // The GCR3 root is guest-physical: 1 + 2 x (4 + 1) + 4 x (4 + 1) + 4.
  { preset: 'amdvi-genoa', stage: 'nested', levels: 4, second: 4, process: 2, reads: 35 },
  { preset: 'mmu-700', stage: 'first', levels: 4, pasid: true, reads: 8 },
  { preset: 'mmu-700', stage: 'second', levels: 3, reads: 5 },
  { preset: 'mmu-700', stage: 'nested', levels: 4, second: 4, reads: 36 },
  { preset: 'mmu-700', stage: 'nested', levels: 4, second: 3, reads: 29 },
  { preset: 'riscv-server', stage: 'first', levels: 3, process: 0, reads: 6 },
  { preset: 'riscv-server', stage: 'nested', levels: 3, second: 3, process: 0, reads: 18 },
  { preset: 'riscv-server', stage: 'nested', levels: 5, second: 5, process: 0, reads: 38 },
  { preset: 'riscv-server', stage: 'nested', levels: 3, second: 5, process: 3, pasid: true, reads: 44 },
];

function settings({ preset, stage, levels, second = 0, process, pasid }: Case): string[] {
  const keys = [
    `preset=${preset}`,
    `stage=${stage}`,
    `levels=${levels}`,
    `secondLevels=${second}`,
    'largestPage=4KiB',
    ...(process === undefined ? [] : [`processLevels=${process}`]),
    ...STRUCTURES.map((structure) => `${structure}.enabled=false`),
  ];
  const unit = keys.map((key) => `machine.iommus.iommu0.${key}`);
  return pasid === true ? [...unit, 'workload.job.pasid=5'] : unit;
}

describe('reads of a cold translation', () => {
  it.each(CASES)('$preset, $stage stage, $levels over $second levels: $reads', (setup) => {
    const result = run(pointOf(ONE_DEVICE, settings(setup)), true);
    expect(result.audit!.violations).toEqual([]);
    const walks = value(result, 'iommu0', 'iommu.walks');
    expect(walks).toBe(40);
    const table = value(result, 'iommu0', 'iommu.reads_per_walk');
    const directory = value(result, 'iommu0', 'iommu.directory_reads') / walks;
    expect(table + directory).toBe(setup.reads);
  });
});

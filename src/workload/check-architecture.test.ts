import { describe, expect, it } from 'vitest';
import { resolveWorkload } from './resolve.js';
import { InputError } from './errors.js';

const TEXT = `name: w
question: Is it possible?
machine: { preset: skx-8160, sockets: { s0: { dram: { size: 16GiB } } } }
os: { preset: linux-7.2 }
devices:
  nic: { preset: nic-100g, port: port0, requester: "3:00.0" }
workload:
  job: { kind: dma, device: nic, size: 64B, window: 1MiB, outstanding: 1, memory: s0 }
seeds: 1
stop: { operations: 1 }
`;

/** Messages of the first lines, without file and position. */
function problems(preset: string, sets: readonly string[], text = TEXT): string[] {
  const unit = 'machine.iommus.iommu0';
  const all = [`${unit}.preset=${preset}`, ...sets.map((set) => (set.startsWith('.') ? `${unit}${set}` : set))];
  try {
    resolveWorkload(text, 'w.yaml', all);
    return [];
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.message.split('\n').map((line) => line.replace(/^.*error (E\d+): [^:]*: /, '$1 '));
  }
}

describe.each([
  [
    'power9-phb4',
    [
      ['.levels=1'],
      ['.levels=5', '.granule=4KiB', '.largestPage=4KiB'],
      ['.levels=3', '.granule=1GiB', '.largestPage=1GiB'],
    ],
  ],
  [
    'apple-m1-dart',
    [['.granule=4KiB', '.largestPage=4KiB'], ['.hostAddressWidth=42'], ['.hostAddressWidth=42', '.levels=3']],
  ],
  ['virtio-kvm', [['.levels=3'], ['.levels=5'], ['.invalidation.sizeLg2=15'], ['.largestPage=4KiB']]],
])('%s', (preset, possible) => {
  it.each([[[]], ...possible.map((sets) => [sets])])('can be %j', (sets) => {
    expect(problems(preset, sets)).toEqual([]);
  });
});

it.each([
  ['power9-phb4', ['.levels=6'], 'E305 table levels (second stage) of POWER TCE tables: 1 to 5, not 6'],
  ['power9-phb4', ['.levels=5'], 'E305 5 levels of TCE tables with pages of 64KiB exceed 59 address bits'],
  [
    'power9-phb4',
    ['.granule=16KiB', '.largestPage=16KiB'],
    'E305 POWER TCE tables has pages of 4KiB, 64KiB, 2MiB, 1GiB',
  ],
  ['power9-phb4', ['.largestPage=2MiB'], 'E305 pages have one size: largestPage must be the granule, 64KiB'],
  ['power9-phb4', ['.stage=first'], 'E305 POWER TCE tables has no first stage'],
  ['power9-phb4', ['.deviceLevels=0'], 'E305 device directory levels of POWER TCE tables: 1, not 0'],
  ['power9-phb4', ['.invalidation.sizeLg2=8'], 'E301 8 is outside 0 to 0, the queue sizes of POWER TCE tables'],
  ['power9-phb4', ['.faults.records=8'], 'E301 fault records of POWER TCE tables: 1, not 8'],
  ['power9-phb4', ['workload.job.pasid=1'], 'E305 "iommu0" does not translate by PASID'],
  ['apple-m1-dart', ['.levels=4'], 'E305 table levels (second stage) of Apple DART: 2 to 3, not 4'],
  ['apple-m1-dart', ['.levels=3'], 'E305 DART tables of three levels come with 42 address bits'],
  ['apple-m1-dart', ['.hostAddressWidth=40'], 'E305 Apple DART has 36 or 42 bits, not 40'],
  [
    'apple-m1-dart',
    ['.hostAddressWidth=42', '.granule=4KiB', '.largestPage=4KiB'],
    'E305 DARTs of 42 address bits have pages of 16KiB',
  ],
  ['apple-m1-dart', ['.granule=64KiB', '.largestPage=64KiB'], 'E305 Apple DART has pages of 4KiB, 16KiB'],
  [
    'apple-m1-dart',
    ['machine.sockets.s0.dram.size=62GiB'],
    'E306 36 bits do not reach the 62GiB of memory of this machine, which begin at 4GiB',
  ],
  ['virtio-kvm', ['.levels=6'], 'E305 table levels (second stage) of virtio-iommu: 3 to 5, not 6'],
  ['virtio-kvm', ['.granule=16KiB', '.largestPage=2MiB'], 'E305 virtio-iommu has pages of 4KiB'],
  ['virtio-kvm', ['.invalidation.sizeLg2=16'], 'E301 16 is outside 4 to 15, the queue sizes of virtio-iommu'],
  ['virtio-kvm', ['.stage=nested'], 'E305 virtio-iommu has no nested stage'],
  ['virtio-kvm', ['.mode=scalable'], 'E305 virtio-iommu has native mode, not scalable'],
])('%s cannot be %j', (preset, sets, message) => {
  expect(problems(preset, sets)[0]).toBe(message);
});

it('a DART tells sixteen devices apart', () => {
  const device = (i: number): string =>
    `  d${i}: { preset: nic-100g, port: port0, requester: "4:${i.toString(16).padStart(2, '0')}.0" }\n`;
  const devices = (count: number): string =>
    TEXT.replace('workload:\n', `${Array.from({ length: count }, (_, i) => device(i)).join('')}workload:\n`);
  expect(problems('apple-m1-dart', [], devices(15))).toEqual([]);
  expect(problems('apple-m1-dart', [], devices(16))[0]).toBe('E305 17 devices behind "iommu0", which tells 16 apart');
  expect(problems('power9-phb4', [], devices(16))).toEqual([]);
});

it('a stage that an architecture lacks is one problem', () => {
  expect(problems('apple-m1-dart', ['.stage=nested'])).toEqual(['E305 Apple DART has no nested stage']);
  expect(problems('ideal', ['.stage=first'])).toEqual(['E305 an ideal IOMMU has no first stage']);
});

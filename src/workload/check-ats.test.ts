/** What a device's ATS needs, and what it says about bad input. */
import { describe, expect, it } from 'vitest';
import { InputError } from './errors.js';
import { resolveWorkload } from './resolve.js';

const TEXT = `name: t
question: q
machine: { preset: spr-8480 }
os: { preset: linux-7.2 }
devices:
  nic: { preset: nic-100g, port: port0, requester: "3:00.0", ats: { enabled: true } }
workload:
  dma: { kind: dma, device: nic, size: 64B, window: 4KiB, outstanding: 1, memory: s0 }
seeds: 1
stop: { operations: 10 }
`;

function problems(...sets: string[]): string[] {
  try {
    resolveWorkload(TEXT, 't.yaml', sets);
    return [];
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.problems.map(({ code, message }) => `${code} ${message}`);
  }
}

const ATS = 'devices.nic.ats';
const UNIT = 'machine.iommus.iommu0';

describe('ATS of a device', () => {
  it.each(['vtd-icx', 'mmu-700', 'amdvi-milan', 'riscv-server'])('works behind %s', (preset) => {
    expect(problems(`${UNIT}.preset=${preset}`)).toEqual([]);
  });

  it.each([
    ['virtio-kvm', 'virtio'],
    ['ideal', 'ideal'],
    ['apple-m1-dart', 'dart'],
  ])('not behind %s', (preset, architecture) => {
    expect(problems(`${UNIT}.preset=${preset}`)).toContain(`E305 an IOMMU of architecture ${architecture} has no ATS`);
  });

  const BAD: [string[], string][] = [
    [['machine.ports.port0.iommu=null'], 'E305 there is no IOMMU in front of the device that could translate for it'],
    [[`${ATS}.entries=48`, `${ATS}.ways=4`], 'E301 48 entries in 4 ways make 12 sets, which is not a power of two'],
    [[`${ATS}.stu=64KiB`], 'E305 64KiB is more than the smallest page of the IOMMU, 4KiB'],
    [
      [`${ATS}.stu=2MiB`, `${ATS}.largestPage=4KiB`, `${UNIT}.preset=mmu-700`],
      'E305 2MiB is more than an entry of the device TLB covers, 4KiB',
    ],
    [[`${ATS}.enabled=false`, `${ATS}.pri.enabled=true`], 'E305 page requests need ATS, which is off'],
    [[`${ATS}.pri.enabled=true`, `${UNIT}.faults.pageRequests=0`], 'E305 "iommu0" has no page request queue'],
    [[`${ATS}.outstanding=0`], 'E204 expected a whole number from 1 to 1024, got 0'],
    [[`${ATS}.queueDepth=33`], 'E204 expected a whole number from 1 to 32, got 33'],
    [[`${ATS}.stu=5KiB`], 'E302 5KiB is not a power of two'],
    [[`${ATS}.latency=5`], 'E201 expected a time such as 150ns or 1.5us, got 5 without a unit'],
    [
      ['os.guest.mode=caching', `${UNIT}.preset=vtd-icx`],
      'E305 device TLBs of devices that a guest has are not modelled',
    ],
  ];
  it.each(BAD)('%j', (sets, problem) => {
    expect(problems(...sets)).toContain(problem);
  });
});

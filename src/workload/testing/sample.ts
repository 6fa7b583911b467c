/** A small complete workload for tests; line numbers in tests count from its first line. */
export const SAMPLE = `name: sample
question: Does it resolve?
machine:
  preset: skx-8160
  iommus:
    iommu0:
      walkers:
        count: 8
os:
  preset: linux-7.2
devices:
  nic:
    preset: nic-100g
    port: port0
    requester: "3:00.0"
workload:
  rx:
    kind: stream
    device: nic
    threads: 2
    depth: 32
    size: 4KiB
    direction: from-device
    socket: s0
  reads:
    kind: dma
    device: nic
    size: 64B
    window: 1MiB
    outstanding: 16
    memory: s0
seeds: 2
stop:
  operations: 1000
`;

/** The sample with one text replaced. @throws Error if the text is not there exactly once. */
export function sampleWith(from: string, to: string): string {
  if (SAMPLE.split(from).length !== 2) {
    throw new Error(`"${from}" is not in the sample once`);
  }
  return SAMPLE.replace(from, to);
}

/** Adds a sweep to the sample, beginning on line 35. */
export function sampleWithSweep(sweep: string): string {
  return `${SAMPLE}sweep:\n${sweep}`;
}

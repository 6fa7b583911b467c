/** Jobs that invalidate what a DMA job uses: what is removed, what of it nobody asked for, and what it costs both. */
import { describe, expect, it } from 'vitest';
import { resolveWorkload } from '../workload/resolve.js';
import { runPoint } from './point.js';

const ONE = 'victim: {kind: dma, device: nic, reads: 100%, size: 512B, window: 256KiB, outstanding: 32, memory: s0}';
/** One job with a PASID and one without. */
const PASIDS = `victim: {kind: dma, device: nic, pasid: 5, reads: 100%, size: 512B, window: 256KiB, outstanding: 16, memory: s0}
  other: {kind: dma, device: nic, reads: 100%, size: 512B, window: 256KiB, outstanding: 16, memory: s0}`;

const text = (job: string, iommu = 'vtd-skx', settings = '', victims = ONE): string => `
name: test
question: What does an invalidation cost?
machine: {preset: skx-8160, sockets: {s0: {dram: {size: 32GiB}}}, iommus: {iommu0: {preset: ${iommu}}}}
os: {preset: linux-7.2, superpages: false${settings}}
devices: {nic: {preset: nic-100g, port: port0, requester: "3:00.0"}}
workload:
  ${victims}
  cpu: {kind: invalidate, device: nic, threads: 1, socket: s0, ${job}}
seeds: 1
warmup: {time: 20us}
stop: {time: 150us}
`;

function run(
  job: string,
  iommu?: string,
  settings?: string,
  victims?: string,
): (metric: string, component?: string) => number {
  const plan = resolveWorkload(text(job, iommu, settings, victims), 'w.yaml', [], null);
  const { metrics, histograms } = runPoint(plan.points[0]!.spec, { everyEvent: false, audit: true });
  return (metric, component) => {
    const same = (m: { component: string; metric: string }): boolean =>
      m.metric === metric && (component === undefined || m.component === component);
    const gauge = metrics.find(same);
    if (gauge !== undefined) return gauge.value;
    const { sum, count } = histograms.find(same)!;
    return sum / count;
  };
}

const KINDS = ['page', 'cover', 'range', 'pasid', 'domain', 'global'];

describe('an invalidate job', () => {
  it.each([
    ['vtd-skx', 'interval: 2us', 'page'],
    ['amdvi-genoa', 'interval: 2us', 'page'],
    ['mmu-700', 'interval: 2us', 'page'],
    ['riscv-server', 'interval: 2us', 'page'],
    ['power9-phb4', 'interval: 2us, granularity: domain', 'domain'],
    ['vtd-skx', 'interval: 2us, size: 16KiB', 'cover'],
    ['amdvi-genoa', 'interval: 2us, size: 16KiB', 'cover'],
    ['mmu-700', 'interval: 2us, size: 16KiB', 'range'],
    ['riscv-server', 'interval: 2us, size: 16KiB', 'cover'],
    ['vtd-skx', 'interval: 2us, granularity: domain', 'domain'],
    ['amdvi-genoa', 'interval: 2us, granularity: domain', 'domain'],
    ['mmu-700', 'interval: 2us, granularity: domain', 'pasid'],
    ['riscv-server', 'interval: 2us, granularity: domain', 'pasid'],
    ['apple-m1-dart', 'interval: 2us, granularity: domain', 'domain'],
    ['vtd-skx', 'interval: 2us, granularity: global', 'global'],
    ['amdvi-genoa', 'interval: 2us, granularity: global', 'global'],
    ['mmu-700', 'interval: 2us, granularity: global', 'global'],
    ['riscv-server', 'interval: 2us, granularity: global', 'global'],
    ['vtd-skx', 'interval: 8us, batch: 8', 'page'],
    ['amdvi-genoa', 'interval: 8us, batch: 8', 'page'],
    ['mmu-700', 'interval: 8us, batch: 8', 'page'],
    ['riscv-server', 'interval: 8us, batch: 8', 'page'],
  ])('%s, %s: commands of kind %s, and every entry removed is accounted for', (iommu, job, kind) => {
    const value = run(job, iommu);
    for (const other of KINDS) {
      const commands = value(`iommu.invalidation.${other}.commands`, 'iommu0');
      if (other === kind) expect(commands).toBeGreaterThan(5);
      else expect([other, commands]).toEqual([other, 0]);
    }
    const commands = value(`iommu.invalidation.${kind}.commands`);
    const removed = commands * value(`iommu.invalidation.${kind}.iotlb`);
    // The command at the end of the window may not be complete.
    expect(Math.abs(removed - value('iommu.iotlb.invalidated'))).toBeLessThanOrEqual(64);
    expect(removed).toBeGreaterThan(0);
    expect(value(`iommu.invalidation.${kind}.outside`)).toBe(0);
    expect(value('run.operations_per_second')).toBeGreaterThan(0);
    const steps = ['lock', 'lock_wait', 'descriptor', 'doorbell', 'completion'];
    const parts = steps.reduce((sum, step) => sum + value(`invalidate.time.${step}`), 0);
    expect(parts).toBeLessThanOrEqual(value('invalidate.latency') / 1000 + 1);
    expect(value(`iommu.invalidation.${kind}.service`)).toBeLessThan(value('invalidate.latency'));
  });

  it('of two pages anywhere takes up to the whole window along where only powers of two can be named', () => {
    const job = 'interval: 2us, size: 8KiB, align: page';
    const cover = run(job);
    const range = run(job, 'mmu-700');
    expect(cover('iommu.invalidation.cover.outside')).toBeGreaterThan(1);
    expect(cover('iommu.invalidation.cover.iotlb')).toBeGreaterThan(3);
    expect(range('iommu.invalidation.range.outside')).toBe(0);
    expect(range('iommu.invalidation.range.iotlb')).toBeLessThanOrEqual(2);
  });

  it('of one page takes a whole endpoint along where the driver names nothing smaller', () => {
    const value = run('interval: 2us', 'power9-phb4');
    expect(value('iommu.invalidation.domain.outside')).toBeGreaterThan(1);
  });

  it.each([
    ['vtd-skx', 8, 1],
    ['vtd-skx', 24, 2],
    ['amdvi-genoa', 8, 1],
    ['mmu-700', 64, 1],
    ['riscv-server', 8, 1],
  ])(
    'on %s puts %i pages into one call with %i waits, which takes less time than as many calls',
    (iommu, batch, waits) => {
      const job = 'interval: 40us';
      const together = run(`${job}, batch: ${batch}`, iommu);
      const latency = together('invalidate.latency');
      expect(latency).toBeLessThan(batch * run(job, iommu)('invalidate.latency'));
      const pages = together('iommu.invalidation.page.commands');
      const flushes = together('invalidation.flushes');
      // The window may cut the first and the last call.
      expect(Math.abs(pages - batch * flushes)).toBeLessThanOrEqual(batch);
      expect(Math.abs(together('iommu.invalidation.wait') - waits * flushes)).toBeLessThanOrEqual(waits);
      expect(together('iommu.invalidation.page.outside')).toBe(0);
    },
  );

  it.each([
    ['vtd-spr', ''],
    ['amdvi-genoa', ', stage: first, levels: 4, processLevels: 1'],
    ['mmu-700', ', processLevels: 1'],
    ['riscv-server', ', processLevels: 1'],
  ])('on %s of a PASID leaves what the device has without, of everything does not', (iommu, settings) => {
    const job = 'pasid: 5, interval: 20us, granularity: ';
    const unit = `${iommu}${settings}`;
    const [pasid, all] = [run(`${job}domain`, unit, '', PASIDS), run(`${job}global`, unit, '', PASIDS)];
    const pages = 64;
    expect(pasid('iommu.invalidation.pasid.commands')).toBeGreaterThan(3);
    expect(pasid('iommu.invalidation.pasid.iotlb')).toBeGreaterThan(pages / 2);
    expect(pasid('iommu.invalidation.pasid.iotlb')).toBeLessThanOrEqual(pages);
    expect(all('iommu.invalidation.global.commands')).toBeGreaterThan(3);
    expect(all('iommu.invalidation.global.iotlb')).toBeGreaterThan(pages);
  });

  it('of pages with their tables makes the next misses read more', () => {
    const leaves = run('interval: 2us');
    const tables = run('interval: 2us, tables: true');
    expect(leaves('iommu.reads_per_walk')).toBe(1);
    expect(tables('iommu.reads_per_walk')).toBeGreaterThan(2);
    expect(tables('iommu.invalidation.page.psc_level2')).toBeGreaterThan(0.5);
  });

  it('repeats walks that it overtakes, and the device loses by it', () => {
    const quiet = run('interval: 100us, granularity: domain');
    const busy = run('granularity: domain');
    expect(busy('iommu.walks_restarted')).toBeGreaterThan(quiet('iommu.walks_restarted'));
    expect(busy('iommu.walk_time_lost')).toBeGreaterThan(quiet('iommu.walk_time_lost'));
    expect(busy('iommu.iotlb.hit_rate')).toBeLessThan(quiet('iommu.iotlb.hit_rate'));
  });

  it.each([
    ['granularity: range', 'apple-m1-dart', '', /E305: workload.cpu.granularity: a DART invalidates whole streams/],
    ['granularity: range', 'virtio-kvm', '', /E305: workload.cpu.granularity: a virtio-iommu has no command/],
    ['granularity: domain', 'ideal', '', /E305: workload.cpu.device: no translations of "nic" are cached/],
    ['granularity: domain', 'vtd-skx', ', dma: {mode: passthrough}', /E305: workload.cpu.device: in passthrough mode/],
    [
      'granularity: global',
      'apple-m1-dart',
      '',
      /E305: workload.cpu.granularity: only VT-d, AMD-Vi, SMMUv3 and RISC-V have/,
    ],
    ['batch: 2', 'power9-phb4', '', /E305: workload.cpu.batch: only VT-d, AMD-Vi, SMMUv3 and RISC-V take/],
    [
      'batch: 2, granularity: domain',
      'vtd-skx',
      '',
      /E305: workload.cpu.batch: several ranges need the granularity range/,
    ],
    ['batch: 65', 'vtd-skx', '', /E204: workload.cpu.batch: expected/],
    [
      'granularity: global',
      'vtd-skx',
      ', guest: {mode: caching}',
      /E305: workload.cpu.granularity: in a virtual machine only the host/,
    ],
    ['pasid: 3', 'vtd-skx', '', /E305: workload.cpu.device: no job of kind dma uses "nic" with PASID 3/],
    ['size: 512KiB', 'vtd-skx', '', /E308: workload.cpu.size: ranges of 512KiB do not fit the window of 256KiB/],
  ])('%s with %s%s is refused', (job, iommu, settings, message) => {
    expect(() => resolveWorkload(text(job, iommu, settings), 'w.yaml', [], null)).toThrow(message);
  });

  it('of everything is refused where the device keeps translations itself', () => {
    const sets = ['devices.nic.ats.enabled=true'];
    expect(() => resolveWorkload(text('granularity: global', 'vtd-spr'), 'w.yaml', sets, null)).toThrow(
      /E305: workload.cpu.granularity: commands for everything leave the TLB of "nic" as it is/,
    );
    expect(() => resolveWorkload(text('granularity: domain', 'vtd-spr'), 'w.yaml', sets, null)).not.toThrow();
  });
});

/** What one device's page faults do to another's transactions, by the shipped workloads. */
import { describe, expect, it } from 'vitest';
import type { PointResult } from './result.js';
import { run, shipped, value } from './testing/point.js';

const SHORT = ['stop.time=400us', 'warmup.time=50us'];

function storm(file: string, ...sets: string[]): PointResult[] {
  return shipped(file, [...SHORT, ...sets]).map((spec) => {
    const result = run(spec, true);
    expect(result.audit!.violations).toEqual([]);
    return result;
  });
}

function latency(result: PointResult, metric: string): { mean: number; p99: number } {
  const { sum, count, p99 } = result.histograms.find((h) => h.component === 'victim' && h.metric === metric)!;
  expect(count).toBeGreaterThan(300);
  return { mean: sum / count, p99 };
}

describe('a storm of page faults', () => {
  it('by page requests leaves hits of another device as they are', () => {
    const [same, apart] = storm('fault-storm-pri.yaml');
    expect(value(same!, 'storm', 'device_tlb.misses')).toBeGreaterThan(100);
    const [there, alone] = [latency(same!, 'dma.read.latency'), latency(apart!, 'dma.read.latency')];
    expect(there.p99).toBeLessThan(1.5 * alone.p99);
  });

  it('of misses, without faults, makes hits wait', () => {
    const misses = [
      'workload.faults.prefault=all',
      'devices.storm.ats.enabled=false',
      'devices.storm.ats.pri.enabled=false',
    ];
    const [same, apart] = storm(
      'fault-storm-pri.yaml',
      ...misses,
      'workload.faults.reads=100%',
      'workload.faults.pattern=random',
    );
    const [there, alone] = [latency(same!, 'dma.read.latency'), latency(apart!, 'dma.read.latency')];
    expect(there.mean).toBeGreaterThan(1.1 * alone.mean);
  });

  it('by stalls hurts others only when the places are taken', () => {
    const results = storm('fault-storm-stall.yaml');
    const [few, , many, alone] = results.map((result) => latency(result, 'dma.write.latency').mean);
    const waits = results.map((result) => value(result, 'iommu0', 'iommu.stalls.waits'));
    expect(waits[0]).toBeGreaterThan(10);
    expect(waits.slice(1)).toEqual([0, 0, 0]);
    expect(few).toBeGreaterThan(10 * alone!);
    expect(many).toBeLessThan(1.5 * alone!);
  });
});

import { readdirSync, readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { parse } from 'yaml';
import type { z } from 'zod';
import { estimateRun } from './estimate.js';
import { workloadJsonSchema } from './file-schema.js';
import { canonicalJson, contentId } from './identity.js';
import type { RunPlan } from './plan.js';
import { resolveWorkload } from './resolve.js';
import type { SECTIONS } from './schema.js';
import type { PointSpec } from './spec.js';
import { SAMPLE, sampleWith, sampleWithSweep } from './testing/sample.js';

const ids = (plan: RunPlan): string[] => plan.points.map((point) => point.id);
const SHIPPED = readdirSync('workloads').filter((name) => name.endsWith('.yaml'));
const shipped = (name: string): string => readFileSync(`workloads/${name}`, 'utf8');

describe('resolving', () => {
  test('the schemas resolve to the Spec, no more and no less', () => {
    type Resolved = { [K in keyof typeof SECTIONS]: z.output<(typeof SECTIONS)[K]> };
    type Mutable<T> = T extends object ? { -readonly [K in keyof T]: Mutable<T[K]> } : T;
    expectTypeOf<Resolved>().toExtend<Omit<PointSpec, 'seed'>>();
    expectTypeOf<Mutable<Omit<PointSpec, 'seed'>>>().toExtend<Resolved>();
  });

  test('presets, overrides and units give numbers in base units', () => {
    const { spec } = resolveWorkload(SAMPLE, 'w.yaml').points[0]!;
    expect(spec.machine.iommus['iommu0']!.walkers).toMatchObject({ count: 8, overhead: 100_000, replay: 50_000 });
    expect(spec.os.costs.tablePage).toBe(150_000);
    expect(spec.devices['nic']!.requester).toBe(0x300);
    expect(spec.devices['nic']!.link.dllpShare).toBe(50_000);
    expect(spec.workload['reads']).toEqual({
      kind: 'dma',
      device: 'nic',
      reads: 100,
      size: 64,
      window: 1_048_576,
      pattern: 'random',
      outstanding: 16,
      interarrival: 0,
      memory: 's0',
      pasid: -1,
    });
    expect(spec.warmup).toEqual({ time: null, operations: 0 });
    expect(spec.stop).toEqual({ time: null, operations: 1000, steady: null });
  });

  test('settings reach any parameter, the command line last', () => {
    const text = sampleWithSweep('  cross: {os.dma.mode: [lazy, strict]}');
    const sets = [
      'os.dma.mode=passthrough',
      'devices.nic.engine.readInterval.1.interval=20ns',
      'stop.time=5ms',
      'seeds=[7]',
    ];
    const { points } = resolveWorkload(text, 'w.yaml', sets);
    expect(points).toHaveLength(1);
    expect(points[0]!.seed).toBe(7);
    expect(points[0]!.swept).toEqual({});
    expect(points[0]!.spec.os.dma.mode).toBe('passthrough');
    expect(points[0]!.spec.devices['nic']!.engine.readInterval[1]!.interval).toBe(20_000);
    expect(points[0]!.spec.stop.time).toBe(5e9);
    expect(
      resolveWorkload(SAMPLE, 'w.yaml', ['machine.ports.port0.iommu=null']).points[0]!.spec.machine.ports['port0']!
        .iommu,
    ).toBeNull();
  });

  test('a key that only the sweep gives is enough', () => {
    const text = `${sampleWith('    window: 1MiB\n', '')}sweep: {cross: {workload.reads.window: [1MiB]}}\n`;
    expect(resolveWorkload(text, 'w.yaml').points[0]!.spec.workload['reads']).toMatchObject({ window: 2 ** 20 });
  });
});

describe('sweeps', () => {
  const sweep =
    '  zip:\n    os.dma.mode: [strict, lazy]\n    os.tick: [1ms, 4ms]\n  cross:\n    workload.rx.threads: [1, 2]\n    os.superpages: [true, false]\n';

  test('zip outermost, crossed paths in file order with the last fastest, seeds innermost', () => {
    const plan = resolveWorkload(sampleWithSweep(sweep), 'w.yaml');
    const rows = plan.points.map(({ swept, seed }) => [...Object.values(swept), seed].join(' '));
    expect(rows.slice(0, 6)).toEqual([
      'strict 1ms 1 true 1',
      'strict 1ms 1 true 2',
      'strict 1ms 1 false 1',
      'strict 1ms 1 false 2',
      'strict 1ms 2 true 1',
      'strict 1ms 2 true 2',
    ]);
    expect(rows).toHaveLength(16);
    expect(rows[15]).toBe('lazy 4ms 2 false 2');
    expect(plan.points[15]!.spec.os).toMatchObject({ dma: { mode: 'lazy' }, tick: 4e9, superpages: false });
    expect(new Set(ids(plan)).size).toBe(16);
    expect(new Set(plan.points.map((point) => point.design)).size).toBe(8);
  });

  test('five seeds by default', () => {
    expect(resolveWorkload(sampleWith('seeds: 2\n', ''), 'w.yaml').points.map((point) => point.seed)).toEqual([
      1, 2, 3, 4, 5,
    ]);
  });
});

describe('ids', () => {
  test('an id is the hash of the content: not of key order, comments, spelling of quantities, name or sweep', () => {
    const plan = resolveWorkload(SAMPLE, 'w.yaml');
    for (const { id, design, seed, spec } of plan.points) {
      expect(contentId(spec)).toBe(id);
      const { seed: _, ...rest } = spec;
      expect(contentId(rest)).toBe(design);
      expect(spec.seed).toBe(seed);
    }
    const other = sampleWith('name: sample', '# a comment\nname: other').replace('4KiB', '4096 B');
    const sections = parse(other) as Record<string, unknown>;
    const reversed = Object.fromEntries(Object.entries(sections).reverse());
    expect(ids(resolveWorkload(other, 'v.yaml'))).toEqual(ids(plan));
    expect(ids(resolveWorkload(JSON.stringify(reversed), 'v.yaml'))).toEqual(ids(plan));
    expect(ids(resolveWorkload(sampleWithSweep('  cross: {workload.rx.depth: [32]}'), 'v.yaml'))).toEqual(ids(plan));
  });

  test('any change of a value changes the id', () => {
    const [first] = ids(resolveWorkload(SAMPLE, 'w.yaml'));
    expect(ids(resolveWorkload(SAMPLE, 'w.yaml', ['os.costs.lock=8001ps']))).not.toContain(first);
  });

  test('canonical JSON sorts keys at every depth', () => {
    expect(canonicalJson({ b: [{ d: 1, c: null }], a: -0 })).toBe('{"a":0,"b":[{"c":null,"d":1}]}');
  });
});

describe('the resolved workload', () => {
  const sweeps: [string, string][] = [
    ['no sweep', SAMPLE],
    [
      'swept values',
      sampleWithSweep(
        '  zip: {os.dma.mode: [lazy, strict], os.tick: [1ms, 4ms]}\n  cross: {workload.rx.threads: [1, 2]}',
      ),
    ],
    [
      'swept rows',
      sampleWithSweep(
        '  cross: {devices.nic.engine.readInterval: [[{size: 64B, interval: 5ns}], [{size: 4KiB, interval: 9ns}]]}',
      ),
    ],
    [
      'swept presets',
      sampleWithSweep('  cross: {machine.preset: [skx-8160, spr-8480], os.preset: [linux-7.2, linux-3.19]}'),
    ],
    [
      'presets with other parts',
      sampleWithSweep(
        '  cross: {machine.preset: [skx-8160, skx-8160-2s], devices.nic.preset: [nic-100g, nfp6000], workload.rx.depth: [1, 8]}',
      ),
    ],
    ...SHIPPED.map((name): [string, string] => [name, shipped(name)]),
  ];

  test.each(sweeps)('gives the same ids and itself: %s', (_, text) => {
    const plan = resolveWorkload(text, 'w.yaml', ['os.costs.poll=0.5us']);
    expect(plan.resolved).not.toContain('preset:');
    const again = resolveWorkload(plan.resolved, 'spec.resolved.yaml');
    expect(ids(again)).toEqual(ids(plan));
    expect(again.resolved).toBe(plan.resolved);
  });
});

describe('JSON Schema', () => {
  const validate = new Ajv2020({ strict: false }).compile(workloadJsonSchema());

  test.each(SHIPPED)('accepts %s as shipped and as resolved', (name) => {
    expect(validate(parse(shipped(name))), JSON.stringify(validate.errors)).toBe(true);
    expect(validate(parse(resolveWorkload(shipped(name), name).resolved)), JSON.stringify(validate.errors)).toBe(true);
  });

  test.each([
    ['    threads: 2', '    thread: 2'],
    ['    size: 4KiB', '    size: 4096'],
    ['    size: 4KiB', '    size: 4KB'],
    ['    kind: stream', '    kind: streem'],
    ['  preset: skx-8160', '  preset: skx'],
    ['        count: 8', '        count: 0'],
    ['        count: 8', '        count: 1.5'],
    ['seeds: 2', 'seeds: many'],
    ['stop:\n  operations: 1000\n', ''],
    ['    requester: "3:00.0"', '    requester: "3.0"'],
  ])('refuses %j -> %j', (from, to) => {
    expect(validate(parse(SAMPLE))).toBe(true);
    expect(validate(parse(sampleWith(from, to)))).toBe(false);
  });
});

describe('shipped workloads', () => {
  test.each(SHIPPED)('%s resolves, asks one question and takes seconds', (name) => {
    const plan = resolveWorkload(shipped(name), name);
    expect(plan.name).toBe(name.replace('.yaml', ''));
    expect(plan.question.split('?')).toHaveLength(2);
    expect(estimateRun(plan).seconds).toBeLessThan(60);
  });

  test('the estimate takes the sooner of operations and time', () => {
    const estimate = (sets: string[]): number =>
      estimateRun(resolveWorkload(SAMPLE, 'w.yaml', ['seeds=1', ...sets])).operations;
    expect(estimate([])).toBe(1000);
    expect(estimate(['warmup={operations: 500}'])).toBe(1500);
    expect(estimate(['stop.time=1us'])).toBeLessThan(1000);
    expect(estimate(['stop.time=1us', 'stop.operations=null'])).toBeGreaterThan(10);
  });
});

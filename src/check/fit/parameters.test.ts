import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { PCIE_BENCH_FIT } from '../../models/fitted/pcie-bench.js';
import { TABLE_CODE_FIT } from '../../models/fitted/table-code.js';
import { benchJob, DEVICE, PcieBench, UNIT } from '../pcie-bench.js';
import { fittedTables, HOSTS, shippedValues, startValue, startValues, Values } from './parameters.js';
import { fittedSource, PCIE_BENCH_TARGET, TABLE_CODE_TARGET } from './source.js';

const BDW = HOSTS[0]!;
const bench = new PcieBench();
const point = (test_: string, host = BDW.machine) =>
  bench.series({
    host,
    test: test_,
    hostCache: 'device-warm',
    iommu: '4KiB',
    points: [{ window: '256KiB', value: 0 }],
  })[0]!.spec;

function value(sheet: string, path: string, amount: number, unit: string) {
  return { sheet, path, value: amount, unit, rows: 'test' };
}

describe('values of a fit', () => {
  test('go where the presets put them, in base units', () => {
    const values = new Values([
      value(BDW.machine, 'sockets.s0.llc.latency', 97.5, 'ns'),
      value(BDW.machine, 'sockets.s0.llc.scatter', 12, '%'),
      value(BDW.unit, 'walkers.replay', 91, 'ns'),
      value('nfp6000', 'engine.readInterval.2.interval', 40.5, 'ns'),
    ]);
    const spec = values.apply(point('BWrd64'), BDW);
    expect(spec.machine.sockets['s0']!.llc.latency).toBe(97_500);
    expect(spec.machine.sockets['s0']!.llc.scatter).toBe(120_000);
    expect(spec.machine.iommus[UNIT]!.walkers.replay).toBe(91_000);
    expect(spec.devices[DEVICE]!.engine.readInterval[2]!.interval).toBe(40_500);
  });

  test('of another host change nothing', () => {
    const spec = point('BWrd64');
    expect(new Values([value('snb-e5-2630', 'sockets.s0.llc.latency', 1, 'ns')]).apply(spec, BDW)).toEqual(spec);
  });

  test('a larger ring is filled by bandwidth tests and not by latency tests', () => {
    const values = new Values([value('nfp6000', 'engine.outstanding', 40, 'DMAs')]);
    expect(benchJob(values.apply(point('BWrd64'), BDW)).outstanding).toBe(40);
    expect(benchJob(values.apply(point('LAT64'), BDW)).outstanding).toBe(1);
  });

  test('a path that a point does not have is a defect', () => {
    const values = new Values([value('nfp6000', 'engine.colour', 1, 'ns')]);
    expect(() => values.apply(point('LAT64'), BDW)).toThrow('colour');
    expect(() => startValue('nfp6000', 'engine.colour')).toThrow('colour');
  });

  test('later values replace earlier ones', () => {
    const values = new Values([value('nfp6000', 'engine.outstanding', 40, 'DMAs')]);
    const changed = values.with([value('nfp6000', 'engine.outstanding', 41, 'DMAs')]);
    expect(changed.at('nfp6000', 'engine.outstanding')).toBe(41);
    expect(values.at('nfp6000', 'engine.outstanding')).toBe(40);
    expect(new Values().at('nfp6000', 'engine.outstanding')).toBe(startValue('nfp6000', 'engine.outstanding'));
  });
});

describe('shipped values', () => {
  test('are what the presets resolve to: putting them in changes no point', () => {
    for (const host of HOSTS) {
      for (const name of ['LAT64', 'BWrd256']) {
        const spec = point(name, host.machine);
        expect(shippedValues().apply(spec, host)).toEqual(spec);
      }
    }
  });

  test('a fit starts elsewhere', () => {
    expect(startValues().at('vtd-bdw-ep', 'walkers.overhead')).toBe(startValue('vtd-bdw-ep', 'walkers.overhead'));
    expect(startValues().apply(point('LAT64'), BDW)).not.toEqual(point('LAT64'));
  });

  test.each([
    { target: PCIE_BENCH_TARGET, tables: PCIE_BENCH_FIT, form: /^iommusim fit --seed \d+$/ },
    { target: TABLE_CODE_TARGET, tables: TABLE_CODE_FIT, form: /^iommusim fit --stage 5 --seed \d+$/ },
  ])(
    'the committed file $target.file is in the form that the command in its header writes',
    ({ target, tables, form }) => {
      const text = readFileSync(target.file, 'utf8');
      const command = /Written by\s+(?:\* )?`([^`]+)`/.exec(text)![1]!;
      expect(command).toMatch(form);
      expect(fittedSource(shippedValues(tables), command, target)).toBe(text);
      expect(fittedTables(shippedValues(tables))).toEqual(tables);
    },
  );
});

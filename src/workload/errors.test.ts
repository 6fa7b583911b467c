import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { decodeText } from './document.js';
import { ERROR_CODES, InputError } from './errors.js';
import { resolveWorkload } from './resolve.js';
import { SAMPLE, sampleWith, sampleWithSweep } from './testing/sample.js';

function failure(text: string, sets: readonly string[] = [], seeds: string | null = null): string[] {
  try {
    resolveWorkload(text, 'w.yaml', sets, seeds);
  } catch (error) {
    if (error instanceof InputError) {
      return error.message.split('\n');
    }
    throw error;
  }
  throw new Error('no error');
}

describe('errors of a workload file are one line: place, code, key, what to do', () => {
  test.each([
    // keys
    [
      '    threads: 2',
      '    thread: 2',
      'w.yaml:20:5: error E101: workload.rx.thread: unknown key; did you mean "threads"?',
    ],
    [
      '        count: 8',
      '        cuont: 8',
      'w.yaml:8:9: error E101: machine.iommus.iommu0.walkers.cuont: unknown key; did you mean "count"?',
    ],
    ['seeds: 2', 'sedes: 2', 'w.yaml:32:1: error E101: sedes: unknown key; did you mean "seeds"?'],
    ['    depth: 32\n', '', 'w.yaml:18:5: error E102: workload.rx.depth: the key "depth" is missing'],
    ['question: Does it resolve?\n', '', 'w.yaml:1:1: error E102: question: the key "question" is missing'],
    ['    port: port0', '    port: [port0]', 'w.yaml:14:11: error E103: devices.nic.port: expected a name, got a list'],
    [
      '      walkers:\n        count: 8\n',
      '      walkers: many\n',
      'w.yaml:7:16: error E103: machine.iommus.iommu0.walkers: expected a mapping of keys, got "many"',
    ],
    [
      '    threads: 2',
      '    threads:',
      'w.yaml:20:13: error E103: workload.rx.threads: expected a whole number from 1 to 1024, got nothing',
    ],
    [
      '    direction: from-device',
      '    direction: from-devcie',
      'w.yaml:23:16: error E104: workload.rx.direction: "from-devcie" is not one of to-device, from-device; did you mean "from-device"?',
    ],
    [
      '    kind: stream',
      '    kind: streem',
      'w.yaml:18:11: error E104: workload.rx.kind: "streem" is not one of dma, stream, map-benchmark, user-map, sva, offload, invalidate; did you mean "stream"?',
    ],
    [
      '    kind: dma\n',
      '',
      'w.yaml:26:5: error E102: workload.reads.kind: the key "kind" is missing: one of dma, stream, map-benchmark, user-map, sva, offload, invalidate',
    ],
    [
      '  preset: skx-8160',
      '  preset: skx-8610',
      'w.yaml:4:11: error E105: machine.preset: no preset of kind machine has this name; did you mean "skx-8160"?',
    ],
    [
      '  preset: linux-7.2',
      '  preset: nfp6000',
      'w.yaml:10:11: error E105: os.preset: "nfp6000" is a preset of kind device, not os',
    ],
    ['  rx:', '  __proto__:', 'w.yaml:17:3: error E106: workload.__proto__: "__proto__" cannot be a key'],
    ['  rx:', '  r.x:', 'w.yaml:17:3: error E106: workload.r.x: a name is a letter, then letters, digits, "-" or "_"'],
    // quantities
    [
      '    size: 4KiB',
      '    size: 4096',
      'w.yaml:22:11: error E201: workload.rx.size: expected a size such as 64KiB or 4MiB, got 4096 without a unit',
    ],
    [
      '    size: 4KiB',
      '    size: 4KB',
      'w.yaml:22:11: error E202: workload.rx.size: expected a size such as 64KiB or 4MiB, unknown unit "KB" (B, KiB, MiB, GiB, TiB); did you mean "KiB"?',
    ],
    [
      '    size: 4KiB',
      '    size: 4us',
      'w.yaml:22:11: error E202: workload.rx.size: expected a size such as 64KiB or 4MiB, but "us" is a unit of time',
    ],
    [
      '    threads: 2',
      '    threads: 2.5',
      'w.yaml:20:14: error E203: workload.rx.threads: expected a whole number from 1 to 1024, got 2.5',
    ],
    [
      '    threads: 2',
      '    threads: -2',
      'w.yaml:20:14: error E204: workload.rx.threads: expected a whole number from 1 to 1024, got -2',
    ],
    [
      '    threads: 2',
      '    threads: .inf',
      'w.yaml:20:14: error E205: workload.rx.threads: expected a whole number from 1 to 1024, got Infinity',
    ],
    [
      '  operations: 1000',
      '  operations: 90071992547409930',
      'w.yaml:34:15: error E204: stop.operations: expected a whole number from 0 to 1125899906842624, got 90071992547409940',
    ],
    [
      '    size: 64B',
      '    size: 0B',
      'w.yaml:28:11: error E204: workload.reads.size: 0B is outside the range: at least 1B is needed',
    ],
    [
      '    requester: "3:00.0"',
      '    requester: "3:20.0"',
      'w.yaml:15:16: error E204: devices.nic.requester: "3:20.0" is no requester id: the device number goes from 00 to 1f',
    ],
    // geometry and references
    [
      '      walkers:\n        count: 8\n',
      '      iotlb: {entries: 96, ways: 4}\n',
      'w.yaml:7:34: error E301: machine.iommus.iommu0.iotlb.ways: 96 entries in 4 ways make 24 sets, which is not a power of two',
    ],
    [
      '      walkers:\n        count: 8\n',
      '      iotlb: {entries: 127, ways: 2}\n',
      'w.yaml:7:35: error E301: machine.iommus.iommu0.iotlb.ways: 127 entries cannot be divided into 2 ways',
    ],
    [
      '        count: 8',
      '        count: 0',
      'w.yaml:8:16: error E204: machine.iommus.iommu0.walkers.count: expected a whole number from 1 to 4096, got 0',
    ],
    [
      '      walkers:\n        count: 8\n',
      '      stage: first\n',
      'w.yaml:7:14: error E305: machine.iommus.iommu0.stage: first-stage tables need scalable mode',
    ],
    [
      '      walkers:\n        count: 8\n',
      '      levels: 7\n',
      'w.yaml:7:15: error E204: machine.iommus.iommu0.levels: expected a whole number from 1 to 6, got 7',
    ],
    [
      '    port: port0',
      '    port: prot0',
      'w.yaml:14:11: error E303: devices.nic.port: no port "prot0"; there is port0; did you mean "port0"?',
    ],
    [
      '    memory: s0',
      '    memory: s1',
      'w.yaml:31:13: error E303: workload.reads.memory: no socket "s1"; there is s0; did you mean "s0"?',
    ],
    [
      '    window: 1MiB',
      '    window: 192GiB',
      'w.yaml:29:13: error E306: workload.reads.window: 192GiB and the other buffers and tables exceed the 192GiB of memory of socket "s0"',
    ],
    [
      '    threads: 2',
      '    threads: 25',
      'w.yaml:20:14: error E307: workload.rx.threads: 25 threads on the 24 cores of socket "s0"; each thread needs a core of its own',
    ],
    [
      '    outstanding: 16',
      '    outstanding: 257',
      'w.yaml:30:18: error E308: workload.reads.outstanding: 257 DMAs in flight, but "nic" can have 256',
    ],
    [
      '    outstanding: 16',
      '    outstanding: 16\n    pasid: 1',
      'w.yaml:31:12: error E305: workload.reads.pasid: a PASID needs an IOMMU in scalable mode: "iommu0" is in legacy mode',
    ],
    [
      '  operations: 1000',
      '  steady: {batches: 5, batchOperations: 100, tolerance: 1%}',
      'w.yaml:34:3: error E309: stop: a steady state may never come: give time or operations as well',
    ],
    [
      '    requester: "3:00.0"',
      '    requester: "3:00.0"\n    link: {maxPayload: 192B}',
      'w.yaml:16:24: error E302: devices.nic.link.maxPayload: 192B is not a power of two',
    ],
    [
      '    requester: "3:00.0"',
      '    requester: "3:00.0"\n    link: {width: 3}',
      'w.yaml:16:19: error E204: devices.nic.link.width: 3 is not one of 1, 2, 4, 8, 16',
    ],
    [
      '    requester: "3:00.0"\n',
      '    requester: "3:00.0"\n  two: {preset: nfp6000, port: port0, requester: "03:00.0"}\n',
      'w.yaml:16:50: error E304: devices.two.requester: 03:00.0 is the requester id of "nic" behind the same IOMMU',
    ],
  ])('%j -> %j', (from, to, line) => {
    expect(failure(sampleWith(from, to))).toEqual([line]);
  });

  test('several problems are reported at once, ten at most', () => {
    const lines = failure(SAMPLE.replace('depth: 32', 'depth: 0').replace('    size: 4KiB', '    size: 4K'));
    expect(lines.map((line) => line.slice(0, 26))).toEqual([
      'w.yaml:21:12: error E204: ',
      'w.yaml:22:11: error E202: ',
    ]);
    const many = Array.from({ length: 30 }, (_, index) => `k${index}: 1\n`).join('');
    expect(failure(SAMPLE + many)).toHaveLength(10);
  });

  test('files that are no workload', () => {
    expect(failure('')).toEqual(['w.yaml: error E003: the file is empty']);
    expect(failure('# nothing\n')).toEqual(['w.yaml: error E003: the file is empty']);
    expect(failure('- a\n')).toEqual(['w.yaml: error E003: expected a mapping of keys at the top of the file']);
    expect(failure(`${SAMPLE}name: again\n`)).toEqual(['w.yaml:35:1: error E005: Map keys must be unique']);
    expect(failure('a: [1, 2\n')[0]).toMatch(/^w\.yaml:2:1: error E004: /);
    expect(failure('a: &x {b: *x}\n')[0]).toMatch(/^w\.yaml: error E006: /);
    expect(failure('['.repeat(50_000))[0]).toMatch(/error E00[46]: /);
    expect(() => decodeText(Uint8Array.of(0xff, 0xfe, 0x41), 'w.yaml')).toThrow('w.yaml: error E002: not UTF-8 text');
    expect(() => decodeText(Uint8Array.of(0x41, 0, 0x42), 'w.yaml')).toThrow('E002: contains NUL bytes');
  });

  test('anchors and merges work, and errors inside them are found where they are written', () => {
    const job = '  a: &job {kind: dma, device: nic, size: 64B, window: 1MiB, outstanding: 1, memory: s0}\n';
    const text = sampleWith('workload:\n', `workload:\n${job}  b: {<<: *job, window: 2MiB}\n`);
    const { workload } = resolveWorkload(text, 'w.yaml').points[0]!.spec;
    expect(workload['b']).toMatchObject({ kind: 'dma', size: 64, window: 2 ** 21 });
    expect(failure(text.replace('outstanding: 1, memory', 'outstanding: x, memory'))).toEqual([
      'w.yaml:17:74: error E103: workload.a.outstanding: expected a whole number from 1 to 65536, got "x"',
      'w.yaml:17:74: error E103: workload.b.outstanding: expected a whole number from 1 to 65536, got "x"',
    ]);
  });

  test('control characters of the input do not reach the terminal', () => {
    const lines = failure(sampleWith('    threads: 2', '    "\\e[31mt": 2'));
    expect(lines.at(-1)).toContain('workload.rx.?[31mt: unknown key');
  });
});

describe('errors of settings and sweeps', () => {
  test.each([
    [
      ['os.dma.mdoe=lazy'],
      '--set os.dma.mdoe=lazy: error E402: os.dma.mdoe: no such path; did you mean "os.dma.mode"?',
    ],
    [
      ['walkers.count=2'],
      '--set walkers.count=2: error E402: walkers.count: no such path; did you mean "machine.iommus.iommu0.walkers.count"?',
    ],
    [
      ['machine.walkers.count=2'],
      '--set machine.walkers.count=2: error E402: machine.walkers.count: no such path; did you mean "machine.iommus.iommu0.walkers.count"?',
    ],
    [['devices.card.port=port0'], '--set devices.card.port=port0: error E402: devices.card.port: no such path'],
    [
      ['os.dma.mode=loose'],
      '--set os.dma.mode=loose: error E104: os.dma.mode: "loose" is not one of strict, lazy, passthrough, bounce',
    ],
    [['os.dma.mode'], '--set os.dma.mode: error E401: expected PATH=VALUE, such as --set os.dma.mode=strict'],
    [['os.__proto__.x=1'], '--set os.__proto__.x=1: error E106: "__proto__" cannot be a key'],
    [
      ['seeds=0'],
      '--set seeds=0: error E204: seeds: expected a whole number from 1 to 10000 or a list of seeds, got 0',
    ],
    [['seeds=2', 'seeds=3'], '--set seeds=3: error E406: "seeds" is set twice'],
    [
      ['machine.preset=pdp11'],
      '--set machine.preset=pdp11: error E105: machine.preset: no preset of kind machine has this name; there are',
    ],
    [
      ['machine.sockets.s0.cores=1'],
      '--set machine.sockets.s0.cores=1: error E307: workload.rx.threads: 2 threads on the 1 cores of socket "s0"',
    ],
    [
      ['sweep.cross=1'],
      '--set sweep.cross=1: error E407: sweep.cross: a sweep cannot be set; set one of its paths instead',
    ],
    [['a=[1'], '--set a=[1: error E401: the value is not valid YAML'],
  ])('%j', (sets, start) => {
    expect(failure(SAMPLE, sets)[0]!.startsWith(start)).toBe(true);
  });

  test('--seeds is named as the user wrote it', () => {
    expect(failure(SAMPLE, [], 'many')).toEqual([
      '--seeds many: error E103: seeds: expected a number of seeds or a list of seeds',
    ]);
  });

  test.each([
    [
      '  cross: {os.dma.mdoe: [lazy]}',
      'w.yaml:36:11: error E402: os.dma.mdoe: no such path; did you mean "os.dma.mode"?',
    ],
    [
      '  cross:\n    os.dma.mode: [lazy, loose]',
      'w.yaml:37:25: error E104: os.dma.mode: "loose" is not one of strict, lazy, passthrough, bounce',
    ],
    ['  cross:\n    os.dma.mode: []', 'w.yaml:37:18: error E404: sweep.cross.os.dma.mode: the list of values is empty'],
    ['  cross:\n    os.dma.mode: lazy', 'w.yaml:37:18: error E103: sweep.cross.os.dma.mode: expected a list of values'],
    [
      '  cross:\n    seeds: [1]',
      'w.yaml:37:5: error E407: sweep.cross.seeds: only paths that begin with machine, os, devices, workload, warmup, stop can be swept',
    ],
    ['  corss:\n    os.dma.mode: [lazy]', 'w.yaml:36:3: error E101: sweep.corss: unknown key; did you mean "cross"?'],
    [
      '  zip:\n    os.dma.mode: [lazy, strict]\n    workload.rx.threads: [1]',
      'w.yaml:38:26: error E403: sweep.zip.workload.rx.threads: zip lists must be of equal length: this one has 1 values, "os.dma.mode" has 2',
    ],
    [
      '  zip: {os.dma.mode: [lazy]}\n  cross: {os.dma.mode: [lazy]}',
      'w.yaml:37:11: error E406: sweep.cross.os.dma.mode: the path stands in zip and in cross',
    ],
    [
      '  cross:\n    machine.iommus.iommu0.iotlb.entries: [128, 192]',
      'w.yaml:37:48: error E301: machine.iommus.iommu0.iotlb.ways: 192 entries cannot be divided into 128 ways',
    ],
    [
      '  cross:\n    workload.reads.window: [1MiB, 1TiB]',
      'w.yaml:37:35: error E306: workload.reads.window: 1TiB and the other buffers and tables exceed the 192GiB of memory of socket "s0"',
    ],
  ])('%j', (sweep, line) => {
    expect(failure(sampleWithSweep(sweep))).toEqual([line]);
  });

  test('too many points are refused before they are expanded', () => {
    const list = JSON.stringify(Array.from({ length: 400 }, (_, index) => index + 1));
    const sweep = `  cross:\n    workload.rx.depth: ${list}\n    workload.reads.outstanding: ${list}\n`;
    expect(failure(sampleWithSweep(sweep))).toEqual([
      'w.yaml:35:1: error E405: sweep: the sweep has 320000 points with 2 seeds; at most 100000 are possible',
    ]);
  });

  test('a setting inside a swept value is refused: one of them would be ignored', () => {
    const text = sampleWithSweep('  cross:\n    os.dma.mode: [lazy]\n');
    expect(failure(text, ['os.dma={}'])).toEqual([
      '--set os.dma={}: error E406: os.dma: overlaps with "os.dma.mode", which the file sweeps',
    ]);
  });
});

describe('errors of buffers, lists and bounce pools', () => {
  const RX = '    size: 4KiB\n';
  const LOOP = '  loop: {kind: map-benchmark, device: nic, threads: 1, direction: to-device, socket: s0, ';
  test.each([
    [
      RX,
      `${RX}    segments: 0\n`,
      [],
      'w.yaml:23:15: error E204: workload.rx.segments: expected a whole number from 1 to 1024, got 0',
    ],
    [
      RX,
      `${RX}    placement: scattered\n`,
      [],
      'w.yaml:23:16: error E305: workload.rx.placement: only the segments of a scatter list can lie apart: one mapping is one piece of memory',
    ],
    [
      RX,
      `${RX}    placement: spread\n    segments: 2\n`,
      [],
      'w.yaml:23:16: error E104: workload.rx.placement: "spread" is not one of contiguous, scattered',
    ],
    [
      RX,
      `    size: 128KiB\n    segments: 4\n`,
      [],
      'w.yaml:22:11: error E308: workload.rx.size: a segment of 128KiB, but the device takes 64KiB',
    ],
    [
      RX,
      `${RX}    memory: s9\n`,
      [],
      'w.yaml:23:13: error E303: workload.rx.memory: no socket "s9"; there is s0; did you mean "s0"?',
    ],
    [
      RX,
      `${RX}    completers: 23\n`,
      [],
      'w.yaml:20:14: error E307: workload.rx.threads: 25 threads on the 24 cores of socket "s0"; each thread needs a core of its own',
    ],
    [
      RX,
      '    size: 512KiB\n',
      ['os.dma.mode=bounce'],
      '--set os.dma.mode=bounce: error E308: workload.rx.size: a mapping of 512KiB is copied, but a bounce buffer has at most 256KiB',
    ],
    [
      RX,
      RX,
      ['os.dma.mode=passthrough', 'os.dma.bounce=untrusted'],
      '--set os.dma.bounce=untrusted: error E305: os.dma.bounce: "untrusted" is for buffers behind an IOMMU, but mode passthrough does not translate',
    ],
    [
      RX,
      RX,
      ['os.dma.bounce=sometimes'],
      '--set os.dma.bounce=sometimes: error E104: os.dma.bounce: "sometimes" is not one of never, untrusted, always',
    ],
    [
      RX,
      RX,
      ['os.dma.swiotlb.size=4KiB'],
      '--set os.dma.swiotlb.size=4KiB: error E204: os.dma.swiotlb.size: 4KiB is outside the range: at least 256KiB is needed',
    ],
    [
      RX,
      RX,
      ['os.dma.flushQueue.kind=double'],
      '--set os.dma.flushQueue.kind=double: error E104: os.dma.flushQueue.kind: "double" is not one of per-cpu, single',
    ],
    [
      'seeds: 2\n',
      `${LOOP}mode: sg, granule: 1025}\nseeds: 2\n`,
      [],
      'w.yaml:32:109: error E204: workload.loop.granule: a list has at most 1024 segments, got 1025',
    ],
    [
      'seeds: 2\n',
      `${LOOP}granule: 2, placement: scattered}\nseeds: 2\n`,
      [],
      'w.yaml:32:113: error E305: workload.loop.placement: only the segments of a scatter list can lie apart: one mapping is one piece of memory',
    ],
  ])('%j instead of %j with %j', (from, to, sets, line) => {
    const text = sampleWith(from, to);
    const found = from === to ? failure(SAMPLE, sets) : failure(text, sets);
    expect(found).toEqual([line]);
  });
});

describe('robustness', () => {
  type Path = readonly (string | number)[];

  function paths(value: unknown, prefix: Path = []): Path[] {
    if (typeof value !== 'object' || value === null) {
      return [prefix];
    }
    return [prefix, ...Object.entries(value).flatMap(([key, child]) => paths(child, [...prefix, key]))];
  }

  const tree = parse(
    sampleWithSweep(
      '  zip: {os.dma.mode: [lazy, strict], workload.rx.threads: [1, 2]}\n  cross: {machine.preset: [skx-8160, spr-8480]}',
    ),
  );
  const resolved = parse(resolveWorkload(SAMPLE, 'w.yaml').resolved);
  const values = fc.oneof(
    fc.constantFrom(
      null,
      '',
      0,
      -1,
      1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      2 ** 60,
      true,
      'x',
      '5ns',
      '3KiB',
      '7%',
      [],
      {},
      [[]],
      { preset: 'nfp6000' },
      's0',
      'constructor',
      '1e999ns',
    ),
    fc.jsonValue({ maxDepth: 2 }),
  );

  function mutate(root: unknown, path: Path, kind: string, value: unknown): unknown {
    const copy = structuredClone(root) as Record<string, unknown>;
    let parent: Record<string | number, unknown> = copy;
    for (const key of path.slice(0, -1)) parent = parent[key] as Record<string, unknown>;
    const key = path.at(-1);
    if (key === undefined) return value;
    if (kind === 'delete') delete parent[key];
    else if (kind === 'set') parent[key] = value;
    else {
      parent[kind === 'typo' ? `${key}x` : String(value).slice(0, 20)] = parent[key];
      delete parent[key];
    }
    return copy;
  }

  test.each([
    ['with presets and a sweep', tree],
    ['written out', resolved],
  ])('a mutated file %s resolves or fails with InputError, never otherwise', (_, root) => {
    const mutation = fc.tuple(
      fc.constantFrom(...paths(root)),
      fc.constantFrom('delete', 'set', 'set', 'typo', 'rename'),
      values,
    );
    fc.assert(
      fc.property(fc.array(mutation, { minLength: 1, maxLength: 3 }), (mutations) => {
        let mutated = root as unknown;
        for (const [path, kind, value] of mutations) {
          try {
            mutated = mutate(mutated, path, kind, value);
          } catch {
            // The path went away with an earlier mutation.
          }
        }
        const text = stringify(mutated, { aliasDuplicateObjects: false });
        try {
          const plan = resolveWorkload(text, 'm.yaml');
          expect(plan.points.length).toBeGreaterThan(0);
        } catch (error) {
          if (!(error instanceof InputError)) throw error;
          for (const problem of error.problems) expect(ERROR_CODES[problem.code]).toBeDefined();
          for (const line of error.message.split('\n')) expect(line).toMatch(/^m\.yaml(:\d+:\d+)?: error E\d{3}: ./);
        }
      }),
      { numRuns: 400 },
    );
  });

  test('arbitrary text never gives anything but InputError', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        expect(() => resolveWorkload(text, 'm.yaml')).toThrow(InputError);
      }),
      { numRuns: 300 },
    );
  });
});

import { describe, expect, test } from 'vitest';
import { CAPABILITIES, HandMadeMachine, LEAF, type Shape, TARGET_OFFSET } from '../testing/riscv-machine.js';
import type { Answer, VectorAccess } from '../vectors/vector.js';
import { riscvReference } from './riscv.js';
import { extract } from './riscv-stages.js';

const SV39: Shape = { directory: 3, first: 3, second: 0 };
const NESTED: Shape = { directory: 3, first: 3, second: 3 };
const PROCESS: Shape = { directory: 1, process: 3, first: 3, second: 0, rid: 0x08 };
const EN_ATS = 1n << 1n;
const T2GPA = 1n << 3n;
const DTF = 1n << 4n;
const GADE = 1n << 7n;
const SADE = 1n << 8n;
const DPE = 1n << 9n;

function answer(machine: HandMadeMachine, change: Partial<VectorAccess> = {}): Answer {
  return riscvReference.answer(machine.vector(change))[0]!;
}

function code(machine: HandMadeMachine, change: Partial<VectorAccess> = {}): number | 'ok' {
  const result = answer(machine, change);
  return result.ok ? 'ok' : result.code;
}

describe('cold reads', () => {
  // directory levels, process levels, first-stage levels, second-stage levels, reads.
  test.each([
    [1, 0, 0, 0, 1],
    [1, 0, 3, 0, 4],
    [2, 0, 3, 0, 5],
    [3, 0, 0, 0, 3],
    [3, 0, 3, 0, 6],
    [3, 0, 4, 0, 7],
    [3, 0, 5, 0, 8],
    [3, 0, 0, 3, 6],
    [3, 0, 0, 5, 8],
    [3, 0, 3, 3, 18],
    [3, 0, 3, 5, 26],
    [3, 0, 4, 4, 27],
    [3, 0, 5, 3, 26],
    [3, 0, 5, 5, 38],
    [3, 1, 3, 0, 7],
    [3, 2, 3, 0, 8],
    [3, 3, 3, 0, 9],
    [3, 1, 3, 3, 22],
    [3, 2, 3, 4, 32],
    [3, 3, 3, 5, 44],
  ] as const)(
    '%i-level DDT, %i-level PDT, %i and %i levels of pages: %i',
    (directory, process, first, second, reads) => {
      for (const extended of [false, true]) {
        const pasid = [0, 0x21, 0x1_2321, 0x5_4321][process]!;
        const iova = first === 0 && second > 0 ? 0x1_0000_0000n : undefined;
        const shape = { directory, process, first, second, extended, pasid, rid: directory === 1 ? 0x08 : 0x1234 };
        const machine = new HandMadeMachine({ ...shape, ...(iova !== undefined && { iova }) });
        const result = answer(machine);
        expect(result.ok).toBe(true);
        expect(result.accesses.length).toBe(reads);
        expect(result.accesses.every(({ kind }) => kind === 'r')).toBe(true);
      }
    },
  );

  test('addresses and widths, in order', () => {
    const machine = new HandMadeMachine(PROCESS);
    const [directory] = machine.directory;
    const [pc, pdt1, pdt2] = machine.processes;
    const [leaf, middle, root] = machine.first;
    expect(answer(machine).accesses.map(({ address, bytes }) => [address, bytes])).toEqual([
      [directory, 32],
      [pdt2, 8],
      [pdt1, 8],
      [pc, 16],
      [root, 8],
      [middle, 8],
      [leaf, 8],
    ]);
    // Requester 0x08 in 32-byte contexts; PASID 0x54321 is 2, 0x143, 0x21.
    expect(directory! & 0xfffn).toBe(0x100n);
    expect(pdt2! & 0xfffn).toBe(2n * 8n);
    expect(pdt1! & 0xfffn).toBe(0x143n * 8n);
    expect(pc! & 0xfffn).toBe(0x21n * 16n);
  });

  test('each table read of the first stage comes after the second-stage reads for it', () => {
    const machine = new HandMadeMachine({ ...NESTED, directory: 1, rid: 0x08 });
    const addresses = answer(machine).accesses.map(({ address }) => address);
    expect([4, 8, 12].map((i) => addresses[i])).toEqual([machine.first[2], machine.first[1], machine.first[0]]);
    expect(addresses[3]).toBe(machine.secondEntry(machine.first[2]!));
    expect(addresses[15]).toBe(machine.secondEntry(machine.target));
  });
});

describe('translated addresses', () => {
  test.each([
    [0, 4096n],
    [1, 0x20_0000n],
    [2, 0x4000_0000n],
  ])('a leaf at level %i', (leafLevel, size) => {
    const machine = new HandMadeMachine({ ...SV39, leafLevel });
    expect(answer(machine)).toMatchObject({ ok: true, pa: machine.target + TARGET_OFFSET, size });
  });

  test('of two stages the smaller page counts', () => {
    const machine = new HandMadeMachine({ ...NESTED, leafLevel: 1 });
    expect(answer(machine)).toMatchObject({ ok: true, pa: machine.target + TARGET_OFFSET, size: 4096n });
  });

  test('nothing is translated by two Bare stages, so there is no size', () => {
    const machine = new HandMadeMachine({ ...SV39, first: 0, iova: 0xdead_beef_0000_0000n });
    expect(answer(machine)).toEqual({
      ok: true,
      pa: 0xdead_beef_0000_0000n + TARGET_OFFSET,
      accesses: expect.any(Array) as unknown,
    });
  });

  test('a NAPOT entry takes four bits of the page number from the address', () => {
    const machine = new HandMadeMachine(SV39);
    machine.words.set(machine.first[0]!, LEAF | (1n << 63n) | (0x10_5678n << 10n));
    // The input page is 0x...203: page 3 of the region at 0x105670.
    expect(answer(machine)).toMatchObject({ ok: true, pa: 0x1_0567_3678n, size: 0x1_0000n });
    for (const low of [0n, 1n, 4n, 9n, 0xcn]) {
      machine.words.set(machine.first[0]!, LEAF | (1n << 63n) | ((0x10_5670n | low) << 10n));
      expect(code(machine)).toBe(13);
    }
  });
});

describe('directory', () => {
  test('Off refuses all, Bare passes untranslated requests, a reserved mode is not taken', () => {
    const machine = new HandMadeMachine(SV39);
    const withMode = (mode: bigint, change: Partial<VectorAccess> = {}): Answer => {
      const vector = machine.vector(change);
      return riscvReference.answer({ ...vector, registers: [{ offset: 0x10, bytes: 8, value: mode }] })[0]!;
    };
    expect(withMode(0n)).toEqual({ ok: false, code: 256, accesses: [] });
    expect(withMode(5n)).toEqual({ ok: false, code: 256, accesses: [] });
    expect(withMode(1n)).toEqual({ ok: true, pa: machine.iova + TARGET_OFFSET, accesses: [] });
    expect(withMode(1n, { at: 'ats' })).toMatchObject({ ok: false, code: 260 });
    expect(withMode(1n, { at: 'translated' })).toMatchObject({ ok: false, code: 260 });
  });

  test.each([
    [1, false, 0x7f, 0x80],
    [1, true, 0x3f, 0x40],
    [2, false, 0xffff, 0x1_0000],
    [2, true, 0x7fff, 0x8000],
  ] as const)('%i levels, extended %s: id 0x%x fits, 0x%x does not', (directory, extended, fits, wide) => {
    const machine = new HandMadeMachine({ directory, extended, first: 3, second: 0, rid: fits });
    expect(code(machine)).toBe('ok');
    expect(answer(machine, { rid: wide })).toEqual({ ok: false, code: 260, accesses: [] });
  });

  test('absent and reserved entries', () => {
    for (const level of [1, 2]) {
      const absent = new HandMadeMachine(SV39);
      absent.change(absent.directory[level]!, 0n, 1n);
      expect(answer(absent)).toMatchObject({ ok: false, code: 258 });
      expect(answer(absent).accesses.length).toBe(3 - level);
      for (const bit of [1n, 9n, 54n, 63n]) {
        const reserved = new HandMadeMachine(SV39);
        reserved.change(reserved.directory[level]!, 1n << bit);
        expect(code(reserved)).toBe(259);
      }
    }
  });

  test('an address beyond capabilities.PAS is not read', () => {
    const capabilities = (CAPABILITIES & ~(63n << 32n)) | (40n << 32n);
    const ddt = new HandMadeMachine({ ...SV39, capabilities });
    ddt.change(ddt.directory[1]!, 1n << 38n);
    expect(answer(ddt)).toMatchObject({ ok: false, code: 257 });
    expect(answer(ddt).accesses.length).toBe(2);
    const pdt = new HandMadeMachine({ ...PROCESS, capabilities });
    pdt.change(pdt.processes[1]!, 1n << 38n);
    expect(code(pdt)).toBe(265);
    const table = new HandMadeMachine({ ...SV39, capabilities });
    table.change(table.first[1]!, 1n << 38n);
    expect(code(table)).toBe(5);
    expect(code(table, { kind: 'w' })).toBe(7);
    expect(code(table, { kind: 'x' })).toBe(1);
    const nested = new HandMadeMachine({ ...NESTED, capabilities });
    nested.change(nested.secondEntry(nested.first[0]!), 1n << 38n);
    expect(code(nested)).toBe(5);
  });
});

describe('device-context checks', () => {
  const reduced = (drop: bigint): bigint => CAPABILITIES & ~drop;
  const set =
    (index: number, word: bigint) =>
    (machine: HandMadeMachine): void =>
      machine.change(machine.directory[0]! + BigInt(8 * index), word);
  const mode = (index: number, value: bigint) => (machine: HandMadeMachine) =>
    machine.change(machine.directory[0]! + BigInt(8 * index), value << 60n, 15n << 60n);

  test.each<[string, Shape, (machine: HandMadeMachine) => void]>([
    ['tc reserved, low', SV39, set(0, 1n << 12n)],
    ['tc reserved, high', SV39, set(0, 1n << 63n)],
    ['ta reserved', SV39, set(2, 1n << 11n)],
    ['ta reserved above PSCID', SV39, set(2, 1n << 32n)],
    ['RCID without QOSID', SV39, set(2, 1n << 40n)],
    ['fsc reserved', SV39, set(3, 1n << 44n)],
    ['pdtp reserved', PROCESS, set(3, 1n << 59n)],
    ['msiptp reserved', { ...SV39, extended: true }, set(4, 1n << 44n)],
    ['msiptp mode', { ...SV39, extended: true }, set(4, 2n << 60n)],
    ['mask reserved', { ...SV39, extended: true }, set(5, 1n << 52n)],
    ['pattern reserved', { ...SV39, extended: true }, set(6, 1n << 63n)],
    ['last doubleword', { ...SV39, extended: true }, set(7, 1n)],
    ['EN_ATS without ATS', { ...SV39, capabilities: reduced(1n << 25n) }, set(0, EN_ATS)],
    ['EN_PRI without EN_ATS', SV39, set(0, 1n << 2n)],
    ['PRPR without EN_PRI', SV39, set(0, EN_ATS | (1n << 6n))],
    ['T2GPA without EN_ATS', NESTED, set(0, T2GPA)],
    ['T2GPA without the capability', { ...NESTED, capabilities: reduced(1n << 26n) }, set(0, EN_ATS | T2GPA)],
    ['T2GPA with a Bare second stage', SV39, set(0, EN_ATS | T2GPA)],
    ['DPE without PDTV', SV39, set(0, DPE)],
    ['SBE', SV39, set(0, 1n << 10n)],
    ['SXL', SV39, set(0, 1n << 11n)],
    ['SADE without AMO_HWAD', { ...SV39, capabilities: reduced(1n << 24n) }, set(0, SADE)],
    ['GADE without AMO_HWAD', { ...SV39, capabilities: reduced(1n << 24n) }, set(0, GADE)],
    ['iosatp mode 1', SV39, mode(3, 1n)],
    ['iosatp mode 11', SV39, mode(3, 11n)],
    ['iosatp custom mode', SV39, mode(3, 14n)],
    ['iosatp without Sv39', { ...SV39, capabilities: reduced(1n << 9n) }, () => {}],
    ['pdtp mode 4', PROCESS, mode(3, 4n)],
    ['pdtp without PD20', { ...PROCESS, capabilities: reduced(1n << 40n) }, () => {}],
    ['iohgatp mode 7', NESTED, mode(1, 7n)],
    ['iohgatp mode 11', NESTED, mode(1, 11n)],
    ['iohgatp mode with processes', { ...PROCESS, second: 3 }, mode(1, 5n)],
    ['iohgatp without Sv39x4', { ...NESTED, capabilities: reduced(1n << 17n) }, () => {}],
    ['iohgatp not on 16 KiB', NESTED, set(1, 1n)],
  ])('%s: 259', (_, shape, change) => {
    const machine = new HandMadeMachine(shape);
    change(machine);
    expect(code(machine)).toBe(259);
    machine.change(machine.directory[0]!, 0n, 1n);
    expect(code(machine)).toBe(258);
  });

  test.each<[string, Shape, (machine: HandMadeMachine) => void]>([
    ['custom bits of tc', SV39, set(0, 0xffn << 24n)],
    ['EN_PRI and PRPR with EN_ATS', SV39, set(0, EN_ATS | (1n << 2n) | (1n << 6n))],
    ['RCID with QOSID', { ...SV39, capabilities: CAPABILITIES | (1n << 41n) }, set(2, 1n << 51n)],
    ['mask and pattern with msiptp Off', { ...SV39, extended: true }, set(5, (1n << 52n) - 1n)],
    ['PSCID with PDTV', PROCESS, set(2, 0xfffffn << 12n)],
  ])('%s: allowed', (_, shape, change) => {
    const machine = new HandMadeMachine(shape);
    change(machine);
    expect(code(machine)).toBe('ok');
  });
});

describe('processes', () => {
  test('process ids and the directory', () => {
    expect(code(new HandMadeMachine(SV39), { pasid: 1 })).toBe(260);
    const pd8 = new HandMadeMachine({ ...PROCESS, process: 1, pasid: 0xff });
    expect(code(pd8)).toBe('ok');
    expect(code(pd8, { pasid: 0x100 })).toBe(260);
    const pd17 = new HandMadeMachine({ ...PROCESS, process: 2, pasid: 0x1_ffff });
    expect(code(pd17)).toBe('ok');
    expect(code(pd17, { pasid: 0x2_0000 })).toBe(260);
  });

  test('without a process id the first stage is Bare, or process 0 is used if DPE is set', () => {
    const machine = new HandMadeMachine(PROCESS);
    expect(answer(machine, { pasid: null })).toMatchObject({ ok: true, pa: machine.iova + TARGET_OFFSET });
    const withDefault = new HandMadeMachine({ ...PROCESS, pasid: 0, control: DPE });
    expect(answer(withDefault, { pasid: null })).toMatchObject({ ok: true, pa: withDefault.target + TARGET_OFFSET });
    // A privilege request means nothing without PASID, even if process 0 refuses supervisors.
    withDefault.change(withDefault.processes[0]!, 0n, 2n);
    expect(code(withDefault, { pasid: null, privileged: true })).toBe('ok');
    const absent = new HandMadeMachine({ ...PROCESS, control: DPE });
    expect(code(absent, { pasid: null })).toBe(266);
  });

  test.each<[string, (machine: HandMadeMachine) => void, number]>([
    ['absent directory', (machine) => machine.change(machine.processes[1]!, 0n, 1n), 266],
    ['reserved bit of a directory', (machine) => machine.change(machine.processes[2]!, 1n << 54n), 267],
    ['absent context', (machine) => machine.change(machine.processes[0]!, 0n, 1n), 266],
    ['reserved bit 3', (machine) => machine.change(machine.processes[0]!, 8n), 267],
    ['reserved bit 32', (machine) => machine.change(machine.processes[0]!, 1n << 32n), 267],
    ['fsc reserved', (machine) => machine.change(machine.processes[0]! + 8n, 1n << 50n), 267],
    ['mode 9 + 2', (machine) => machine.change(machine.processes[0]! + 8n, 3n << 60n), 267],
  ])('%s', (_, change, cause) => {
    const machine = new HandMadeMachine(PROCESS);
    change(machine);
    expect(code(machine)).toBe(cause);
  });

  test('a directory that the second stage does not map is a guest page fault of the access', () => {
    const machine = new HandMadeMachine({ ...PROCESS, second: 3 });
    const entry = machine.processes[1]!;
    machine.words.set(machine.secondEntry(entry), 0n);
    const implicitRead = { ok: false, address2: entry | 1n };
    expect(answer(machine)).toMatchObject({ ...implicitRead, code: 21 });
    expect(answer(machine, { kind: 'w' })).toMatchObject({ ...implicitRead, code: 23 });
    expect(answer(machine, { kind: 'x' })).toMatchObject({ ...implicitRead, code: 20 });
  });

  test('ENS, SUM and U', () => {
    const machine = new HandMadeMachine(PROCESS);
    const privileged = { privileged: true } as const;
    // ENS = 1, SUM = 0: no user page for a supervisor.
    expect(code(machine, privileged)).toBe(13);
    machine.change(machine.processes[0]!, 4n);
    expect(code(machine, privileged)).toBe('ok');
    machine.change(machine.first[0]!, 8n);
    expect(code(machine, { ...privileged, kind: 'x' })).toBe(12);
    expect(code(machine, { kind: 'x' })).toBe('ok');
    machine.change(machine.first[0]!, 0n, 16n);
    expect(code(machine, { ...privileged, kind: 'x' })).toBe('ok');
    expect(code(machine, privileged)).toBe('ok');
    expect(code(machine)).toBe(13);
    machine.change(machine.processes[0]!, 0n, 2n);
    expect(code(machine, privileged)).toBe(260);
  });
});

describe('page tables', () => {
  const V = 1n;
  const RWX = 14n;
  test.each<[string, (machine: HandMadeMachine) => void]>([
    ['absent leaf', (machine) => machine.change(machine.first[0]!, 0n, V)],
    ['absent pointer', (machine) => machine.change(machine.first[2]!, 0n, V)],
    ['W without R', (machine) => machine.change(machine.first[0]!, 4n, 2n)],
    ['reserved bit 54', (machine) => machine.change(machine.first[0]!, 1n << 54n)],
    ['bit 60 without Svrsw60t59b', (machine) => machine.change(machine.first[0]!, 1n << 60n)],
    ['memory type without Svpbmt', (machine) => machine.change(machine.first[0]!, 1n << 61n)],
    ['reserved bit of a pointer', (machine) => machine.change(machine.first[1]!, 1n << 58n)],
    ['A of a pointer', (machine) => machine.change(machine.first[1]!, 64n)],
    ['D of a pointer', (machine) => machine.change(machine.first[1]!, 128n)],
    ['U of a pointer', (machine) => machine.change(machine.first[1]!, 16n)],
    ['N of a pointer', (machine) => machine.change(machine.first[1]!, 1n << 63n)],
    ['pointer at level 0', (machine) => machine.change(machine.first[0]!, 0n, RWX | 0xd0n)],
    ['no R', (machine) => machine.change(machine.first[0]!, 8n, 6n)],
    ['supervisor page', (machine) => machine.change(machine.first[0]!, 0n, 16n)],
    ['A = 0', (machine) => machine.change(machine.first[0]!, 0n, 64n)],
    ['misaligned 2 MiB', (machine) => machine.change(machine.first[1]!, 0xd6n | (1n << 10n))],
  ])('%s: page fault', (_, change) => {
    const machine = new HandMadeMachine(SV39);
    change(machine);
    expect(code(machine)).toBe(13);
  });

  test('G and software bits are of no effect, D and W matter to writes only, execute needs X alone', () => {
    const machine = new HandMadeMachine(SV39);
    machine.change(machine.first[0]!, 0x320n, 0x80n);
    machine.change(machine.first[2]!, 0x320n);
    expect([code(machine), code(machine, { kind: 'w' }), code(machine, { kind: 'rw' })]).toEqual(['ok', 15, 15]);
    machine.change(machine.first[0]!, 0x88n, 6n);
    expect([code(machine), code(machine, { kind: 'w' }), code(machine, { kind: 'x' })]).toEqual([13, 15, 'ok']);
  });

  test.each([
    [3, 39n],
    [4, 48n],
    [5, 57n],
  ] as const)('%i levels: bits above the width repeat the highest', (first, width) => {
    const highest = 1n << (width - 1n);
    const negative = (1n << 64n) - highest;
    const machine = new HandMadeMachine({ ...SV39, first, iova: negative });
    expect(code(machine)).toBe('ok');
    for (const iova of [highest, negative ^ (1n << 63n), negative ^ highest]) {
      expect(answer(machine, { iova })).toMatchObject({ ok: false, code: 13 });
      expect(answer(machine, { iova }).accesses.length).toBe(3);
    }
  });

  test.each([
    [3, 41n],
    [4, 50n],
    [5, 59n],
  ] as const)('%i levels of the second stage take addresses below bit %i', (second, width) => {
    const iova = (1n << width) - 4096n;
    const machine = new HandMadeMachine({ ...SV39, first: 0, second, iova });
    machine.words.set(machine.secondEntry(iova), LEAF | (0x14_0000n << 10n));
    expect(answer(machine)).toMatchObject({ ok: true, pa: 0x1_4000_0678n, size: 4096n });
    expect(answer(machine, { iova: 1n << width })).toMatchObject({ ok: false, code: 21, address2: 1n << width });
    expect(answer(machine, { iova: 1n << width }).accesses.length).toBe(3);
  });

  test('second-stage faults are of the access, with the guest address', () => {
    const machine = new HandMadeMachine(NESTED);
    machine.words.set(machine.secondEntry(machine.target), 0n);
    const address2 = machine.target + TARGET_OFFSET;
    expect(answer(machine)).toMatchObject({ ok: false, code: 21, address2 });
    expect(answer(machine, { kind: 'w' })).toMatchObject({ ok: false, code: 23, address2 });
    const implicit = new HandMadeMachine(NESTED);
    implicit.change(implicit.secondEntry(implicit.first[1]!), 0n, 16n);
    expect(answer(implicit, { kind: 'w' })).toMatchObject({ code: 23, address2: implicit.first[1]! | 1n });
    // A write does not need a writable table.
    const readOnly = new HandMadeMachine(NESTED);
    readOnly.change(readOnly.secondEntry(readOnly.first[0]!), 0n, 4n);
    expect(code(readOnly, { kind: 'w' })).toBe('ok');
  });

  test('DTF hides what tables refuse, not what the directory refuses', () => {
    const machine = new HandMadeMachine({ ...SV39, control: DTF });
    machine.change(machine.first[0]!, 0n, V);
    expect(answer(machine)).toMatchObject({ ok: false, code: 13, silent: true });
    machine.change(machine.directory[0]!, 1n << 40n);
    expect(answer(machine)).not.toHaveProperty('silent');
  });
});

describe('accessed and dirty bits', () => {
  const A = 64n;
  const D = 128n;

  test('SADE sets them once', () => {
    const machine = new HandMadeMachine({ ...SV39, control: SADE });
    machine.change(machine.first[0]!, 0n, A | D);
    const answers = riscvReference.answer(machine.vector({}, {}, { kind: 'w' }, { kind: 'w' }));
    const atomics = answers.map(({ accesses }) => accesses.filter(({ kind }) => kind === 'a'));
    const update = { kind: 'a', bytes: 8, address: machine.first[0]! };
    expect(atomics).toEqual([[update], [], [update], []]);
    expect(answers.every(({ ok }) => ok)).toBe(true);
    // The vector itself is not changed.
    expect(machine.words.get(machine.first[0]!)! & (A | D)).toBe(0n);
  });

  test('GADE: one update for each table page and the target', () => {
    const machine = new HandMadeMachine({ ...NESTED, control: GADE });
    for (const page of [...machine.first, machine.target]) machine.change(machine.secondEntry(page), 0n, A | D);
    const { accesses } = answer(machine);
    expect(accesses.filter(({ kind }) => kind === 'r').length).toBe(18);
    expect(accesses.filter(({ kind }) => kind === 'a').length).toBe(4);
    const without = new HandMadeMachine(NESTED);
    without.change(without.secondEntry(without.first[2]!), 0n, A);
    expect(code(without)).toBe(21);
  });

  test('a first-stage update needs a writable table page', () => {
    const machine = new HandMadeMachine({ ...NESTED, control: SADE });
    machine.change(machine.first[0]!, 0n, A);
    machine.change(machine.secondEntry(machine.first[0]!), 0n, 4n | D);
    expect(answer(machine)).toMatchObject({ ok: false, code: 21, address2: machine.first[0]! | 3n });
  });

  test('with SADE a clean writable table page is refused if GADE does not make it dirty', () => {
    const machine = new HandMadeMachine({ ...NESTED, control: SADE });
    machine.change(machine.secondEntry(machine.first[0]!), 0n, D);
    expect(code(machine)).toBe(21);
    machine.change(machine.directory[0]!, GADE);
    expect(code(machine)).toBe('ok');
  });
});

describe('ATS', () => {
  test('EN_ATS is needed; a translated request is not translated again', () => {
    const machine = new HandMadeMachine(NESTED);
    expect(code(machine, { at: 'ats' })).toBe(260);
    expect(code(machine, { at: 'translated' })).toBe(260);
    machine.change(machine.directory[0]!, EN_ATS);
    expect(code(machine, { at: 'ats' })).toBe('ok');
    expect(answer(machine, { at: 'translated' })).toMatchObject({ ok: true, pa: machine.iova + TARGET_OFFSET });
    expect(answer(machine, { at: 'translated' }).accesses.length).toBe(3);
  });

  test('with T2GPA the answer is a guest address, and translated requests take the second stage', () => {
    const machine = new HandMadeMachine({ ...NESTED, control: EN_ATS | T2GPA });
    machine.words.set(machine.secondEntry(machine.target), LEAF | (0x14_0000n << 10n));
    expect(answer(machine, { at: 'ats' })).toMatchObject({ ok: true, pa: machine.target + TARGET_OFFSET });
    const translated = answer(machine, { at: 'translated', iova: machine.target + TARGET_OFFSET });
    expect(translated).toMatchObject({ ok: true, pa: 0x1_4000_0678n, size: 4096n });
    expect(translated.accesses.length).toBe(6);
  });

  test('a denied permission is no fault, an absent entry leaves no record, a broken directory does', () => {
    const machine = new HandMadeMachine({ ...SV39, control: EN_ATS });
    machine.change(machine.first[0]!, 0n, 4n);
    expect(code(machine, { at: 'ats', kind: 'w' })).toBe('ok');
    machine.change(machine.first[0]!, 0n, 1n);
    expect(answer(machine, { at: 'ats', kind: 'w' })).toMatchObject({ ok: false, code: 13, silent: true });
    machine.change(machine.directory[1]!, 0n, 1n);
    expect(answer(machine, { at: 'ats' })).toMatchObject({ ok: false, code: 258 });
    expect(answer(machine, { at: 'ats' })).not.toHaveProperty('silent');
  });
});

describe('MSI page tables', () => {
  const TABLE = 0x1_5000_0000n;
  const entry = (flags: bigint): bigint => flags | (0x14_0000n << 10n);

  function interrupt(word: bigint, change: Partial<VectorAccess> = {}): Answer {
    const machine = new HandMadeMachine({ ...SV39, extended: true, first: 0, second: 3, iova: 0x9_5000n });
    machine.context(4, (1n << 60n) | (TABLE >> 12n));
    machine.context(5, 0xa0n);
    machine.context(6, 0x15n);
    // Page 0x95 under mask 0xa0: bits 7 and 5 are 1 and 0, entry 2.
    machine.words.set(TABLE + 2n * 16n, word);
    return answer(machine, { kind: 'w', ...change });
  }

  test('bits that the mask selects are packed', () => {
    expect(extract(0b1011_0110n, 0b1010_0110n)).toBe(0b1111n);
    expect(extract(0x95n, 0xa0n)).toBe(2n);
  });

  test('basic translate mode', () => {
    const result = interrupt(entry(7n));
    expect(result).toMatchObject({ ok: true, pa: 0x1_4000_0678n, size: 4096n });
    expect(result.accesses.at(-1)).toEqual({ kind: 'r', bytes: 16, address: TABLE + 32n });
    expect(interrupt(entry(7n), { kind: 'x' })).toMatchObject({ ok: false, code: 1 });
  });

  test.each([
    ['absent', entry(6n), 262],
    ['mode 0', entry(1n), 263],
    ['mode 2', entry(5n), 263],
    ['MRIF mode without the capability', entry(3n), 263],
    ['custom', entry(7n) | (1n << 63n), 263],
    ['reserved bit 3', entry(15n), 263],
    ['reserved bit 54', entry(7n) | (1n << 54n), 263],
  ])('%s', (_, word, cause) => {
    expect(interrupt(word)).toMatchObject({ ok: false, code: cause });
  });

  test('other pages take the second stage', () => {
    expect(interrupt(entry(7n), { iova: 0x9_6000n })).toMatchObject({ ok: false, code: 23, address2: 0x9_6000n });
  });
});

test('what is not modelled is said', () => {
  const vector = new HandMadeMachine(SV39).vector();
  const answering =
    (change: Partial<typeof vector>): (() => Answer[]) =>
    () =>
      riscvReference.answer({ ...vector, ...change });
  expect(answering({ config: [] })).toThrow('cfg capabilities');
  expect(answering({ config: [...vector.config, ['fctl', '1']] })).toThrow('fctl.BE');
  expect(answering({ registers: [{ offset: 24, bytes: 8, value: 0n }] })).toThrow('register 0x18');
  expect(answering({ architecture: 'vtd' })).toThrow('not a riscv vector');
});

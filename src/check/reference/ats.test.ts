/**
 * Hand-made cases of translation requests and translated requests on the plain walkers: Arm IHI 0070G 3.9.1.2, 3.9.1.3 and 13.7; AMD 48882 2.2.2 (I); Intel VT-d
 * rev. 5.10 4.2 and 7.1.3. Those of RISC-V stand in riscv.test.ts.
 */
import { describe, expect, test } from 'vitest';
import type { Answer, Vector, VectorAccess } from '../vectors/vector.js';
import {
  AF,
  CD,
  CONFIG,
  DBM,
  FIT1,
  FIT2,
  IOVA,
  IPA,
  nested,
  one,
  PAGE,
  put,
  READ_ONLY,
  S1_4K48,
  S2_4K44,
  stage1,
  stage2,
  STE,
  USER,
  V1,
  type Words,
} from '../testing/smmuv3-machine.js';
import { amdviReference } from './amdvi.js';
import { VTD_REFERENCE } from './vtd.js';

/** `ok rw`, or the status of the completion and the code, `recorded` if a record is left. */
function ending(answer: Answer): string {
  if (answer.ok) return `ok ${answer.permissions ?? ''}`.trim();
  return `${answer.status ?? 'aborted'} ${answer.code}${answer.silent === true ? '' : ' recorded'}`;
}

const EATS = 1n << 28n;
const SETUP = { cr0: 0x11n };

/** The same with ATS in the stream table entry. */
function withAts(words: Words): Words {
  words.set(STE + 8n, (words.get(STE + 8n) ?? 0n) | EATS);
  return words;
}

describe('SMMUv3', () => {
  const ask = (words: Words, kind: 'r' | 'w' = 'w', iova = IOVA): string =>
    ending(one(words, { iova, kind, at: 'ats' }, SETUP));

  test.each([
    ['read and write', FIT1, 'ok rw'],
    ['read only', FIT1 | READ_ONLY, 'ok r'],
    ['not of the unprivileged', AF, 'success 19'],
    ['no access flag', USER, 'success 18'],
  ])('stage 1, %s', (_, attributes, expected) => {
    expect(ask(withAts(stage1(PAGE | attributes | 3n)))).toBe(expected);
  });

  test.each([
    ['read and write', FIT2, 'ok rw'],
    ['write only', AF | (2n << 6n), 'ok w'],
    ['nothing', AF, 'success 19'],
  ])('stage 2, %s', (_, attributes, expected) => {
    expect(ask(withAts(stage2(PAGE | attributes | 3n)), 'w', IPA)).toBe(expected);
  });

  test('hardware marks a page dirty for a device that means to write, and not for one that does not', () => {
    const HA_HD = 3n << 42n;
    const words = (): Words => withAts(stage1(PAGE | USER | READ_ONLY | DBM | 3n, HA_HD));
    const config = [
      ['stage', '1'],
      ['httu', '2'],
    ] as const;
    const at = (kind: 'r' | 'w'): Answer => one(words(), { iova: IOVA, kind, at: 'ats' }, { ...SETUP, config });
    expect([ending(at('r')), ending(at('w'))]).toEqual(['ok r', 'ok rw']);
    // The access flag, or both in one update.
    for (const kind of ['r', 'w'] as const)
      expect(
        at(kind)
          .accesses.map((each) => each.kind)
          .join(''),
      ).toBe('rrrrrra');
  });

  test('both stages together, and no walk of stage 2 for what stage 1 forbids', () => {
    const readOnly = withAts(nested(S1_4K48, S2_4K44, 2n, { s1: FIT1 | READ_ONLY }));
    const [may, mayNot] = [readOnly, withAts(nested(S1_4K48, S2_4K44, 2n, { s1: AF }))];
    expect(ask(may)).toBe('ok r');
    expect(ask(mayNot)).toBe('success 19');
    const reads = (words: Words): number => one(words, { iova: IOVA, kind: 'r', at: 'ats' }, SETUP).accesses.length;
    expect(reads(may) - reads(mayNot)).toBe(4);
  });

  test.each<[string, () => Words, string, string]>([
    ['EATS 0', () => stage1(), 'ur 5 recorded', 'aborted 7 recorded'],
    [
      'a stream that passes',
      () => withAts(new Map([[STE, V1 | CONFIG.bypass]])),
      'ur 5 recorded',
      'aborted 7 recorded',
    ],
    ['a stream that aborts', () => withAts(new Map([[STE, V1 | CONFIG.abort]])), 'ur 0', 'aborted 0'],
    ['an entry that is not valid', () => withAts(new Map([[STE, CONFIG.s1 | CD]])), 'ca 4', 'aborted 4'],
  ])('%s', (_, words, request, translated) => {
    expect(ask(words())).toBe(request);
    expect(ending(one(words(), { iova: PAGE, at: 'translated' }, SETUP))).toBe(translated);
  });

  test('an illegal context descriptor stops a request, but nothing that is translated already', () => {
    const words = withAts(stage1());
    put(words, CD, 0n);
    expect(ask(words)).toBe('ca 10');
    const answer = one(words, { iova: PAGE, kind: 'w', at: 'translated' }, SETUP);
    expect(answer).toMatchObject({ ok: true, pa: PAGE });
    expect(answer.accesses).toHaveLength(1);
  });

  test('translated requests are checked if CR0.ATSCHK says so, and forbidden while the unit is off', () => {
    expect(ending(one(stage1(), { iova: PAGE, at: 'translated' }))).toBe('ok');
    expect(ending(one(stage1(), { iova: PAGE, at: 'translated' }, { cr0: 0n }))).toBe('aborted 7 recorded');
    expect(ending(one(stage1(), { iova: PAGE, at: 'ats' }, { cr0: 0n }))).toBe('ur 5 recorded');
  });
});

describe('AMD-Vi', () => {
  const TABLE = 0x1_0000_0000n;
  const ROOT = 0x1_0100_0000n;
  const RID = 0x0108;
  const [READ, WRITE] = [1n << 61n, 1n << 62n];
  const IOTLB = 1n << 32n;

  /** A device with one level of host table and a single page; `grants` of the device table entry and of the page. */
  function machine(grants: bigint, page: bigint, second = IOTLB): Vector {
    return {
      architecture: 'amdvi',
      config: [],
      words: new Map([
        [TABLE + 32n * BigInt(RID), 3n | (1n << 9n) | ROOT | grants],
        [TABLE + 32n * BigInt(RID) + 8n, second],
        [ROOT + 8n, page === 0n ? 0n : 1n | 0x1_2345_6000n | page],
      ]),
      tables: [],
      registers: [
        { offset: 0x00, bytes: 8, value: TABLE | 511n },
        { offset: 0x18, bytes: 8, value: 1n },
      ],
      accesses: [],
    };
  }

  const ask = (vector: Vector, more: Partial<VectorAccess> = {}): string => {
    const access: VectorAccess = { id: 0, rid: RID, pasid: null, iova: 0x1000n, kind: 'w', at: 'ats', ...more };
    return ending(amdviReference.answer({ ...vector, accesses: [access] })[0]!);
  };

  test.each([
    ['both', READ | WRITE, READ | WRITE, 'ok rw'],
    ['what the page grants', READ | WRITE, READ, 'ok r'],
    ['what the device table entry grants', WRITE, READ | WRITE, 'ok w'],
    ['what neither takes away', READ, WRITE, 'success 2'],
    ['nothing where there is no page', READ | WRITE, 0n, 'success 2'],
  ])('a request is granted %s', (_, grants, page, expected) => {
    expect(ask(machine(grants, page))).toBe(expected);
  });

  test('of a device without I both are invalid requests', () => {
    const off = machine(READ | WRITE, READ | WRITE, 0n);
    expect(ask(off)).toBe('ur 8 recorded');
    expect(ask(off, { at: 'translated' })).toBe('aborted 8 recorded');
    expect(ask(machine(READ, READ), { at: 'translated' })).toBe('ok');
  });
});

describe('VT-d', () => {
  const ROOT = 0x1_7000_0000n;
  const CONTEXTS = 0x1_7000_1000n;
  const TABLES = [0x1_7001_0000n, 0x1_7001_1000n, 0x1_7001_2000n] as const;
  const RID = 0x0108;

  /** Legacy mode, three levels, the page at 0; `type` is TT of the context entry, `flags` are those of the leaf. */
  function machine(type: bigint, flags: bigint): Vector {
    return {
      architecture: 'vtd',
      config: [
        ['aw', '48'],
        ['scalable', '0'],
        ['rules', 'specification'],
      ],
      words: new Map([
        [ROOT + 16n, CONTEXTS | 1n],
        [CONTEXTS + 128n, TABLES[0] | (type << 2n) | 1n],
        [CONTEXTS + 136n, (7n << 8n) | 1n],
        [TABLES[0], TABLES[1] | 3n],
        [TABLES[1], TABLES[2] | 3n],
        [TABLES[2], flags === 0n ? 0n : 0x1_2345_6000n | flags],
      ]),
      tables: [],
      registers: [
        { offset: 0x20, bytes: 8, value: ROOT },
        { offset: 0x18, bytes: 4, value: 0x4000_0000n },
        { offset: 0x18, bytes: 4, value: 0x8000_0000n },
      ],
      accesses: [],
    };
  }

  const ask = (vector: Vector, more: Partial<VectorAccess> = {}): string => {
    const access: VectorAccess = { id: 0, rid: RID, pasid: null, iova: 0n, kind: 'w', at: 'ats', ...more };
    return ending(VTD_REFERENCE.answer({ ...vector, accesses: [access] })[0]!);
  };

  test.each([
    ['both', 3n, 'ok rw'],
    ['reads', 1n, 'ok r'],
    ['writes', 2n, 'ok w'],
    ['nothing', 0n, 'success 6'],
  ])('with TT = 1 a request is granted what the page grants: %s', (_, flags, expected) => {
    expect(ask(machine(1n, flags))).toBe(expected);
  });

  test('TT = 0 blocks requests for translations and what is translated', () => {
    expect(ask(machine(0n, 3n))).toBe('ur 13 recorded');
    expect(ask(machine(0n, 3n), { at: 'translated' })).toBe('aborted 13 recorded');
    expect(ask(machine(1n, 0n), { at: 'translated' })).toBe('ok');
  });

  test('an absent context entry is no matter of the page, a PASID in legacy mode neither', () => {
    expect(ask(machine(1n, 3n), { rid: 0x0110 })).toBe('ur 2 recorded');
    expect(ask(machine(1n, 3n), { pasid: 3 })).toBe('ur 49 recorded');
  });
});

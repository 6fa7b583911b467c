import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseVectors, writeVector } from './text.js';
import { MAX_WORD, VectorSyntaxError } from './text-line.js';
import type { StatedAnswer } from './text-reader.js';
import type { MemoryAccess, Vector, VectorAccess } from './vector.js';

const EXAMPLE = `# two machines
ovec 1 riscv
cfg capabilities 0x38070e0010
cfg fctl 0

table 0x100003000 16384
table 4294995968
mem 0x100000000 1 0x0 0x2   # the zero is not kept
mem 0x100001000 0xffffffffffffffff
reg 16 8 0x4000_
`.replace('0x4000_', '0x40000c04');

const ACCESSES = `x 0 0x1234 - 0x678 r
e 0 ok 0x100000678 size=4096 nmem=2
m 0 r 32 0x100001000
m 0 r 8 0x100000000
flush
x 7 8 0x54321 0x9000 rw priv len=64 at=ats
e 7 fault 21 addr=0x9000 addr2=0x100000001 silent=1
m 7 a 8 0x100000008
flush
peek 0x100000000 3
peek 0x100001000
ovec 1 vtd
`;

describe('reading', () => {
  test('every directive', () => {
    const [riscv, vtd] = parseVectors(EXAMPLE + ACCESSES);
    expect(riscv!.vector).toEqual({
      architecture: 'riscv',
      config: [
        ['capabilities', '0x38070e0010'],
        ['fctl', '0'],
      ],
      words: new Map([
        [0x1_0000_0000n, 1n],
        [0x1_0000_0010n, 2n],
        [0x1_0000_1000n, MAX_WORD],
      ]),
      tables: [
        { address: 0x1_0000_3000n, bytes: 16384 },
        { address: 0x1_0000_7000n, bytes: 4096 },
      ],
      registers: [{ offset: 16, bytes: 8, value: 0x4000_0c04n }],
      accesses: [
        { id: 0, rid: 0x1234, pasid: null, iova: 0x678n, kind: 'r' },
        { id: 7, rid: 8, pasid: 0x54321, iova: 0x9000n, kind: 'rw', privileged: true, length: 64, at: 'ats' },
      ],
    });
    expect(riscv!.answers).toEqual([
      {
        ok: true,
        pa: 0x1_0000_0678n,
        size: 4096n,
        accesses: [
          { kind: 'r', bytes: 32, address: 0x1_0000_1000n },
          { kind: 'r', bytes: 8, address: 0x1_0000_0000n },
        ],
      },
      {
        ok: false,
        code: 21,
        address2: 0x1_0000_0001n,
        silent: true,
        accesses: [{ kind: 'a', bytes: 8, address: 0x1_0000_0008n }],
      },
    ]);
    expect(riscv!.flushes).toEqual([1, 2]);
    expect(riscv!.peeks).toEqual([
      { address: 0x1_0000_0000n, words: 3 },
      { address: 0x1_0000_1000n, words: 1 },
    ]);
    expect(vtd!.vector.architecture).toBe('vtd');
    expect(vtd!.answers).toEqual([]);
    expect(parseVectors('# nothing\n\n')).toEqual([]);
  });

  test('a count of reads without the reads themselves is kept', () => {
    const text = 'ovec 1 vtd\nx 0 8 - 0 r\ne 0 ok 0x1000 nmem=4\n';
    const [{ vector, answers }] = parseVectors(text) as [ReturnType<typeof parseVectors>[number]];
    expect(answers).toEqual([{ ok: true, pa: 0x1000n, accesses: [], reads: 4 }]);
    expect(writeVector(vector, answers)).toBe('ovec 1 vtd\nx 0 0x8 - 0x0 r\ne 0 ok 0x1000 nmem=4\n');
  });

  test('lines may end with CR LF', () => {
    expect(parseVectors('ovec 1 vtd\r\nx 0 8 - 0 r\r\n')[0]!.vector.accesses.length).toBe(1);
  });
});

describe('errors name line and column', () => {
  const START = 'ovec 1 riscv\n';
  test.each([
    ['mem 0x1000 1\n', 1, 1, 'starts with'],
    ['ovec 2 riscv\n', 1, 6, 'version must be one of 1, not "2"'],
    ['ovec 1 sparc\n', 1, 8, 'architecture must be one of vtd, amdvi, smmuv3, riscv'],
    ['ovec 1\n', 1, 7, 'architecture is missing'],
    ['ovec 1 riscv now\n', 1, 14, '"now" is too much'],
    [`${START}frob 1\n`, 2, 1, 'unknown directive "frob"'],
    [`${START}table 0x1000\ncfg a 1\n`, 3, 1, 'cfg must stand before'],
    [`${START}cfg a 1\ncfg a 2\n`, 3, 5, 'cfg a is given twice'],
    [`${START}cfg a\n`, 2, 6, 'value is missing'],
    [`${START}mem 0x1004 1\n`, 2, 5, 'multiple of 8'],
    [`${START}mem 0x1000\n`, 2, 11, 'word is missing'],
    [`${START}mem 0x1000 1 -2\n`, 2, 14, 'decimal or 0x-hex'],
    [`${START}mem 0x1000 0x10000000000000000\n`, 2, 12, 'larger than'],
    [`${START}mem 0x1000 1\nmem 0xff8 1 2\n`, 3, 13, 'the word at 0x1000 is given twice'],
    [`${START}mem 0xfffffffffffffff8 1 2\n`, 2, 26, 'beyond the end'],
    [`${START}mem 0x1000 ${Array.from({ length: 513 }, () => '1').join(' ')}\n`, 2, 1036, 'more than 512'],
    [`${START}reg 0x10 2 0\n`, 2, 10, 'bytes must be one of 4, 8'],
    [`${START}reg 0x10 4 0x100000000\n`, 2, 12, 'larger than'],
    [`${START}x 0 8 - 0 r\nmem 0x1000 1\n`, 3, 1, 'mem after the first x'],
    [`${START}x 0 8 - 0 r\nreg 0x10 8 1\n`, 3, 1, 'reg after the first x'],
    [`${START}x 0 8 - 0 r\nx 0 8 - 0 r\n`, 3, 3, 'access 0 is given twice'],
    [`${START}x 0 0x1000000 - 0 r\n`, 2, 5, 'requester id is larger'],
    [`${START}x 0 8 none 0 r\n`, 2, 7, 'pasid must be'],
    [`${START}x 0 8 0x100000 0 r\n`, 2, 7, 'pasid is larger'],
    [`${START}x 0 8 - 0 q\n`, 2, 11, 'kind must be one of r, w, x, rw'],
    [`${START}x 0 8 - 0 r  len=x\n`, 2, 14, 'len must be'],
    [`${START}x 0 8 - 0 r priv=1\n`, 2, 13, 'priv has no value'],
    [`${START}x 0 8 - 0 r at=home\n`, 2, 13, 'at must be'],
    [`${START}x 0 8 - 0 r len=1 len=1\n`, 2, 19, 'given twice'],
    [`${START}x 0 8 - 0 r fast\n`, 2, 13, 'unknown option "fast"; known: priv, len, at'],
    [`${START}x 0 8 - 0 r toString\n`, 2, 13, 'unknown option'],
    [`${START}e 0 ok 0\n`, 2, 3, 'there is no x 0 above'],
    [`${START}x 0 8 - 0 r\ne 0 ok 0\ne 0 ok 0\n`, 4, 3, 'answered twice'],
    [`${START}x 0 8 - 0 r\ne 0 maybe\n`, 3, 5, 'outcome must be one of ok, fault'],
    [`${START}x 0 8 - 0 r\ne 0 fault 13 silent=2\n`, 3, 14, 'silent must be 0 or 1'],
    [`${START}x 0 8 - 0 r at=ats\ne 0 fault 13 status=no\n`, 3, 14, 'status must be success, ur, ca'],
    [`${START}x 0 8 - 0 r at=ats\ne 0 ok 0 perm=x\n`, 3, 10, 'perm must be r, w, rw, rx, rwx'],
    [`${START}x 0 8 - 0 r\ne 0 fault 13 addr=here\n`, 3, 14, 'addr must be'],
    [`${START}x 0 8 - 0 r\ne 0 ok 0 nmem=2\nm 0 r 8 0x1000\n`, 3, 10, 'nmem is 2, but 1 reads are listed'],
    [`${START}x 0 8 - 0 r\nm 0 q 8 0x1000\n`, 3, 5, 'kind of access must be one of r, a, w'],
    [`${START}x 0 8 - 0 r\nm 0 r 8 0x1000\n`, 2, 11, 'm lines, but no e line'],
    [`${START}x 0 8 - 0 r\nx 1 8 - 0 r\ne 0 ok 0\n`, 3, 11, 'no e line, unlike others'],
    [`${START}peek 0x1001\n`, 2, 6, 'multiple of 8'],
    [`${START}flush all\n`, 2, 7, '"all" is too much'],
  ])('%#: %j', (text, line, column, message) => {
    const read = (): unknown => parseVectors(text);
    expect(read).toThrow(VectorSyntaxError);
    expect(read).toThrow(message);
    expect(read).toThrow(`line ${line}, column ${column}: `);
  });
});

describe('writing', () => {
  test('consecutive words are joined, at most 512 on a line, zeros left out', () => {
    const words = new Map(Array.from({ length: 1025 }, (_, i) => [0x2000n + BigInt(8 * i), BigInt(i + 1)]));
    words.set(0x2000n + 8n * 700n, 0n);
    const vector: Vector = { architecture: 'vtd', config: [], words, tables: [], registers: [], accesses: [] };
    const lines = writeVector(vector, []).split('\n');
    expect(lines.map((line) => line.split(' ').length - 2)).toEqual([1, 512, 188, 324, -1]);
    expect(lines[2]!.startsWith('mem 0x3000 0x201 0x202 ')).toBe(true);
    expect(lines[3]!.startsWith('mem 0x35e8 0x2be ')).toBe(true);
  });

  test('memory accesses can be left out, their number stays', () => {
    const [parsed] = parseVectors(EXAMPLE + ACCESSES);
    const short = writeVector(parsed!.vector, parsed!.answers, { memoryAccesses: false });
    expect(short).not.toMatch(/^m /m);
    expect(parseVectors(short)[0]!.answers[0]).toEqual({ ...parsed!.answers[0], accesses: [], reads: 2 });
  });

  test('answers must match the accesses', () => {
    const [parsed] = parseVectors(EXAMPLE + ACCESSES);
    expect(() => writeVector(parsed!.vector, parsed!.answers.slice(1))).toThrow('2 accesses have 1 answers');
  });
});

describe('round trip', () => {
  const word = fc.bigInt({ min: 0n, max: MAX_WORD });
  const aligned = fc.bigInt({ min: 0n, max: (1n << 61n) - 1n }).map((n) => n * 8n);
  const memory: fc.Arbitrary<MemoryAccess> = fc.record({
    kind: fc.constantFrom('r', 'a', 'w'),
    bytes: fc.constantFrom(4, 8, 16, 32, 64),
    address: word,
  });
  const access = fc.record(
    {
      rid: fc.nat(0xffffff),
      pasid: fc.option(fc.nat(0xfffff)),
      iova: word,
      kind: fc.constantFrom<VectorAccess['kind']>('r', 'w', 'x', 'rw'),
      privileged: fc.constant(true as const),
      length: fc.integer({ min: 1, max: 4096 }),
      at: fc.constantFrom('ats' as const, 'translated' as const),
    },
    { requiredKeys: ['rid', 'pasid', 'iova', 'kind'] },
  );
  const accesses = fc.array(memory, { maxLength: 5 });
  const answer: fc.Arbitrary<StatedAnswer> = fc.oneof(
    fc.record(
      { ok: fc.constant(true as const), accesses, pa: word, size: word },
      { requiredKeys: ['ok', 'accesses', 'pa'] },
    ),
    fc.record(
      {
        ok: fc.constant(false as const),
        accesses,
        code: fc.nat(4095),
        address2: word,
        silent: fc.constant(true as const),
      },
      { requiredKeys: ['ok', 'accesses', 'code'] },
    ),
  );
  const parsed = fc
    .record({
      architecture: fc.constantFrom<Vector['architecture']>('vtd', 'amdvi', 'smmuv3', 'riscv'),
      config: fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-z]{1,9}$/), fc.stringMatching(/^[0-9a-z]{1,9}$/)), {
        selector: ([key]) => key,
      }),
      words: fc.array(
        fc.tuple(
          aligned,
          word.filter((value) => value !== 0n),
        ),
      ),
      neighbours: fc.tuple(aligned, fc.nat(1200)),
      tables: fc.array(fc.record({ address: aligned, bytes: fc.constantFrom(4096, 16384) })),
      registers: fc.array(fc.record({ offset: fc.nat(4096), bytes: fc.constant(8 as const), value: word })),
      answered: fc.array(fc.tuple(access, answer), { maxLength: 9 }),
      peeks: fc.array(fc.record({ address: aligned, words: fc.nat(512) })),
    })
    .map(({ words, neighbours: [first, count], answered, peeks, ...rest }) => {
      const map = new Map(words);
      for (let i = 0; i < count; i++) map.set((first + BigInt(8 * i)) & MAX_WORD, BigInt(i + 1));
      const vector: Vector = {
        ...rest,
        words: map,
        accesses: answered.map(([made], index) => ({ id: index * 3, ...made })),
      };
      return { vector, answers: answered.map(([, given]) => given), flushes: [answered.length], peeks };
    });

  test('of any vectors in one text', () => {
    fc.assert(
      fc.property(fc.array(parsed, { maxLength: 3 }), (vectors) => {
        const text = vectors.map(({ vector, answers, ...orders }) => writeVector(vector, answers, orders)).join('');
        expect(parseVectors(text)).toEqual(vectors);
      }),
      { numRuns: 60 },
    );
  });
});

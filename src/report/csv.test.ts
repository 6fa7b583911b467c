import fc from 'fast-check';
import { expect, it } from 'vitest';
import { csvText } from './csv.js';
import { parseCsv } from './testing/parse.js';

it('ends every record with CRLF and quotes only what needs it', () => {
  expect(
    csvText([
      ['a', 'b c', ''],
      ['1,2', 'say "hi"', 'x\ny'],
    ]),
  ).toBe('a,b c,\r\n"1,2","say ""hi""","x\ny"\r\n');
});

it('gives every field back through a strict RFC 4180 reader', () => {
  const field = fc.oneof(fc.string({ unit: fc.constantFrom('a', ',', '"', '\r', '\n', ' ', 'µ', '=') }), fc.string());
  const records = fc
    .integer({ min: 2, max: 4 })
    .chain((width) =>
      fc.array(fc.array(field, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 5 }),
    );
  fc.assert(
    fc.property(records, (rows) => {
      expect(parseCsv(csvText(rows))).toEqual(rows);
    }),
  );
});

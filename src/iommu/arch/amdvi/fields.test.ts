import { describe, expect, it } from 'vitest';
import { directoryLayout } from './fields.js';
import { DeviceTableEntry } from './format.js';

/** Value of a field of a device table entry. */
function fieldValue(words: Int32Array, name: string): bigint {
  const { high, low } = directoryLayout(0).fields.find((field) => field.name === name)!;
  const all = words.reduce((sum, word, i) => sum | (BigInt(word >>> 0) << BigInt(32 * i)), 0n);
  return (all >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);
}

describe('fields for people', () => {
  it('do not overlap', () => {
    for (const entry of [0, 1, 2]) {
      const { fields } = directoryLayout(entry);
      fields.reduce((above, { low, high }) => {
        expect(low).toBeGreaterThan(above);
        return high;
      }, -1);
    }
  });

  it('read what the encoder wrote', () => {
    const entry = new DeviceTableEntry();
    Object.assign(entry, { valid: true, translationValid: true, read: true, domain: 0x1234, suppressAll: true });
    entry.setHost(5, 0x12_3456_7000);
    entry.setGuest(2, 0xa_9876_5432_1000, 5);
    const words = new Int32Array(8);
    entry.encode(words);
    const expected = { V: 1, TV: 1, Mode: 5, GV: 1, GLX: 1, IR: 1, IW: 0, DomainID: 0x1234, SA: 1, GuestPagingMode: 1 };
    for (const [name, value] of Object.entries(expected)) expect(fieldValue(words, name), name).toBe(BigInt(value));
    expect(fieldValue(words, 'HostPageTableRoot') << 12n).toBe(0x12_3456_7000n);
    const root =
      (fieldValue(words, 'GCR3[14:12]') << 12n) |
      (fieldValue(words, 'GCR3[30:15]') << 15n) |
      (fieldValue(words, 'GCR3[51:31]') << 31n);
    expect(root).toBe(0xa_9876_5432_1000n);
  });
});

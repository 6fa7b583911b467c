/** Numbers of options: E503 with the option, what it expects and what it got. */
import { inputError } from '../workload/errors.js';

/** A whole decimal number from `least` to `most`. */
export function readWhole(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (!/^[0-9]+$/.test(text) || value < least || value > most) {
    const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`;
    throw inputError('E503', `${option} expects a whole number ${range}, got "${text}"`);
  }
  return value;
}

/** A decimal or 0x-hexadecimal number of at most `bits` bits. */
export function readWord(option: string, text: string, bits: number): bigint {
  const digits = text.replaceAll('_', '');
  const value = /^(?:0[xX][0-9a-fA-F]+|[0-9]+)$/.test(digits) ? BigInt(digits) : null;
  if (value === null || value >> BigInt(bits) !== 0n) {
    throw inputError('E503', `${option} expects a number of at most ${bits} bits such as 0x7f001000, got "${text}"`);
  }
  return value;
}

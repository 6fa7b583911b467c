/** Little-endian values of 16, 32 and 64 bits in simulated memory, for structures whose fields are no 64-bit words. Cold. */
import type { PhysicalMemory } from './physical.js';

const upper = (address: number): number => Math.floor(address / 2 ** 32);
const lower = (address: number): number => (address % 2 ** 32) | 0;

/** The dword at an address that is a multiple of 4. */
export function readDword(memory: PhysicalMemory, address: number): number {
  memory.read(upper(address), lower(address) & ~7);
  return address % 8 === 0 ? memory.wordLo : memory.wordHi;
}

export function writeDword(memory: PhysicalMemory, address: number, value: number): void {
  const [hi, lo] = [upper(address), lower(address) & ~7];
  memory.read(hi, lo);
  if (address % 8 === 0) memory.write(hi, lo, memory.wordHi, value);
  else memory.write(hi, lo, value, memory.wordLo);
}

/** The 16-bit value at an address that is a multiple of 2. */
export function readHalf(memory: PhysicalMemory, address: number): number {
  return (readDword(memory, address - (address % 4)) >>> (8 * (address % 4))) & 0xffff;
}

export function writeHalf(memory: PhysicalMemory, address: number, value: number): void {
  const at = address - (address % 4);
  const shift = 8 * (address % 4);
  writeDword(memory, at, (readDword(memory, at) & ~(0xffff << shift)) | (value << shift));
}

/** Copies dwords out of memory, and into it. */
export function readDwords(memory: PhysicalMemory, address: number, words: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) words[i] = readDword(memory, address + 4 * i);
}

export function writeDwords(memory: PhysicalMemory, address: number, words: Int32Array, count: number): void {
  for (let i = 0; i < count; i++) writeDword(memory, address + 4 * i, words[i]!);
}

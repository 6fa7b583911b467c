/** Puts entries into translation caches as a walk would, for tests of what removes them. */
import type { Format } from '../../pagetable/format.js';
import { Walk } from '../../pagetable/walk.js';
import type { AddressSpace, Stage } from '../address-space.js';
import { Miss } from '../miss.js';
import type { Translations } from '../translations.js';

const upper = (address: number): number => Math.floor(address / 2 ** 32) | 0;
const lower = (address: number): number => (address % 2 ** 32) | 0;

/** A leaf of 2^sizeLg2 bytes that contains hi:lo and lies at 4 GiB, readable and writable. */
export function fillLeaf(
  t: Translations,
  space: AddressSpace,
  [hi, lo]: readonly [number, number],
  sizeLg2 = 12,
  global = 0,
): void {
  const miss = new Miss(0);
  miss.space.copy(space);
  miss.inputHi = hi;
  miss.inputLo = lo;
  Object.assign(miss.walk, { sizeLg2, outHi: 1, outLo: 0, permissions: 3, global });
  t.fill(miss);
}

/** A table entry of `level` that covers hi:lo and points to 4 GiB. `stage`: of the tables, Second also under a nested space. */
export function fillTable(
  t: Translations,
  space: AddressSpace,
  format: Format,
  [inputHi, inputLo]: readonly [number, number],
  level: number,
  stage: Stage = space.stage,
): void {
  const walk = new Walk();
  Object.assign(walk, {
    inputHi,
    inputLo,
    consumedLevel: level,
    level: level - 1,
    tableHi: 1,
    tableLo: 0,
    permissions: 3,
  });
  t.fillStructure(space, stage, format, walk);
}

/** A second-stage translation of a table page at the guest-physical address. */
export function fillGuest(t: Translations, space: AddressSpace, address: number, sizeLg2 = 12): void {
  const walk = new Walk();
  const [inputHi, inputLo] = [upper(address), lower(address)];
  Object.assign(walk, { inputHi, inputLo, sizeLg2, outHi: 1, outLo: 0, permissions: 3 });
  t.fillSecond(space, walk);
}

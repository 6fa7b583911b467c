import { describe, expect, it } from 'vitest';
import { compileFormat } from '../../../pagetable/format.js';
import { armv8 } from '../../../pagetable/formats/armv8.js';
import { AddressSpace, Stage } from '../../address-space.js';
import { dropLeaves, dropSeconds, dropStructures } from '../../sweep.js';
import { EVERYTHING } from '../../tag-index.js';
import { fillGuest, fillLeaf, fillTable } from '../../testing/fill.js';
import { unitSpec } from '../../testing/spec.js';
import { Translations } from '../../translations.js';
import { EL2_TAG } from './directory.js';
import {
  invalidateAsid,
  invalidateGuestPages,
  invalidateMachine,
  invalidateNonSecure,
  invalidatePages,
  invalidateStage1,
} from './invalidation.js';

const FORMAT = compileFormat(
  armv8({ stage: 1, granuleLg2: 12, hostAddressWidth: 48, updates: 'none', contiguous: true }),
);
const VA = 0x5000;
const OTHER = 0x40_0000;
const VMID = 7;
const ASID = 9;

function space(stage: Stage, did: number, pasid: number): AddressSpace {
  return Object.assign(new AddressSpace(), { stage, did, pasid });
}

/** Entries by name: leaves, table entries (`table`), second-stage pages of tables (`guest`). */
const ENTRIES: Readonly<Record<string, (t: Translations) => void>> = {
  leaf: (t) => fillLeaf(t, space(Stage.First, VMID, ASID), [0, VA]),
  'leaf nested': (t) => fillLeaf(t, space(Stage.Nested, VMID, ASID), [0, VA]),
  'leaf other va': (t) => fillLeaf(t, space(Stage.First, VMID, ASID), [0, OTHER]),
  'leaf other asid': (t) => fillLeaf(t, space(Stage.First, VMID, ASID + 1), [0, VA]),
  'leaf other vmid': (t) => fillLeaf(t, space(Stage.First, VMID + 1, ASID), [0, VA]),
  'leaf global': (t) => fillLeaf(t, space(Stage.First, VMID, ASID + 2), [0, VA], 12, 1),
  'leaf el2': (t) => fillLeaf(t, space(Stage.First, 0, EL2_TAG | ASID), [0, VA]),
  'leaf stage 2': (t) => fillLeaf(t, space(Stage.Second, VMID, 0), [0, VA]),
  table: (t) => fillTable(t, space(Stage.First, VMID, ASID), FORMAT, [0, VA], 2),
  'table nested': (t) => fillTable(t, space(Stage.Nested, VMID, ASID), FORMAT, [0, VA], 3),
  'table other va': (t) => fillTable(t, space(Stage.First, VMID, ASID), FORMAT, [0, OTHER], 2),
  'table el2': (t) => fillTable(t, space(Stage.First, 0, EL2_TAG | ASID), FORMAT, [0, VA], 2),
  'table stage 2': (t) => fillTable(t, space(Stage.Nested, VMID, ASID), FORMAT, [0, VA], 2, Stage.Second),
  guest: (t) => fillGuest(t, space(Stage.Nested, VMID, ASID), VA),
  'guest other ipa': (t) => fillGuest(t, space(Stage.Nested, VMID, ASID), OTHER),
  'guest other vmid': (t) => fillGuest(t, space(Stage.Nested, VMID + 1, ASID), VA),
};

function translations(): Translations {
  return new Translations(unitSpec({ architecture: 'smmuv3' }), [12, 16, 21, 30], 1, 'test');
}

/** Names of the entries that a command removes, each alone in its cache. */
function removed(command: (t: Translations) => void): string[] {
  return Object.entries(ENTRIES).flatMap(([name, fill]) => {
    const t = translations();
    fill(t);
    expect(count(t)).toBe(1);
    command(t);
    return count(t) === 0 ? [name] : [];
  });
}

function count(t: Translations): number {
  let entries = 0;
  const one = (): boolean => {
    entries++;
    return false;
  };
  dropLeaves(t, EVERYTHING, one);
  dropStructures(t, EVERYTHING, one);
  dropSeconds(t, EVERYTHING, one);
  return entries;
}

const PAGE = { first: VA / 4096, count: 1 };
const NS_STAGE1 = ['leaf', 'leaf nested', 'leaf other va', 'leaf other asid', 'leaf global'];
const NS_TABLES = ['table', 'table nested', 'table other va'];
const EL2 = ['leaf el2', 'table el2'];
const AT_VA = ['leaf', 'leaf nested', 'leaf global'];

/** Arm IHI 0070G 4.4, command by command. */
const MATRIX: readonly (readonly [string, (t: Translations) => void, readonly string[]])[] = [
  ['TLBI_NSNH_ALL', (t) => invalidateNonSecure(t), Object.keys(ENTRIES).filter((name) => !EL2.includes(name))],
  ['TLBI_NH_ALL', (t) => invalidateStage1(t, false, VMID), [...NS_STAGE1, ...NS_TABLES]],
  ['TLBI_EL2_ALL', (t) => invalidateStage1(t, true, null), EL2],
  [
    'TLBI_NH_ASID: not globals',
    (t) => invalidateAsid(t, false, VMID, ASID),
    ['leaf', 'leaf nested', 'leaf other va', ...NS_TABLES],
  ],
  ['TLBI_EL2_ASID', (t) => invalidateAsid(t, true, null, ASID), EL2],
  ['TLBI_NH_VA, Leaf', (t) => invalidatePages(t, false, VMID, ASID, PAGE, true), AT_VA],
  ['TLBI_NH_VA', (t) => invalidatePages(t, false, VMID, ASID, PAGE, false), [...AT_VA, 'table', 'table nested']],
  ['TLBI_NH_VAA, Leaf', (t) => invalidatePages(t, false, VMID, null, PAGE, true), [...AT_VA, 'leaf other asid']],
  ['TLBI_EL2_VA, Leaf', (t) => invalidatePages(t, true, null, ASID, PAGE, true), ['leaf el2']],
  ['TLBI_EL2_VAA', (t) => invalidatePages(t, true, null, null, PAGE, false), EL2],
  [
    'TLBI_S12_VMALL',
    (t) => invalidateMachine(t, VMID),
    [...NS_STAGE1, ...NS_TABLES, 'leaf stage 2', 'table stage 2', 'guest', 'guest other ipa'],
  ],
  [
    'TLBI_S2_IPA: not what both stages made',
    (t) => invalidateGuestPages(t, VMID, PAGE, false),
    ['leaf stage 2', 'table stage 2', 'guest'],
  ],
  ['TLBI_S2_IPA, Leaf', (t) => invalidateGuestPages(t, VMID, PAGE, true), ['leaf stage 2', 'guest']],
];

describe('what TLBI commands remove', () => {
  it.each(MATRIX)('%s', (_, command, expected) => {
    expect(removed(command).sort()).toEqual([...expected].sort());
  });

  it('leaves of every size by any of their pages, and ranges by any overlap', () => {
    const drop = (sizeLg2: number, at: number, first: number, pages: number): boolean => {
      const t = translations();
      fillLeaf(t, space(Stage.First, VMID, ASID), [0, at], sizeLg2);
      invalidatePages(t, false, VMID, ASID, { first, count: pages }, true);
      return count(t) === 0;
    };
    expect(drop(21, 0x60_0000, 0x7ff, 1)).toBe(true);
    expect(drop(21, 0x60_0000, 0x800, 1)).toBe(false);
    expect(drop(21, 0x60_0000, 0x5ff, 1)).toBe(false);
    expect(drop(12, 0x60_0000, 0x5f0, 17)).toBe(true);
    expect(drop(12, 0x60_0000, 0x5f0, 16)).toBe(false);
    expect(drop(16, 0x60_0000, 0x60f, 3)).toBe(true);
  });

  it('addresses differ in their top byte only: TBI', () => {
    const t = translations();
    fillLeaf(t, space(Stage.First, VMID, ASID), [0x5a00_0001, VA]);
    invalidatePages(t, false, VMID, ASID, { first: 2 ** 20 + VA / 4096, count: 1 }, true);
    expect(count(t)).toBe(0);
  });

  it('the upper half', () => {
    const t = translations();
    fillLeaf(t, space(Stage.First, VMID, ASID), [-1, VA | 0x8000_0000]);
    fillTable(t, space(Stage.First, VMID, ASID), FORMAT, [-1, VA | 0x8000_0000], 2);
    const first = 2 ** 52 - 2 ** 19 + VA / 4096;
    invalidatePages(t, false, VMID, ASID, { first: first - 1, count: 1 }, true);
    expect(count(t)).toBe(2);
    invalidatePages(t, false, VMID, ASID, { first, count: 1 }, false);
    expect(count(t)).toBe(0);
  });
});

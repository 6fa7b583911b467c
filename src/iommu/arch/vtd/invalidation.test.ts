/** Which cached entries survive which command: every command against a unit whose caches hold entries of every kind. */
import { describe, expect, it } from 'vitest';
import { AddressSpace, Stage } from '../../address-space.js';
import type { InvalidationSpec } from '../../spec.js';
import { containsPage, type PageRange } from '../../page-range.js';
import { fillGuest, fillLeaf, fillTable } from '../../testing/fill.js';
import { unitSpec } from '../../testing/spec.js';
import { Translations } from '../../translations.js';
import {
  invalidateDomain,
  invalidateGlobal,
  invalidatePages,
  invalidatePasid,
  invalidatePasidPages,
} from './invalidation.js';
import { Tables } from './tables.js';

const KIB4 = 12;
const MIB2 = 21;
const GIB = 30;
const SIZES = [KIB4, MIB2, GIB];
const TABLES = new Tables(unitSpec());
const FORMAT = TABLES.formats[TABLES.second(0)]!;
const BASE = 0x7_4000_0000;

interface Entry {
  readonly name: string;
  readonly stage: Stage;
  readonly did: number;
  readonly pasid: number;
  readonly address: number;
  /** IOTLB entry of 2^size bytes, or paging-structure entry of a level. */
  readonly size?: number;
  readonly level?: number;
  /** An entry of the second-stage TLB: `address` is guest-physical. */
  readonly guest?: true;
}

function spaceOf({ stage, did, pasid }: Entry): AddressSpace {
  const space = new AddressSpace();
  Object.assign(space, { stage, did, pasid: stage === Stage.Second ? 0 : pasid, levels: 5 });
  return space;
}

const split = (address: number): [number, number] => [Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0];

const kinds: [string, Stage, number, number][] = [
  ['ss5', Stage.Second, 5, 0],
  ['ss6', Stage.Second, 6, 0],
  ['fs5p1', Stage.First, 5, 1],
  ['fs5p2', Stage.First, 5, 2],
  ['fs6p1', Stage.First, 6, 1],
  ['n5p3', Stage.Nested, 5, 3],
  ['n6p3', Stage.Nested, 6, 3],
];
const places: [string, Omit<Entry, 'name' | 'stage' | 'did' | 'pasid'>][] = [
  ['page', { address: BASE + 0x40_3000, size: KIB4 }],
  ['next', { address: BASE + 0x40_4000, size: KIB4 }],
  ['far', { address: BASE + 2 ** 40, size: KIB4 }],
  ['2M', { address: BASE + 0x60_0000, size: MIB2 }],
  ['1G', { address: BASE + 2 ** 30, size: GIB }],
  ['L2', { address: BASE + 0x40_0000, level: 2 }],
  ['L2far', { address: BASE + 2 ** 40, level: 2 }],
  ['L3', { address: BASE, level: 3 }],
  ['L4', { address: 0, level: 4 }],
  ['L4far', { address: 2 ** 40, level: 4 }],
  ['L5', { address: 0, level: 5 }],
];
const GUESTS: Entry[] = [5, 6].flatMap((did) =>
  places
    .filter(([, { size }]) => size !== undefined)
    .map(([place, rest]) => ({ name: `tlb${did} ${place}`, stage: Stage.Second, did, pasid: 0, ...rest, guest: true })),
);
const ENTRIES: Entry[] = [
  ...kinds.flatMap(([kind, stage, did, pasid]) =>
    places.map(([place, rest]) => ({ name: `${kind} ${place}`, stage, did, pasid, ...rest })),
  ),
  ...GUESTS,
];

function full(): Translations {
  const t = new Translations(unitSpec(), SIZES, 1, 'test');
  for (const e of ENTRIES) {
    if (e.guest) fillGuest(t, spaceOf(e), e.address, e.size);
    else if (e.size !== undefined) fillLeaf(t, spaceOf(e), split(e.address), e.size);
    else fillTable(t, spaceOf(e), FORMAT, split(e.address), e.level!);
  }
  return t;
}

/** Names of the entries that are no longer there. */
function gone(t: Translations): string[] {
  return ENTRIES.filter((e) => {
    const [hi, lo] = split(e.address);
    if (e.guest) return !t.lookupSecond(spaceOf(e), hi, lo, 1);
    if (e.size !== undefined) return !t.lookup(spaceOf(e), hi, lo, 1);
    const one = new Translations(unitSpec(), SIZES, 1, 'probe');
    fillTable(one, spaceOf(e), FORMAT, [hi, lo], e.level!);
    const [mine, key] = [t.structure[e.level! - 2]!, one.structure[e.level! - 2]!];
    const at = key.valid.indexOf(1);
    return mine.find(key.k0[at]!, key.k1[at]!, key.k2[at]!) < 0;
  }).map((e) => e.name);
}

const all = (...parts: string[]): string[] =>
  ENTRIES.filter((e) => parts.some((part) => e.name === part || e.name.startsWith(`${part} `))).map((e) => e.name);
const leaves = (kind: string): string[] => ['page', 'next', 'far', '2M', '1G'].map((place) => `${kind} ${place}`);
const sorted = (names: string[]): string[] => [...names].sort();

function range(address: number, addressMask = 0): PageRange {
  const [hi, lo] = split(address);
  return { hi, lo, addressMask };
}
function rules(changes: Partial<InvalidationSpec> = {}): InvalidationSpec {
  return { ...unitSpec().invalidation, nonLeafScope: 'range', hintHonoured: true, ...changes };
}

function expectGone(act: (t: Translations) => void, names: string[]): void {
  const t = full();
  expect(gone(t)).toEqual([]);
  act(t);
  expect(sorted(gone(t))).toEqual(sorted(names));
  // Sizes that have no entry any more are not searched: what is left is still found afterwards.
  const left = [t.iotlb, t.second, ...t.structure].reduce((sum, cache) => sum + cache.occupancy, 0);
  expect(left).toBe(ENTRIES.length - names.length);
}

const PAGE = BASE + 0x40_3000;
const HIT_SS = ['ss5 page'];
const HIT_SS_WALK = ['ss5 L2', 'ss5 L3', 'ss5 L4', 'ss5 L5'];
const HIT_FS_WALK = ['fs5p1 L2', 'fs5p1 L3', 'fs5p1 L4', 'fs5p1 L5'];
/** First-stage and nested entries of domain 5. */
const FS5 = all('fs5p1', 'fs5p2', 'n5p3');
const HIT_TLB = ['tlb5 page'];

describe('what an IOTLB invalidation removes', () => {
  it('global: everything', () => {
    expectGone(
      invalidateGlobal,
      ENTRIES.map(({ name }) => name),
    );
  });

  it('domain: everything of the domain, every PASID, and where its first-stage tables lie', () => {
    expectGone((t) => invalidateDomain(t, 5), [...all('ss5', 'tlb5'), ...FS5]);
    expectGone((t) => invalidateDomain(t, 9), []);
  });

  it('page: second-stage entries in the range, all first-stage and nested entries of the domain', () => {
    expectGone(
      (t) => invalidatePages(t, 5, range(PAGE), false, rules()),
      [...HIT_SS, ...HIT_TLB, ...HIT_SS_WALK, ...FS5],
    );
  });

  it('page with the hint: second-stage non-leaf entries stay, if hardware heeds it', () => {
    expectGone((t) => invalidatePages(t, 5, range(PAGE), true, rules()), [...HIT_SS, ...HIT_TLB, ...FS5]);
    expectGone(
      (t) => invalidatePages(t, 5, range(PAGE), true, rules({ hintHonoured: false })),
      [...HIT_SS, ...HIT_TLB, ...HIT_SS_WALK, ...FS5],
    );
  });

  it('page on coarse hardware: all non-leaf entries of the domain, unless the hint is heeded', () => {
    const coarse = rules({ nonLeafScope: 'domain' });
    const walks = all('ss5').filter((name) => !leaves('ss5').includes(name));
    expectGone((t) => invalidatePages(t, 5, range(PAGE), false, coarse), [...HIT_SS, ...HIT_TLB, ...walks, ...FS5]);
    expectGone((t) => invalidatePages(t, 5, range(PAGE), true, coarse), [...HIT_SS, ...HIT_TLB, ...FS5]);
    const deaf = { ...coarse, hintHonoured: false };
    expectGone((t) => invalidatePages(t, 5, range(PAGE), true, deaf), [...HIT_SS, ...HIT_TLB, ...walks, ...FS5]);
  });

  it('page mask: two pages, a large page by one of its small ones, and a range that covers large pages', () => {
    // The second-stage TLB holds the same addresses as the second-stage IOTLB entries.
    const only = (names: string[]): string[] => {
      const tables = names.filter((name) => leaves('ss5').includes(name)).map((name) => name.replace('ss5', 'tlb5'));
      return [...names, ...tables, ...FS5];
    };
    expectGone((t) => invalidatePages(t, 5, range(BASE + 0x40_2000, 1), true, rules()), only(['ss5 page']));
    expectGone((t) => invalidatePages(t, 5, range(BASE + 0x40_0000, 3), true, rules()), only(['ss5 page', 'ss5 next']));
    expectGone((t) => invalidatePages(t, 5, range(BASE + 0x60_5000), true, rules()), only(['ss5 2M']));
    expectGone((t) => invalidatePages(t, 5, range(BASE + 2 ** 30 + 0x1234_5000), true, rules()), only(['ss5 1G']));
    expectGone((t) => invalidatePages(t, 5, range(BASE, 18), true, rules()), only(['ss5 page', 'ss5 next', 'ss5 2M']));
    // The address is aligned down to the mask.
    expectGone(
      (t) => invalidatePages(t, 5, range(BASE + 0x1234_5000, 18), true, rules()),
      only(['ss5 page', 'ss5 next', 'ss5 2M']),
    );
    expectGone(
      (t) => invalidatePages(t, 5, range(BASE, 18), false, rules()),
      only(['ss5 page', 'ss5 next', 'ss5 2M', ...HIT_SS_WALK]),
    );
  });
});

describe('what a PASID-based IOTLB invalidation removes', () => {
  it('all of one PASID: its first-stage and nested entries', () => {
    expectGone((t) => invalidatePasid(t, 5, 1), all('fs5p1'));
    expectGone((t) => invalidatePasid(t, 5, 3), all('n5p3'));
    expectGone((t) => invalidatePasid(t, 5, 4), []);
  });

  it('page: nested entries of the PASID in the range; what the second stage says stays', () => {
    const walks = HIT_FS_WALK.map((name) => name.replace('fs5p1', 'n5p3'));
    expectGone((t) => invalidatePasidPages(t, 5, 3, range(PAGE), false, rules()), ['n5p3 page', ...walks]);
    expectGone((t) => invalidatePasidPages(t, 5, 3, range(PAGE), true, rules()), ['n5p3 page']);
    expectGone(
      (t) => invalidatePasidPages(t, 5, 3, range(BASE, 18), true, rules()),
      [...['n5p3 page', 'n5p3 next', 'n5p3 2M']],
    );
  });

  it('page: first-stage entries of the PASID in the range, non-leaf ones unless hinted', () => {
    expectGone((t) => invalidatePasidPages(t, 5, 1, range(PAGE), false, rules()), ['fs5p1 page', ...HIT_FS_WALK]);
    expectGone((t) => invalidatePasidPages(t, 5, 1, range(PAGE), true, rules()), ['fs5p1 page']);
    expectGone(
      (t) => invalidatePasidPages(t, 5, 1, range(PAGE), true, rules({ hintHonoured: false })),
      ['fs5p1 page', ...HIT_FS_WALK],
    );
  });

  it('page on coarse hardware: all non-leaf entries of the PASID', () => {
    const coarse = rules({ nonLeafScope: 'domain' });
    const walks = all('fs5p1').filter((name) => !leaves('fs5p1').includes(name));
    expectGone((t) => invalidatePasidPages(t, 5, 1, range(PAGE), false, coarse), ['fs5p1 page', ...walks]);
    expectGone((t) => invalidatePasidPages(t, 5, 1, range(PAGE), true, coarse), ['fs5p1 page']);
  });
});

describe('ranges', () => {
  it('reach the upper half of a first-stage address space', () => {
    const t = new Translations(unitSpec(), SIZES, 1, 'test');
    const space = spaceOf({ name: '', stage: Stage.First, did: 5, pasid: 1, address: 0 });
    const [hi, lo] = [0xffff8123 | 0, 0x4567_8000];
    fillLeaf(t, space, [hi, lo], KIB4);
    invalidatePasidPages(t, 5, 1, { hi: 0x0fff8123, lo, addressMask: 0 }, true, rules());
    expect(t.iotlb.occupancy).toBe(1);
    invalidatePasidPages(t, 5, 1, { hi, lo, addressMask: 0 }, true, rules());
    expect(t.iotlb.occupancy).toBe(0);
  });

  it('contain a page, or the large page it belongs to', () => {
    const page = (address: number): [number, number] => [Math.floor(address / 2 ** 44), (address / 4096) | 0];
    expect(containsPage(range(PAGE), ...page(PAGE), 12)).toBe(true);
    expect(containsPage(range(PAGE), ...page(PAGE + 4096), 12)).toBe(false);
    expect(containsPage(range(PAGE), ...page(PAGE + 4096), 21)).toBe(true);
    expect(containsPage(range(PAGE), ...page(PAGE + 2 ** 21), 21)).toBe(false);
    expect(containsPage(range(PAGE, 9), ...page(PAGE + 4096), 12)).toBe(true);
  });
});

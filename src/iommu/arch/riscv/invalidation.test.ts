/** Which cached entries survive which command: every command against a unit whose caches hold entries of every kind. */
import { describe, expect, it } from 'vitest';
import { compileFormat } from '../../../pagetable/format.js';
import { riscv } from '../../../pagetable/formats/riscv.js';
import { AddressSpace, Stage } from '../../address-space.js';
import type { PageRange } from '../../page-range.js';
import { fillGuest, fillLeaf, fillTable } from '../../testing/fill.js';
import { unitSpec } from '../../testing/spec.js';
import { Translations } from '../../translations.js';
import { invalidateFirst, invalidateSecond } from './invalidation.js';

const options = { hostAddressWidth: 46, hardwareUpdates: false, napot: true, pageTypes: false };
const FORMAT = compileFormat(riscv({ ...options, secondStage: false }));
const SIZES = [12, 16, 21, 30, 39, 48];
const BASE = 0x7_4000_0000;
const PAGE = BASE + 0x40_3000;

interface Kind {
  readonly stage: Stage;
  readonly gscid: number;
  readonly pscid: number;
}

/** Host address spaces, those of two guests, and what is translated by the second stage alone. */
const KINDS: Readonly<Record<string, Kind>> = {
  h1: { stage: Stage.First, gscid: 0, pscid: 1 },
  h2: { stage: Stage.First, gscid: 0, pscid: 2 },
  g5p1: { stage: Stage.Nested, gscid: 5, pscid: 1 },
  g5p2: { stage: Stage.Nested, gscid: 5, pscid: 2 },
  g6p1: { stage: Stage.Nested, gscid: 6, pscid: 1 },
  s5: { stage: Stage.Second, gscid: 5, pscid: 0 },
  s6: { stage: Stage.Second, gscid: 6, pscid: 0 },
};
const LEAVES: Readonly<Record<string, readonly [address: number, sizeLg2: number]>> = {
  page: [PAGE, 12],
  next: [PAGE + 4096, 12],
  far: [BASE + 2 ** 37, 12],
  '64K': [BASE + 0x50_0000, 16],
  '2M': [BASE + 0x60_0000, 21],
};
/** A global leaf, only in first-stage spaces. */
const GLOBAL: readonly [number, number] = [BASE + 0x90_0000, 12];
const NON_LEAF: Readonly<Record<string, readonly [address: number, level: number]>> = {
  L2: [BASE + 0x40_0000, 2],
  L2far: [BASE + 2 ** 37, 2],
  L3: [BASE, 3],
};
/** Second-stage TLB: where pages of a guest lie. */
const GUEST: Readonly<Record<string, number>> = { page: PAGE, far: BASE + 2 ** 37 };

const split = (address: number): [number, number] => [Math.floor(address / 2 ** 32), (address % 2 ** 32) | 0];

function spaceOf({ stage, gscid, pscid }: Kind): AddressSpace {
  const space = new AddressSpace();
  return Object.assign(space, { stage, did: gscid, pasid: pscid, levels: 5 });
}

interface Probe {
  readonly name: string;
  readonly fill: (t: Translations) => void;
  readonly held: (t: Translations) => boolean;
}

function leafProbe(name: string, kind: Kind, [address, size]: readonly [number, number], global: number): Probe {
  const [hi, lo] = split(address);
  return {
    name,
    fill: (t) => fillLeaf(t, spaceOf(kind), [hi, lo], size, global),
    held: (t) => t.lookup(spaceOf(kind), hi, lo, 1),
  };
}

function tableProbe(name: string, kind: Kind, [address, level]: readonly [number, number]): Probe {
  const [hi, lo] = split(address);
  const fill = (t: Translations): void => fillTable(t, spaceOf(kind), FORMAT, [hi, lo], level);
  return {
    name,
    fill,
    held: (t) => {
      const one = new Translations(unitSpec(), SIZES, 1, 'probe');
      fill(one);
      const [mine, key] = [t.structure[level - 2]!, one.structure[level - 2]!];
      const at = key.valid.indexOf(1);
      return mine.find(key.k0[at]!, key.k1[at]!, key.k2[at]!) >= 0;
    },
  };
}

const PROBES: readonly Probe[] = [
  ...Object.entries(KINDS).flatMap(([name, kind]) => [
    ...Object.entries(LEAVES).map(([place, leaf]) => leafProbe(`${name} ${place}`, kind, leaf, 0)),
    ...(kind.stage === Stage.Second ? [] : [leafProbe(`${name} global`, kind, GLOBAL, 1)]),
    ...Object.entries(NON_LEAF).map(([place, entry]) => tableProbe(`${name} ${place}`, kind, entry)),
  ]),
  ...[5, 6].flatMap((gscid) =>
    Object.entries(GUEST).map(([place, address]): Probe => {
      const space = spaceOf({ stage: Stage.Nested, gscid, pscid: 0 });
      return {
        name: `t${gscid} ${place}`,
        fill: (t) => fillGuest(t, space, address),
        held: (t) => t.lookupSecond(space, ...split(address), 1),
      };
    }),
  ),
];

const ROOM = { entries: 128, ways: 128 };
const SPEC = unitSpec({
  iotlb: ROOM,
  secondStageTlb: ROOM,
  pagingStructureCache: { level2: ROOM, level3: ROOM },
});

/** Names of probes, by their beginnings: `h1` all of it, `h1 page` one. */
function named(...parts: string[]): string[] {
  const all = PROBES.map(({ name }) => name);
  return all.filter((name) => parts.some((part) => name === part || name.startsWith(`${part} `))).sort();
}

function without(names: string[], ...parts: string[]): string[] {
  return names.filter((name) => !named(...parts).includes(name));
}

function expectGone(act: (t: Translations) => void, names: string[]): void {
  const t = new Translations(SPEC, SIZES, 1, 'test');
  for (const { fill } of PROBES) fill(t);
  const gone = (): string[] =>
    PROBES.filter(({ held }) => !held(t))
      .map(({ name }) => name)
      .sort();
  expect(gone()).toEqual([]);
  act(t);
  expect(gone()).toEqual([...names].sort());
}

function range(address: number, addressMask = 0): PageRange {
  const [hi, lo] = split(address);
  return { hi, lo, addressMask };
}

const HOST = -1;
const ANY = -1;
const globals = ['h1 global', 'h2 global', 'g5p1 global', 'g5p2 global', 'g6p1 global'];
const LEVELS = ['L2', 'L2far', 'L3'];
const levels = (...kinds: string[]): string[] => kinds.flatMap((kind) => LEVELS.map((level) => `${kind} ${level}`));

describe('IOTINVAL.VMA removes', () => {
  it('GV=0 AV=0 PSCV=0: everything of the host, global entries too', () => {
    expectGone((t) => invalidateFirst(t, HOST, ANY, null, false), named('h1', 'h2'));
  });

  it('GV=0 AV=0 PSCV=1: one address space of the host, not its global entries', () => {
    expectGone((t) => invalidateFirst(t, HOST, 1, null, false), without(named('h1'), ...globals));
    expectGone((t) => invalidateFirst(t, HOST, 3, null, false), []);
  });

  it('GV=0 AV=1 PSCV=1: the leaf at the address', () => {
    expectGone((t) => invalidateFirst(t, HOST, 1, range(PAGE), false), ['h1 page']);
    // Not if it is global.
    expectGone((t) => invalidateFirst(t, HOST, 1, range(GLOBAL[0]), false), []);
  });

  it('GV=0 AV=1 PSCV=0: the leaves at the address in every address space, global ones too', () => {
    expectGone((t) => invalidateFirst(t, HOST, ANY, range(PAGE), false), ['h1 page', 'h2 page']);
    expectGone((t) => invalidateFirst(t, HOST, ANY, range(GLOBAL[0]), false), ['h1 global', 'h2 global']);
  });

  it('NL=1: what leads to the address too', () => {
    expectGone((t) => invalidateFirst(t, HOST, 1, range(PAGE), true), ['h1 page', 'h1 L2', 'h1 L3']);
  });

  it('S=1: every leaf in the range, a large one by any address in it', () => {
    expectGone((t) => invalidateFirst(t, HOST, 1, range(BASE + 0x40_0000, 3), false), ['h1 page', 'h1 next']);
    expectGone((t) => invalidateFirst(t, HOST, 1, range(BASE + 0x50_7000), false), ['h1 64K']);
    expectGone((t) => invalidateFirst(t, HOST, 1, range(BASE + 0x8f_f000), false), []);
    expectGone((t) => invalidateFirst(t, HOST, 1, range(BASE + 0x61_1000), false), ['h1 2M']);
    const near = ['page', 'next', '64K', '2M'].map((place) => `h1 ${place}`);
    expectGone((t) => invalidateFirst(t, HOST, 1, range(BASE, 18), false), near);
    expectGone((t) => invalidateFirst(t, HOST, 1, range(BASE, 18), true), [...near, 'h1 L2', 'h1 L3']);
    expectGone((t) => invalidateFirst(t, HOST, 1, range(0, 52), false), [...near, 'h1 far']);
  });

  it('GV=1: the same within one guest', () => {
    expectGone((t) => invalidateFirst(t, 5, ANY, null, false), named('g5p1', 'g5p2'));
    expectGone((t) => invalidateFirst(t, 5, 1, null, false), without(named('g5p1'), ...globals));
    expectGone((t) => invalidateFirst(t, 5, 1, range(PAGE), false), ['g5p1 page']);
    expectGone(
      (t) => invalidateFirst(t, 5, ANY, range(PAGE), true),
      [...['g5p1 page', 'g5p1 L2', 'g5p1 L3'], ...['g5p2 page', 'g5p2 L2', 'g5p2 L3']],
    );
  });
});

describe('IOTINVAL.GVMA removes', () => {
  const combined = (...kinds: string[]): string[] => without(named(...kinds), ...levels(...kinds));

  it('GV=0: everything of second stages, and what was combined from them', () => {
    const all = [...combined('g5p1', 'g5p2', 'g6p1'), ...named('s5', 's6', 't5', 't6')];
    expectGone((t) => invalidateSecond(t, ANY, null, false), all);
  });

  it('GV=1 AV=0: the same for one guest', () => {
    expectGone((t) => invalidateSecond(t, 5, null, false), [...combined('g5p1', 'g5p2'), ...named('s5', 't5')]);
  });

  it('GV=1 AV=1: the second-stage leaf at the address, and everything combined in the guest', () => {
    const both = combined('g5p1', 'g5p2');
    expectGone((t) => invalidateSecond(t, 5, range(PAGE), false), [...both, 's5 page', 't5 page']);
    expectGone((t) => invalidateSecond(t, 5, range(PAGE), true), [...both, 's5 page', 's5 L2', 's5 L3', 't5 page']);
  });
});

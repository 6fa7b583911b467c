/** The index finds what comparing every entry finds: random programs of fills and of every architecture's commands. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileFormat } from '../pagetable/format.js';
import { armv8 } from '../pagetable/formats/armv8.js';
import { vtdSecondStage } from '../pagetable/formats/vtdss.js';
import { AddressSpace, Stage } from './address-space.js';
import * as amdvi from './arch/amdvi/invalidation.js';
import * as riscv from './arch/riscv/invalidation.js';
import { EL2_TAG } from './arch/smmuv3/directory.js';
import * as smmuv3 from './arch/smmuv3/invalidation.js';
import * as tce from './arch/tce/invalidation.js';
import * as vtd from './arch/vtd/invalidation.js';
import { ContextCaches, OwnProcess } from './contexts.js';
import type { PageRange } from './page-range.js';
import type { InvalidationSpec } from './spec.js';
import type { Tag } from './tag.js';
import { EVERYTHING, inDomain, type TagIndex } from './tag-index.js';
import { dropLeaves } from './sweep.js';
import { fillGuest, fillLeaf, fillTable } from './testing/fill.js';
import { structure, unitSpec } from './testing/spec.js';
import { Translations } from './translations.js';

const FORMATS = [
  compileFormat(
    vtdSecondStage({
      hostAddressWidth: 46,
      guestAddressWidth: 48,
      largestPageLg2: 30,
      scalable: false,
      snoopControl: true,
      accessedDirty: false,
    }),
  ),
  compileFormat(armv8({ stage: 1, granuleLg2: 16, hostAddressWidth: 48, updates: 'none', contiguous: true })),
];
const SIZES = [12, 16, 21, 30];
const psc = structure(32, { ways: 4 });
const SPEC = unitSpec({
  iotlb: structure(64, { ways: 8 }),
  pagingStructureCache: { level2: psc, level3: psc, level4: psc, level5: psc },
  secondStageTlb: structure(32, { ways: 32 }),
  contextCache: structure(32, { ways: 4 }),
  pasidCache: structure(32, { ways: 4 }),
});

function translations(): Translations {
  return new Translations(SPEC, SIZES, 1, 'test');
}

/** Makes every command compare every entry. */
function linear(t: Translations): Translations {
  for (const index of [t.leafIndex, t.secondIndex, ...t.tableIndex]) {
    const all = index.drop.bind(index);
    index.drop = (_scope: unknown, drop: (tag: Tag) => boolean): void => all(EVERYTHING, drop);
  }
  return t;
}

interface Fill {
  readonly stage: Stage;
  readonly did: number;
  readonly pasid: number;
  readonly page: number;
  readonly top: number;
  readonly kind: 'leaf' | 'table' | 'second';
  readonly size: number;
  readonly level: number;
  readonly global: boolean;
}

function fill(t: Translations, f: Fill): void {
  const space = Object.assign(new AddressSpace(), { ...f, pasid: f.stage === Stage.Second ? 0 : f.pasid, levels: 5 });
  const hi = (f.top << 24) | Math.floor(f.page / 2 ** 20);
  const lo = (f.page * 4096) | 0;
  if (f.kind === 'second') fillGuest(t, space, f.page * 4096, SIZES[f.size]);
  else if (f.kind === 'table') fillTable(t, space, FORMATS[f.level > 3 ? 0 : f.size % 2]!, [hi, lo], f.level);
  else fillLeaf(t, space, [hi, lo], SIZES[f.size], f.global && f.stage !== Stage.Second ? 1 : 0);
}

type Rule = (t: Translations, did: number, pasid: number, page: number, count: number, flag: boolean) => void;

const range = (page: number, count: number): PageRange => {
  const addressMask = 31 - Math.clz32(count);
  return { hi: Math.floor(page / 2 ** 20), lo: (page * 4096) | 0, addressMask };
};
const spec = (flag: boolean): InvalidationSpec => ({
  ...SPEC.invalidation,
  nonLeafScope: flag ? 'range' : 'domain',
  hintHonoured: flag,
});
const contexts = (): ContextCaches => new ContextCaches(SPEC, 1, 'test', 0);

const RULES: Readonly<Record<string, Rule>> = {
  'vtd domain': (t, did) => vtd.invalidateDomain(t, did),
  'vtd pages': (t, did, _, page, count, flag) => vtd.invalidatePages(t, did, range(page, count), !flag, spec(flag)),
  'vtd pages, hint': (t, did, _, page, count, flag) =>
    vtd.invalidatePages(t, did, range(page, count), flag, spec(true)),
  'vtd pasid': (t, did, pasid) => vtd.invalidatePasid(t, did, pasid),
  'vtd pasid pages': (t, did, pasid, page, count, flag) =>
    vtd.invalidatePasidPages(t, did, pasid, range(page, count), false, spec(flag)),
  'amdvi host': (t, did, _, page, count, flag) =>
    amdvi.invalidateHostPages(t, did, range(page, count), true, spec(flag)),
  'amdvi guest': (t, did, pasid, page, count, flag) =>
    amdvi.invalidateGuestPages(t, contexts(), did, pasid, range(page, count), true, spec(flag)),
  'riscv vma host': (t, _, pasid, page, count, flag) => riscv.invalidateFirst(t, -1, pasid, range(page, count), flag),
  'riscv vma guest': (t, did, pasid, page, count, flag) =>
    riscv.invalidateFirst(t, did, flag ? -1 : pasid, range(page, count), true),
  'riscv vma all': (t, did, pasid, _, __, flag) => riscv.invalidateFirst(t, did, flag ? -1 : pasid, null, false),
  'riscv gvma': (t, did, _, page, count, flag) => riscv.invalidateSecond(t, did, range(page, count), flag),
  'riscv gvma all': (t, did, _, __, ___, flag) => riscv.invalidateSecond(t, flag ? -1 : did, null, false),
  'riscv gvma any': (t, _, __, page, count) => riscv.invalidateSecond(t, -1, range(page, count), true),
  'smmuv3 nsnh': (t, _, __, ___, ____, flag) => {
    if (flag) smmuv3.invalidateNonSecure(t);
  },
  'smmuv3 stage 1': (t, did, _, __, ___, flag) => smmuv3.invalidateStage1(t, flag, flag ? null : did),
  'smmuv3 asid': (t, did, pasid, _, __, flag) => smmuv3.invalidateAsid(t, flag, flag ? null : did, pasid),
  'smmuv3 va': (t, did, pasid, first, count, flag) =>
    smmuv3.invalidatePages(t, false, did, pasid, { first, count }, flag),
  'smmuv3 va top': (t, did, pasid, first, count) =>
    smmuv3.invalidatePages(t, false, did, pasid, { first: 0xff0_0000_0000 * 16 + first, count }, false),
  'smmuv3 vaa': (t, did, _, first, count, flag) => smmuv3.invalidatePages(t, false, did, null, { first, count }, flag),
  'smmuv3 el2 va': (t, _, pasid, first, count, flag) =>
    smmuv3.invalidatePages(t, true, null, flag ? pasid : null, { first, count }, false),
  'smmuv3 s12': (t, did) => smmuv3.invalidateMachine(t, did),
  'smmuv3 ipa': (t, did, _, first, count, flag) => smmuv3.invalidateGuestPages(t, did, { first, count }, flag),
  'tce page': (t, did, _, page, count) => tce.killPage(t, did, range(page, count)),
  'tce endpoint': (t, did) => tce.killEndpoint(t, did),
};

const small = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max });
/** Few pages, some far apart, some in one large page. */
const page = fc.oneof(small(9), small(1100), fc.constantFrom(2 ** 20 + 3, 2 ** 26, 2 ** 33 + 512, 2 ** 36 - 1));
const anyFill = fc.record({
  stage: fc.constantFrom(Stage.Second, Stage.First, Stage.Nested),
  did: small(3),
  pasid: small(3),
  page,
  top: fc.constantFrom(0, 0, 0, 0x7f, 0xff),
  kind: fc.constantFrom('leaf' as const, 'leaf' as const, 'table' as const, 'second' as const),
  size: small(3),
  level: fc.integer({ min: 2, max: 5 }),
  global: fc.constantFrom(false, false, false, true),
  el2: fc.constantFrom(false, false, true),
});

/** What the architecture's directories make: TCEs have no PASID, EL2 entries and RISC-V's host entries have no domain. */
function legal(architecture: string, f: Fill & { readonly el2: boolean }): Fill {
  if (architecture === 'tce') return { ...f, pasid: 0 };
  if (f.stage !== Stage.First) return f;
  if (architecture === 'riscv') return { ...f, did: 0 };
  return architecture === 'smmuv3' && f.el2 ? { ...f, did: 0, pasid: f.pasid | EL2_TAG } : f;
}

const anyRule = fc.record({
  rule: small(99),
  did: small(3),
  pasid: small(3),
  page,
  count: fc.oneof(fc.constantFrom(1, 2, 64, 1024), fc.integer({ min: 1, max: 40 })),
  flag: fc.boolean(),
});

const state = (t: Translations): string =>
  [t.iotlb, t.second, ...t.structure].map(({ valid, invalidated }) => `${valid.join('')} ${invalidated}`).join('\n');

describe('an invalidation by index', () => {
  it.each(['vtd', 'amdvi', 'riscv', 'smmuv3', 'tce'])(
    'removes what a comparison of every entry removes: %s',
    (architecture) => {
      const rules = Object.entries(RULES).filter(([name]) => name.startsWith(architecture));
      const step = fc.oneof({ weight: 6, arbitrary: anyFill }, { weight: 2, arbitrary: anyRule });
      const program = fc.array(fc.oneof({ weight: 40, arbitrary: step }, { weight: 1, arbitrary: fc.constant(null) }), {
        maxLength: 200,
        size: 'max',
      });
      fc.assert(
        fc.property(program, (steps) => {
          const indexed = translations();
          const plain = linear(translations());
          for (const s of steps) {
            for (const t of [indexed, plain]) {
              if (s === null) t.dropAll();
              else if ('rule' in s) rules[s.rule % rules.length]![1](t, s.did, s.pasid, s.page, s.count, s.flag);
              else fill(t, legal(architecture, s));
            }
            if (s === null || 'rule' in s) expect(state(indexed)).toBe(state(plain));
          }
        }),
        { numRuns: 60 },
      );
    },
  );

  it('looks at few entries of a large structure', () => {
    const t = new Translations(unitSpec({ iotlb: structure(16384, { ways: 8 }) }), SIZES, 1, 'test');
    const at = (did: number, n: number): void => {
      fill(t, { stage: Stage.Second, did, pasid: 0, page: n, top: 0, kind: 'leaf', size: 0, level: 2, global: false });
    };
    for (let n = 0; n < 12_000; n++) at(n % 3000, n);
    let seen = 0;
    const count =
      (drops: (tag: Tag) => boolean) =>
      (tag: Tag): boolean => {
        seen++;
        return drops(tag);
      };
    const looksAt = (scope: Parameters<TagIndex['drop']>[0], drops: (tag: Tag) => boolean): number => {
      seen = 0;
      dropLeaves(t, scope, count(drops));
      return seen;
    };
    const held = t.iotlb.occupancy;
    expect(looksAt(inDomain(7, 0, { first: 7, count: 1 }), (tag) => tag.did === 7 && tag.region === 7)).toBeLessThan(9);
    expect(t.iotlb.occupancy).toBeGreaterThanOrEqual(held - 1);
    expect(looksAt(inDomain(8), (tag) => tag.did === 8)).toBeLessThan(20);
    expect(looksAt(inDomain(9, 0), (tag) => tag.did === 9)).toBeLessThan(20);
    // More pages than the domain has entries: those are looked at instead.
    expect(looksAt(inDomain(10, 0, { first: 0, count: 2 ** 40 }), () => false)).toBeLessThan(20);
  });
});

describe('contexts by what commands name', () => {
  it('agree with a comparison of every entry', () => {
    const requester = small(40);
    const step = fc.oneof(
      fc.record({
        op: fc.constantFrom('device' as const, 'process' as const),
        requester,
        pasid: small(3),
        did: small(5),
      }),
      fc.record({
        op: fc.constantFrom('drop device' as const, 'drop devices in' as const, 'drop of' as const, 'drop in' as const),
        requester,
        pasid: small(3),
        did: small(5),
      }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (steps) => {
        const fast = contexts();
        const plain = contexts();
        const space = new AddressSpace();
        for (const { op, requester: rid, pasid, did } of steps) {
          space.did = did;
          for (const c of [fast, plain]) {
            if (op === 'device') c.fillDevice(rid, space, OwnProcess.None, true);
            else if (op === 'process') c.fillProcess(rid, pasid, space);
          }
          const byPasid = (c: ContextCaches) => (entry: number) => c.pasidOfProcess(entry) === pasid;
          if (op === 'drop device') {
            fast.dropDevice(rid);
            plain.dropDevices((entry) => plain.requesterOfDevice(entry) === rid);
          } else if (op === 'drop devices in') {
            fast.dropDevicesIn(did);
            plain.dropDevices((entry) => plain.deviceSpace[entry]!.did === did);
          } else if (op === 'drop of') {
            fast.dropProcessesOf(rid, byPasid(fast));
            plain.dropProcesses((entry) => plain.requesterOfProcess(entry) === rid && byPasid(plain)(entry));
          } else if (op === 'drop in') {
            fast.dropProcessesIn(did, byPasid(fast));
            plain.dropProcesses((entry) => plain.processSpace[entry]!.did === did && byPasid(plain)(entry));
          }
          const state = (c: ContextCaches): string =>
            [c.device, c.process].map(({ valid }) => valid.join('')).join(' ');
          expect(state(fast)).toBe(state(plain));
          expect(fast.process.invalidated).toBe(plain.process.invalidated);
        }
      }),
    );
  });
});

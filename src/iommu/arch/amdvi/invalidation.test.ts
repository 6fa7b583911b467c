import { describe, expect, it } from 'vitest';
import { AddressSpace, Stage } from '../../address-space.js';
import { fillGuest, fillLeaf, fillTable } from '../../testing/fill.js';
import type { UnitChanges } from '../../testing/spec.js';
import { encodeInvalidateAll, encodeInvalidateDevice, encodeInvalidatePages, EVERYTHING } from './format.js';
import { FormatIndex } from './tables.js';
import { Rig } from './testing/rig.js';

const PAGE = 4096;
/** In the range of the commands below (8 pages from here), and far from it. */
const INSIDE = 0x10_0000;
const OUTSIDE = 0x7000_0000;

function space(did: number, stage: Stage, pasid = 0): AddressSpace {
  const guest = stage === Stage.First || stage === Stage.Nested;
  const format = guest ? FormatIndex.Guest : FormatIndex.Host;
  return Object.assign(new AddressSpace(), { did, stage, pasid, format, levels: 4, inputLg2: 48, secondLevels: 4 });
}

const HOST = space(5, Stage.Second);
const GUEST = space(5, Stage.First, 1);
const NESTED = space(5, Stage.Nested, 1);
const OTHER_PASID = space(5, Stage.Nested, 2);
const OTHER_DOMAIN = space(6, Stage.Second);

/** Everything that a unit can hold, by name, with the question whether it is still there. */
class Contents {
  private readonly present: Record<string, () => boolean> = {};

  constructor(readonly rig: Rig) {
    const { translations: t, architecture } = rig.unit;
    const { contexts, formats } = architecture;
    for (const [at, where] of [
      [INSIDE, 'in'],
      [OUTSIDE, 'out'],
    ] as const) {
      for (const [name, s] of Object.entries({ HOST, GUEST, NESTED, OTHER_PASID, OTHER_DOMAIN })) {
        fillLeaf(t, s, [0, at]);
        this.present[`${name} page ${where}`] = () => t.lookup(s, 0, at, 0);
        fillTable(t, s, formats[s.format]!, [0, at], 2);
        this.present[`${name} directory ${where}`] = () => t.resume(s, s.stage, formats[s.format]!, 4, 0, at);
      }
      // Where tables lie: of the domain's guests alike.
      fillGuest(t, NESTED, at);
      this.present[`second ${where}`] = () => t.lookupSecond(NESTED, 0, at, 0);
    }
    contexts.fillDevice(0x100, HOST, 0, true);
    contexts.fillDevice(0x101, OTHER_DOMAIN, 0, true);
    contexts.fillProcess(0x100, 1, NESTED);
    contexts.fillProcess(0x100, 2, OTHER_PASID);
    contexts.fillProcess(0x101, 1, Object.assign(new AddressSpace(), NESTED, { did: 6 }));
    this.present['device 100'] = () => contexts.device.find(0x100, 0, 0) >= 0;
    this.present['device 101'] = () => contexts.device.find(0x101, 0, 0) >= 0;
    this.present['GCR3 100 1'] = () => contexts.process.find(1, 0x100, 0) >= 0;
    this.present['GCR3 100 2'] = () => contexts.process.find(2, 0x100, 0) >= 0;
    this.present['GCR3 101 1'] = () => contexts.process.find(1, 0x101, 0) >= 0;
    expect(this.missing()).toEqual([]);
  }

  missing(): string[] {
    return Object.keys(this.present).filter((name) => !this.present[name]!());
  }
}

/** What a command removes. */
function removed(command: (words: Int32Array) => void, changes: UnitChanges = {}): string[] {
  const rig = new Rig(changes);
  const contents = new Contents(rig);
  rig.submit(command);
  rig.run();
  return contents.missing().sort();
}

function pages(pasid: number, mask: number, directories: boolean): (words: Int32Array) => void {
  return (words) => encodeInvalidatePages(words, 0, 5, pasid, 0, mask === EVERYTHING ? 0 : INSIDE, mask, directories);
}

/** 2^3 pages from INSIDE. */
const RANGE = 3;
const HOST_ONLY = [
  'HOST page in',
  'NESTED page in',
  'NESTED page out',
  'OTHER_PASID page in',
  'OTHER_PASID page out',
  'second in',
];
const GUEST_ONLY = ['GUEST page in', 'NESTED page in'];

describe('INVALIDATE_IOMMU_PAGES', () => {
  it('GN = 0, PDE = 0: host pages of the range, every nested page of the domain; directories and device entries stay', () => {
    expect(removed(pages(-1, RANGE, false))).toEqual(HOST_ONLY);
  });

  it('GN = 0, PDE = 1: page directory entries that cover the range as well', () => {
    expect(removed(pages(-1, RANGE, true))).toEqual([...HOST_ONLY, 'HOST directory in'].sort());
  });

  it('GN = 0, everything', () => {
    const all = [...HOST_ONLY, 'HOST page out', 'second out'];
    expect(removed(pages(-1, EVERYTHING, false))).toEqual(all.sort());
    expect(removed(pages(-1, EVERYTHING, true))).toEqual([...all, 'HOST directory in', 'HOST directory out'].sort());
  });

  it('GN = 1, PDE = 0: pages of one PASID in the range', () => {
    expect(removed(pages(1, RANGE, false))).toEqual(GUEST_ONLY);
  });

  it('GN = 1, PDE = 1: its directories and GCR3 entries as well', () => {
    const directories = ['GUEST directory in', 'NESTED directory in', 'GCR3 100 1'];
    expect(removed(pages(1, RANGE, true))).toEqual([...GUEST_ONLY, ...directories].sort());
  });

  it('GN = 1, everything', () => {
    const both = ['page', 'directory'].flatMap((what) => ['in', 'out'].map((where) => `${what} ${where}`));
    const all = ['GUEST', 'NESTED'].flatMap((name) => both.map((rest) => `${name} ${rest}`));
    expect(removed(pages(1, EVERYTHING, true))).toEqual([...all, 'GCR3 100 1'].sort());
  });

  it('hardware that is coarser than it must be: directories of the whole domain, whatever PDE says', () => {
    const invalidation = { hintHonoured: false, nonLeafScope: 'domain' } as const;
    const wide = ['HOST directory in', 'HOST directory out'];
    expect(removed(pages(-1, RANGE, false), { invalidation })).toEqual([...HOST_ONLY, ...wide].sort());
  });

  it('a command for a page inside a large one takes the large one', () => {
    const rig = new Rig();
    const t = rig.unit.translations;
    fillLeaf(t, HOST, [0, 0x4000_0000], 30);
    fillLeaf(t, HOST, [0, 0x20_0000], 21);
    rig.submit((words) => encodeInvalidatePages(words, 0, 5, -1, 0, 0x5555_5000, 0, false));
    rig.run();
    expect([t.lookup(HOST, 0, 0x4000_0000, 0), t.lookup(HOST, 0, 0x20_0000, 0)]).toEqual([false, true]);
  });

  it('reaches the top of a 64-bit address space', () => {
    const rig = new Rig();
    const t = rig.unit.translations;
    const top = Object.assign(new AddressSpace(), HOST, { levels: 6, inputLg2: 64 });
    fillLeaf(t, top, [-1, -PAGE]);
    fillLeaf(t, top, [0x7fff_ffff, -PAGE]);
    rig.submit((words) => encodeInvalidatePages(words, 0, 5, -1, -1, -PAGE, 0, false));
    rig.run();
    expect([t.lookup(top, -1, -PAGE, 0), t.lookup(top, 0x7fff_ffff, -PAGE, 0)]).toEqual([false, true]);
  });
});

describe('other commands', () => {
  it('INVALIDATE_DEVTAB_ENTRY: the entry and the GCR3 entries of the device, no translations', () => {
    const command = (words: Int32Array): void => encodeInvalidateDevice(words, 0, 0x100);
    expect(removed(command)).toEqual(['GCR3 100 1', 'GCR3 100 2', 'device 100']);
  });

  it('INVALIDATE_IOMMU_ALL: everything', () => {
    const rig = new Rig();
    const contents = new Contents(rig);
    const before = contents.missing().length;
    rig.submit((words) => encodeInvalidateAll(words, 0));
    rig.run();
    expect(before).toBe(0);
    const { translations: t, architecture } = rig.unit;
    const caches = [t.iotlb, t.second, ...t.structure, architecture.contexts.device, architecture.contexts.process];
    expect(caches.map(({ occupancy }) => occupancy)).toEqual(caches.map(() => 0));
  });

  it.each([4, 5, 7])('opcode %i: nothing here, there is no device TLB, interrupt table or page request', (opcode) => {
    expect(removed((words) => words.set([0x100, opcode << 28, 0, 0]))).toEqual([]);
  });
});

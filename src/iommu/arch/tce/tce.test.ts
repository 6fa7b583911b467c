import { describe, expect, it } from 'vitest';
import { compileFormat } from '../../../pagetable/format.js';
import { tce } from '../../../pagetable/formats/tce.js';
import { PageTable } from '../../../pagetable/table.js';
import { Access } from '../../../protocol/access.js';
import { BareRig } from '../../testing/bare-rig.js';
import { NO_WALK_CACHES, READ_PS, type UnitChanges, unitSpec } from '../../testing/spec.js';
import { buildTce } from './build.js';
import {
  Bit,
  encodeBypassTve,
  encodeKillOne,
  encodeTranslatingTve,
  FaultCode,
  IodaTable,
  iodaAddressHi,
  KillBit,
  Register,
  RTT_BYTES,
  rteWord,
  TOP,
  withRte,
} from './format.js';
import type { Phb } from './phb.js';

const RID = 0x208;
const OTHER = 0x100;
const PE = 3;
const OTHER_PE = 4;
const RW = Access.Read | Access.Write;
const WINDOW1 = 0x0800_0000;

const BASE: UnitChanges = {
  architecture: 'tce',
  mode: 'native',
  deviceLevels: 1,
  processLevels: 0,
  hostAddressWidth: 52,
  invalidation: { sizeLg2: 0, start: 1000, iotlbGlobal: 30_000, iotlbDomain: 20_000, iotlbPage: 10_000, wait: 5000 },
  faults: { records: 1 },
};

interface Shape {
  readonly levels?: number;
  readonly pageLg2?: number;
  readonly indexBits?: number;
}

class TceRig extends BareRig<Phb> {
  readonly rtt: number;
  readonly pest: number;

  constructor(changes: UnitChanges = {}) {
    super(
      buildTce,
      unitSpec({ ...BASE, ...changes, invalidation: { ...BASE.invalidation, ...changes.invalidation } }),
      [RID, OTHER],
    );
    this.rtt = this.frames.allocateContiguous(RTT_BYTES, RTT_BYTES);
    this.pest = this.frames.allocateContiguous(8192, 4096);
    this.write(Register.RttBar, TOP | 1, this.rtt | 0);
    this.write(Register.PestBar, TOP | 1, this.pest | 0);
    this.rte(RID, PE);
    this.rte(OTHER, OTHER_PE);
  }

  rte(requester: number, pe: number): void {
    const lo = (this.rtt + rteWord(requester)) | 0;
    this.physical.read(1, lo);
    this.physical.write(1, lo, ...withRte(requester, pe, this.physical.wordHi, this.physical.wordLo));
  }

  tve(pe: number, window: 0 | 1, value: readonly [number, number]): void {
    this.write(Register.IodaAddress, iodaAddressHi(IodaTable.Tvt, false), 2 * pe + window);
    this.write(Register.IodaData0, ...value);
  }

  pestA(pe: number): { hi: number; lo: number; addressHi: number; addressLo: number } {
    const at = (this.pest + 16 * pe) | 0;
    this.physical.read(1, at);
    const { wordHi: hi, wordLo: lo } = this.physical;
    this.physical.read(1, at + 8);
    return { hi, lo, addressHi: this.physical.wordHi, addressLo: this.physical.wordLo };
  }

  /** A table in window 0 of both endpoints that maps `pages` pages at `iova`, to `pa`. */
  mapped(
    iova: number,
    pages: number,
    { levels = 1, pageLg2 = 12, indexBits = 13 }: Shape = {},
  ): { table: PageTable; pa: number } {
    const format = compileFormat(tce({ hostAddressWidth: 52, pageLg2, indexBits }));
    const table = new PageTable(format, this.physical, this.frames, levels);
    const pa = 2 ** 36;
    table.map(iova, pa, pages * 2 ** pageLg2, RW, pageLg2);
    for (const pe of [PE, OTHER_PE]) this.tve(pe, 0, encodeTranslatingTve(table.root, levels, indexBits, pageLg2));
    return { table, pa };
  }

  kill(hi: number, lo: number): void {
    this.write(Register.TceKill, hi, lo);
  }
}

describe('cold reads of a PHB4', () => {
  it.each([
    [1, 12, 13, 0x5000],
    [1, 16, 13, 0x5_0000],
    [1, 21, 9, 0x60_0000],
    [1, 30, 9, 0x8000_0000],
    [2, 12, 9, 0x1234_5000],
    [2, 16, 13, 0x12_3450_0000],
    [3, 12, 9, 0x12_3456_7000],
    [4, 12, 9, 0x1234_5678_9000],
    [5, 12, 9, 0x12_3456_789a_b000],
  ])('%d levels, pages of 2^%d: one RTT entry and one TCE a level', (levels, pageLg2, indexBits, iova) => {
    const rig = new TceRig(NO_WALK_CACHES);
    const { pa } = rig.mapped(iova, 1, { levels, pageLg2, indexBits });
    const first = rig.translate({ address: iova + 0xabc, requester: RID });
    expect(rig.reads).toEqual([1, levels]);
    expect(first).toMatchObject({ aborted: false, output: pa + 0xabc, at: (1 + levels) * READ_PS });
    expect(rig.translate({ address: iova, requester: RID })).toMatchObject({ output: pa, at: first.at });
    // The RTT entry is cached: another page costs its TCEs alone.
    rig.hardware.kills.kill(KillBit.All, 0);
    rig.run();
    rig.translate({ address: iova, requester: RID });
    expect(rig.reads).toEqual([1, 2 * levels]);
  });
});

describe('the line of a TCE', () => {
  it('comes with it: its 16 entries are cached, those beyond are not', () => {
    const rig = new TceRig();
    const { pa } = rig.mapped(0x10_0000, 20);
    rig.translate({ address: 0x10_3000, requester: RID });
    expect(rig.unit.translations.iotlb.occupancy).toBe(16);
    for (let i = 0; i < 16; i++)
      expect(rig.output({ address: 0x10_0000 + i * 4096, requester: RID })).toBe(pa + i * 4096);
    expect(rig.reads).toEqual([1, 1]);
    expect(rig.output({ address: 0x11_0000, requester: RID })).toBe(pa + 16 * 4096);
    expect(rig.reads).toEqual([1, 2]);
    // Of the second line only four are valid.
    expect(rig.unit.translations.iotlb.occupancy).toBe(20);
  });

  it('is cached with the permissions of each entry', () => {
    const rig = new TceRig();
    const { table } = rig.mapped(0x10_0000, 1);
    table.map(0x10_1000, 2 ** 36, 4096, Access.Read, 12);
    rig.translate({ address: 0x10_0000, requester: RID });
    expect(rig.output({ address: 0x10_1000, requester: RID })).toBe(2 ** 36);
    expect(rig.reads).toEqual([1, 1]);
    expect(rig.output({ address: 0x10_1000, requester: RID, write: true })).toBe(-1);
    expect(rig.hardware.faults.byCode[FaultCode.TceAccess]).toBe(1);
  });
});

describe('windows', () => {
  it('are chosen by address bit 59, and a bypass window passes without TCE or walker', () => {
    const rig = new TceRig();
    const { pa } = rig.mapped(0x4000, 1);
    rig.tve(PE, 1, encodeBypassTve(0, 2 ** 34));
    expect(rig.output({ address: 0x4000, requester: RID })).toBe(pa);
    const walks = rig.unit.counters.walks;
    const at = rig.now;
    expect(rig.translate({ address: 0x4040, hi: WINDOW1 | 2, requester: RID, write: true })).toMatchObject({
      aborted: false,
      output: 2 * 2 ** 32 + 0x4040,
      at,
    });
    expect([rig.unit.counters.walks, rig.reads]).toEqual([walks, [1, 1]]);
  });

  it('bypass checks its range: the first byte beyond it freezes the endpoint', () => {
    const rig = new TceRig();
    rig.tve(PE, 1, encodeBypassTve(2 ** 33, 2 ** 34));
    const address = (hi: number, lo: number): number => rig.output({ address: lo, hi: WINDOW1 | hi, requester: RID });
    expect(address(3, 0xffff_ff00)).toBe(2 ** 34 - 0x100);
    expect(address(2, 0)).toBe(2 ** 33);
    expect(address(4, 0)).toBe(-1);
    expect(rig.hardware.faults.byCode[FaultCode.Ioda]).toBe(1);
  });

  it('one with TCEs behind bit 59 caches under the whole address', () => {
    const rig = new TceRig();
    const { table, pa } = rig.mapped(0x4000, 1);
    rig.tve(PE, 1, encodeTranslatingTve(table.root, 1, 13, 12));
    rig.tve(PE, 0, [0, 0]);
    expect(rig.output({ address: 0x4000, hi: WINDOW1, requester: RID })).toBe(pa);
    expect(rig.output({ address: 0x4010, hi: WINDOW1, requester: RID })).toBe(pa + 0x10);
    expect(rig.reads).toEqual([1, 1]);
    expect(rig.output({ address: 0x4000, requester: RID })).toBe(-1);
  });
});

it('upper TCEs of the two windows are told apart', () => {
  const rig = new TceRig();
  const { pa } = rig.mapped(0x4000, 1, { levels: 2, indexBits: 9 });
  const format = compileFormat(tce({ hostAddressWidth: 52, pageLg2: 12, indexBits: 9 }));
  const second = new PageTable(format, rig.physical, rig.frames, 2);
  second.map(0x5000, pa + 2 ** 30, 4096, RW, 12);
  rig.tve(PE, 1, encodeTranslatingTve(second.root, 2, 9, 12));
  expect(rig.output({ address: 0x4000, requester: RID })).toBe(pa);
  expect(rig.output({ address: 0x5000, hi: WINDOW1, requester: RID })).toBe(pa + 2 ** 30);
});

describe('faults', () => {
  const cases: [
    string,
    FaultCode,
    (rig: TceRig) => { address: number; hi?: number; write?: boolean; pasid?: number },
  ][] = [
    ['TCE not present', FaultCode.TcePage, () => ({ address: 0x9000 })],
    [
      'upper TCE not present',
      FaultCode.TcePage,
      (rig) => (rig.mapped(0x4000, 1, { levels: 2, indexBits: 9 }), { address: 0x4000_0000 / 4 }),
    ],
    [
      'write to a read-only page',
      FaultCode.TceAccess,
      (rig) => (
        rig.mapped(0x4000, 1).table.map(0x9000, 2 ** 36, 4096, Access.Read, 12), { address: 0x9000, write: true }
      ),
    ],
    ['address beyond the table', FaultCode.Ioda, () => ({ address: 2 ** 30 })],
    ['no window', FaultCode.Ioda, () => ({ address: 0x4000, hi: WINDOW1 })],
    ['address bit 60', FaultCode.Ioda, () => ({ address: 0x4000, hi: 0x1000_0000 })],
  ];

  it.each(cases)('%s: cause in the PEST, endpoint frozen until reset', (_, code, spoil) => {
    const rig = new TceRig();
    const { pa } = rig.mapped(0x4000, 1);
    expect(rig.output({ address: 0x4000, requester: RID })).toBe(pa);
    const request = { requester: RID, ...spoil(rig) };
    expect(rig.output(request)).toBe(-1);
    expect([...rig.hardware.faults.byCode].findIndex((n) => n > 0)).toBe(code);
    const { hi, lo, addressLo } = rig.pestA(PE);
    expect(hi).toBe(TOP | (1 << (31 - code)) | (request.write === true ? 0 : 2 << 24));
    expect([lo >>> 16, addressLo]).toEqual([RID, request.address | 0]);
    // What worked before is refused, without another record; the other endpoint goes on.
    const walks = rig.unit.counters.walks;
    expect(rig.output({ address: 0x4000, requester: RID })).toBe(-1);
    expect([rig.hardware.faults.total, rig.unit.counters.aborted, rig.unit.counters.walks]).toEqual([1, 2, walks]);
    expect(rig.output({ address: 0x4000, requester: OTHER })).toBeGreaterThan(0);
    for (const table of [IodaTable.PestA, IodaTable.PestB]) {
      rig.write(Register.IodaAddress, iodaAddressHi(table, false), PE);
      rig.write(Register.IodaData0, 0, 0);
    }
    expect(rig.output({ address: 0x4000, requester: RID })).toBeGreaterThan(0);
  });

  it('without an endpoint are counted and lost: PASID, RTT disabled, no such endpoint', () => {
    const rig = new TceRig();
    rig.mapped(0x4000, 1);
    expect(rig.output({ address: 0x4000, requester: RID, pasid: 1 })).toBe(-1);
    rig.rte(RID, 0x200);
    expect(rig.output({ address: 0x4000, requester: RID })).toBe(-1);
    rig.write(Register.RttBar, 0, 0);
    expect(rig.output({ address: 0x4000, requester: RID })).toBe(-1);
    expect([rig.hardware.faults.total, rig.hardware.faults.lost]).toEqual([3, 3]);
  });

  it('requests that wait for the same walk are refused by the freeze', () => {
    const rig = new TceRig();
    rig.mapped(0x4000, 1);
    for (let i = 0; i < 3; i++) rig.send({ address: 0x9000 + 64 * i, requester: RID });
    rig.run();
    expect(rig.departures.map((d) => d.aborted)).toEqual([true, true, true]);
    expect(rig.hardware.faults.total).toBe(1);
  });
});

describe('kills', () => {
  const PAGES = [0x4000, 0x5000, 0x10_0000] as const;

  function warm(changes: UnitChanges = {}): TceRig {
    const rig = new TceRig(changes);
    const { table } = rig.mapped(0x4000, 2, { levels: 2, indexBits: 9 });
    table.map(0x10_0000, 2 ** 36 + 2 ** 30, 4096, RW, 12);
    for (const requester of [RID, OTHER]) for (const address of PAGES) rig.translate({ address, requester });
    return rig;
  }

  /** Which of the six translations need a table read, endpoint by endpoint. */
  function gone(rig: TceRig): boolean[] {
    return [RID, OTHER].flatMap((requester) =>
      PAGES.map((address) => {
        const before = rig.reads[1];
        rig.translate({ address, requester });
        return rig.reads[1] > before;
      }),
    );
  }

  it.each([
    ['one page', encodeKillOne(PE, 0, 0x10_0000, 12), [false, false, true, false, false, false]],
    ['one page of 64 KiB', encodeKillOne(PE, 0, 0, 16), [true, false, false, false, false, false]],
    ['an endpoint', [KillBit.Pe, PE] as const, [true, false, true, false, false, false]],
    ['another endpoint', [KillBit.Pe, OTHER_PE] as const, [false, false, false, true, false, true]],
    ['everything', [KillBit.All, 0] as const, [true, false, true, true, false, true]],
  ])('of %s', (_, [hi, lo], expected) => {
    const rig = warm();
    rig.kill(hi, lo);
    rig.run();
    // 0x4000 and 0x5000 share a line: reading one brings the other.
    expect(gone(rig)).toEqual(expected);
  });

  it('of a page takes the upper TCEs of its way; of an endpoint all', () => {
    const rig = warm();
    rig.kill(...encodeKillOne(PE, 0, 0x10_0000, 12));
    rig.run();
    const before = rig.reads[1];
    rig.translate({ address: 0x10_0000, requester: RID });
    expect(rig.reads[1] - before).toBe(2);
  });

  it('RTC_INVALIDATE drops the RTT entry of one requester, or of all', () => {
    const rig = warm();
    rig.rte(RID, OTHER_PE);
    expect(rig.reads[0]).toBe(2);
    rig.write(Register.RtcInvalidate, OTHER, 0);
    rig.translate({ address: 0x4000, requester: RID });
    expect(rig.reads[0]).toBe(2);
    rig.write(Register.RtcInvalidate, RID, 0);
    rig.translate({ address: 0x4000, requester: RID });
    expect(rig.reads[0]).toBe(3);
    rig.write(Register.RtcInvalidate, TOP, 0);
    rig.translate({ address: 0x4000, requester: RID });
    rig.translate({ address: 0x4000, requester: OTHER });
    expect(rig.reads[0]).toBe(5);
  });

  it('are queued, then done, then synced: each stage at its time and not one tick earlier', () => {
    const rig = warm();
    const { kills } = rig.hardware;
    const { counters } = kills;
    const start = rig.now;
    const state = (): number[] => [
      kills.registerHi & KillBit.Commands,
      kills.quiesceHi,
      counters.iotlbDomain,
      kills.syncComplete ? 1 : 0,
    ];
    const states: Record<number, number[]> = {};
    const done = 1000 + 20_000;
    const synced = done + 1000 + 5000;
    for (const at of [0, done - 1, done + 1, synced - 1, synced + 1]) rig.after(at, () => (states[at] = state()));
    rig.kill(KillBit.Pe, PE);
    rig.write(Register.DmaReadSync, TOP, 0);
    rig.run();
    expect(states).toEqual({
      0: [0, Bit.KillStatus, 0, 0],
      [done - 1]: [0, Bit.KillStatus, 0, 0],
      [done + 1]: [0, 0, 1, 0],
      [synced - 1]: [0, 0, 1, 0],
      [synced + 1]: [0, 0, 1, 1],
    });
    expect(rig.seen.map(({ what, at }) => [what, at - start])).toEqual([
      ['210 3', 0],
      ['888 0', done],
      ['200 4000000000000000', synced],
    ]);
    expect(counters.busyPs(rig.now)).toBe(synced);
  });

  it('a second kill waits in the register, a third is lost', () => {
    const rig = warm();
    rig.kill(KillBit.Pe, PE);
    rig.kill(KillBit.Pe, OTHER_PE);
    expect(rig.hardware.kills.registerHi).toBe(KillBit.Pe);
    rig.kill(KillBit.All, 0);
    rig.run();
    const { iotlbDomain, iotlbGlobal } = rig.hardware.commands;
    expect([iotlbDomain, iotlbGlobal]).toEqual([2, 0]);
    expect(rig.seen.filter(({ what }) => what === '888 0')).toHaveLength(1);
  });

  it('a sync waits until the requests translated before it have been served', () => {
    const rig = warm();
    const start = rig.now;
    rig.servicePs = 1e6;
    rig.send({ address: 0x4000, requester: RID });
    rig.after(1, () => {
      rig.kill(KillBit.Pe, PE);
      rig.write(Register.DmaReadSync, TOP, 0);
    });
    rig.run();
    expect(rig.seen.at(-1)).toEqual({ what: '200 4000000000000000', at: start + 1e6 });
    expect(rig.hardware.commands.drains).toBe(1);
  });

  it('a walk that a kill overtakes reads the tables again', () => {
    const rig = warm({ walkers: { overhead: 0 } });
    const { table } = rig.mapped(0x4000, 2, { levels: 2, indexBits: 9 });
    rig.kill(KillBit.All, 0);
    rig.run();
    rig.after(READ_PS + 30_000, () => table.unmap(0x4000, 4096, []));
    rig.after(READ_PS + 30_001, () => rig.kill(KillBit.Pe, PE));
    rig.send({ address: 0x4000, requester: RID });
    rig.run();
    expect(rig.unit.counters.restarts).toBe(1);
    expect(rig.departures.at(-1)!.aborted).toBe(true);
  });
});

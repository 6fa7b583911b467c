import { describe, expect, it } from 'vitest';
import { compileFormat } from '../../../pagetable/format.js';
import { dart } from '../../../pagetable/formats/dart.js';
import { PageTable } from '../../../pagetable/table.js';
import { Access } from '../../../protocol/access.js';
import { BareRig } from '../../testing/bare-rig.js';
import { NO_WALK_CACHES, READ_PS, type UnitChanges, unitSpec } from '../../testing/spec.js';
import { buildDart } from './build.js';
import type { Dart } from './dart.js';
import {
  encodeTtbr,
  ERROR_FLAG,
  type Layout,
  layoutOf,
  Port,
  StreamCommand,
  TlbCommand,
  tcrOffset,
  ttbrOffset,
  Variant,
} from './format.js';

const RIDS = [0x100, 0x208, 0x310] as const;
const RW = Access.Read | Access.Write;
const TIMES = { start: 1000, iotlbGlobal: 30_000, iotlbDomain: 20_000 };

interface Kind {
  readonly levels?: number;
  readonly hostAddressWidth?: number;
  readonly granule?: number;
}

/** Streams 0 to 2 of requesters RIDS share one table. */
class DartRig extends BareRig<Dart> {
  readonly layout: Layout;
  readonly table: PageTable;
  readonly granule: number;

  constructor({ levels = 2, hostAddressWidth = 36, granule = 16384 }: Kind = {}, changes: UnitChanges = {}) {
    const spec = unitSpec({
      architecture: 'dart',
      mode: 'native',
      deviceLevels: 0,
      processLevels: 0,
      levels,
      hostAddressWidth,
      granule,
      largestPage: granule,
      faults: { records: 1 },
      ...changes,
      invalidation: { sizeLg2: 0, ...TIMES, ...changes.invalidation },
    });
    super(buildDart, spec, RIDS);
    this.granule = granule;
    this.layout = layoutOf(levels, hostAddressWidth);
    const granuleLg2 = granule === 4096 ? 12 : 14;
    const inputLimitLg2 = granuleLg2 + levels * (granuleLg2 - 3);
    const format = compileFormat(
      dart({ type: this.layout.entries, granuleLg2, inputLimitLg2, ttbrsLg2: granule === 4096 ? 2 : 0 }),
    );
    this.table = new PageTable(format, this.physical, this.frames, levels);
    RIDS.forEach((requester, stream) => {
      this.register(Port.RidToStream + 4 * stream, Port.Valid | (stream << Port.StreamShift) | requester);
      for (let i = 0; i < Math.max(1, this.table.rootBytes / format.tableBytes); i++) {
        this.register(
          ttbrOffset(this.layout, stream, i),
          encodeTtbr(this.layout, this.table.root + i * format.tableBytes),
        );
      }
      this.register(tcrOffset(this.layout, stream), this.layout.tcrTranslate);
    });
  }

  register(offset: number, value: number): void {
    this.write(offset, 0, value);
  }

  map(iova: number, access: Access = RW): number {
    const pa = 2 ** 35;
    this.table.map(iova, pa, this.granule, access, 64);
    return pa;
  }

  /** Flushes one stream and lets the rest happen later. */
  flush(stream: number): void {
    if (this.layout.variant === Variant.T8110) this.register(TlbCommand.Offset, TlbCommand.FlushStream | stream);
    else {
      this.register(StreamCommand.Select, 1 << stream);
      this.register(StreamCommand.Offset, StreamCommand.Invalidate);
    }
  }
}

const M1: Kind = {};
const M1_4K: Kind = { granule: 4096 };
const M1_PRO: Kind = { hostAddressWidth: 42 };
const M2: Kind = { levels: 3, hostAddressWidth: 42 };

describe('cold reads of a DART', () => {
  it.each([
    ['T8020, 16 KiB', M1, 0xfedc_4000, 2],
    ['T8020, 4 KiB, first TTBR', M1_4K, 0x1234_5000, 2],
    ['T8020, 4 KiB, fourth TTBR', M1_4K, 0xf234_5000, 2],
    ['T6000', M1_PRO, 0xfedc_4000, 2],
    ['T8110', M2, 0x3fe_dcba_4000, 3],
  ])('%s: registers and %#', (_, kind, iova, levels) => {
    const rig = new DartRig(kind, NO_WALK_CACHES);
    const pa = rig.map(iova);
    const first = rig.translate({ address: iova + 0xabc, requester: RIDS[1] });
    expect(first).toMatchObject({ aborted: false, output: pa + 0xabc, at: levels * READ_PS });
    expect(rig.reads).toEqual([0, levels]);
    expect(rig.translate({ address: iova + 64, requester: RIDS[1] })).toMatchObject({ output: pa + 64, at: first.at });
    // Streams do not share TLB entries.
    expect(rig.output({ address: iova, requester: RIDS[2] })).toBe(pa);
    expect(rig.reads).toEqual([0, 2 * levels]);
  });

  it('upper entries behind different TTBRs are told apart', () => {
    const rig = new DartRig(M1_4K);
    const pa = rig.map(0x1234_5000);
    rig.table.map(0x5234_5000, pa + 4096, 4096, RW, 64);
    expect(rig.output({ address: 0x1234_5000, requester: RIDS[0] })).toBe(pa);
    expect(rig.output({ address: 0x5234_5000, requester: RIDS[0] })).toBe(pa + 4096);
    expect(rig.output({ address: 0x9234_5000, requester: RIDS[0] })).toBe(-1);
  });
});

it('bypass passes addresses through, a stream with neither bit set nothing', () => {
  const rig = new DartRig();
  rig.register(tcrOffset(rig.layout, 0), rig.layout.tcrBypass);
  expect(rig.translate({ address: 0x1_2345_6780, requester: RIDS[0] })).toMatchObject({ output: 0x1_2345_6780, at: 0 });
  rig.register(tcrOffset(rig.layout, 0), 0);
  expect(rig.output({ address: 0x1_2345_6780, requester: RIDS[0] })).toBe(-1);
});

describe('faults', () => {
  const cases: [string, Kind, number, (rig: DartRig) => { address: number; write?: boolean; pasid?: number }][] = [
    ['no TTBR', M1, 1, (rig) => (rig.register(ttbrOffset(rig.layout, 1, 0), 0), { address: 0x4000 })],
    ['address beyond 32 bits', M1, 1, () => ({ address: 2 ** 32 + 0x4000 })],
    ['requester without stream', M1, 1, (rig) => (rig.register(Port.RidToStream + 4, 0), { address: 0x4000 })],
    ['a PASID', M1, 1, () => ({ address: 0x4000, pasid: 1 })],
    ['no upper entry', M1, 2, () => ({ address: 0x8000_0000 })],
    ['no PTE', M1, 4, () => ({ address: 0x8000 })],
    ['write to a read-only page', M1, 8, (rig) => (rig.map(0xc000, Access.Read), { address: 0xc000, write: true })],
    ['read of a write-only page', M1, 16, (rig) => (rig.map(0xc000, Access.Write), { address: 0xc000 })],
    ['T8110: no TTBR', M2, 1, (rig) => (rig.register(ttbrOffset(rig.layout, 1, 0), 0), { address: 0x4000 })],
    ['T8110: no PGD', M2, 2, () => ({ address: 0x100_0000_0000 })],
    ['T8110: no PMD', M2, 4, () => ({ address: 0x8000_0000 })],
    ['T8110: no PTE', M2, 8, () => ({ address: 0x8000 })],
    ['T8110: write', M2, 16, (rig) => (rig.map(0xc000, Access.Read), { address: 0xc000, write: true })],
    ['T8110: read', M2, 32, (rig) => (rig.map(0xc000, Access.Write), { address: 0xc000 })],
  ];

  it.each(cases)('%s: code and stream in the error register, which keeps the first', (_, kind, code, spoil) => {
    const rig = new DartRig(kind);
    rig.map(0x4000);
    const request = { requester: RIDS[1], ...spoil(rig) };
    expect(rig.output(request)).toBe(-1);
    const { directory, faults } = rig.hardware;
    const streamless = _ === 'requester without stream' || _ === 'a PASID';
    const stream = streamless ? 0 : 1 << rig.layout.errorStreamShift;
    expect(directory.error).toBe(ERROR_FLAG | stream | code);
    expect(directory.errorLo).toBe(request.address | 0);
    expect([faults.byCode[code], faults.lost]).toEqual([1, 0]);
    expect(rig.output({ address: 0x2_0000_4000, requester: RIDS[0] })).toBe(-1);
    expect([directory.error, faults.total, faults.lost]).toEqual([ERROR_FLAG | stream | code, 2, 1]);
    rig.register(rig.layout.error, directory.error);
    expect(directory.error).toBe(0);
    // Nothing is frozen: what is mapped is translated.
    expect(rig.output({ address: 0x4000, requester: RIDS[2] })).toBe(2 ** 35);
  });
});

describe('flushes', () => {
  function warm(kind: Kind, changes: UnitChanges = {}): DartRig {
    const rig = new DartRig(kind, changes);
    rig.map(0x4000);
    for (const requester of RIDS) rig.translate({ address: 0x4000, requester });
    return rig;
  }

  function readsAgain(rig: DartRig): number[] {
    return RIDS.map((requester) => {
      const before = rig.reads[1];
      rig.translate({ address: 0x4000, requester });
      return rig.reads[1] - before;
    });
  }

  it.each([
    [
      'T8020: one stream',
      M1,
      [
        [StreamCommand.Select, 2],
        [StreamCommand.Offset, StreamCommand.Invalidate],
      ],
      [0, 2, 0],
    ],
    [
      'T8020: two streams at once',
      M1,
      [
        [StreamCommand.Select, 5],
        [StreamCommand.Offset, StreamCommand.Invalidate],
      ],
      [2, 0, 2],
    ],
    [
      'T8020: none without the command bit',
      M1,
      [
        [StreamCommand.Select, 7],
        [StreamCommand.Offset, 1],
      ],
      [0, 0, 0],
    ],
    ['T8110: one stream', M2, [[TlbCommand.Offset, TlbCommand.FlushStream | 1]], [0, 3, 0]],
    ['T8110: all', M2, [[TlbCommand.Offset, TlbCommand.FlushAll]], [3, 3, 3]],
    [
      'T8110: a command while busy is ignored',
      M2,
      [
        [TlbCommand.Offset, TlbCommand.FlushStream | 1],
        [TlbCommand.Offset, TlbCommand.FlushAll],
      ],
      [0, 3, 0],
    ],
  ] as [string, Kind, [number, number][], number[]][])('%s', (_, kind, writes, expected) => {
    const rig = warm(kind);
    for (const [offset, value] of writes) rig.register(offset, value);
    rig.run();
    expect(readsAgain(rig)).toEqual(expected);
  });

  it.each([
    ['T8020', M1, '20 0'],
    ['T8110', M2, '80 0'],
  ])('%s: busy until the streams are flushed, and not one tick less', (_, kind, what) => {
    const rig = warm(kind);
    const start = rig.now;
    const states: [boolean, number][] = [];
    const done = 21_000;
    for (const at of [0, done - 1, done + 1]) {
      rig.after(at, () => states.push([rig.hardware.busy, rig.unit.translations.iotlb.occupancy]));
    }
    rig.flush(1);
    rig.run();
    expect(states).toEqual([
      [true, 3],
      [true, 3],
      [false, 2],
    ]);
    expect(rig.seen).toEqual([{ what, at: start + done }]);
  });

  it('stay busy until requests translated before have been served', () => {
    const rig = warm(M1);
    const start = rig.now;
    rig.servicePs = 1e6;
    rig.send({ address: 0x4000, requester: RIDS[1] });
    rig.after(1, () => rig.flush(1));
    rig.run();
    expect(rig.seen).toEqual([{ what: '20 0', at: start + 1e6 }]);
  });

  it('overtake walks under way', () => {
    const rig = new DartRig(M1);
    rig.map(0x4000);
    rig.after(READ_PS + 30_000, () => rig.table.unmap(0x4000, rig.granule, []));
    rig.after(READ_PS + 30_001, () => rig.flush(1));
    rig.send({ address: 0x4000, requester: RIDS[1] });
    rig.run();
    expect(rig.unit.counters.restarts).toBe(1);
    expect(rig.departures[0]!.aborted).toBe(true);
  });
});

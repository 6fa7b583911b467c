import { describe, expect, it } from 'vitest';
import { Access } from '../../../protocol/access.js';
import { REQUESTERS, Rig } from '../../testing/rig.js';
import { NO_WALK_CACHES, READ_PS, type UnitChanges } from '../../testing/spec.js';
import {
  encodeContextInvalidation,
  encodeIotlbInvalidation,
  encodePasidCacheInvalidation,
  encodePasidIotlbInvalidation,
  Granularity,
  PasidCacheGranularity,
  PasidType,
  Register,
} from './format.js';

const IOVA = 0x7_1234_5000;
/** Status write into the cache of an idle machine. */
const WRITE_PS = 40_000;
type Encode = (words: Int32Array) => void;

const page =
  (address: number, { mask = 0, hint = false, domain = 5, drain = true } = {}): Encode =>
  (words) =>
    encodeIotlbInvalidation(
      words,
      0,
      Granularity.Selective,
      domain,
      Math.floor(address / 2 ** 32),
      address | 0,
      mask,
      hint,
      drain,
      drain,
    );
const domainOf =
  (domain: number): Encode =>
  (words) =>
    encodeIotlbInvalidation(words, 0, Granularity.Domain, domain, 0, 0, 0, false, true, true);
const context =
  (granularity: Granularity, domain: number, source = 0, mask = 0): Encode =>
  (words) =>
    encodeContextInvalidation(words, 0, granularity, domain, source, mask);
const pasidCache =
  (granularity: PasidCacheGranularity, domain: number, pasid = 0): Encode =>
  (words) =>
    encodePasidCacheInvalidation(words, 0, granularity, domain, pasid);

/** Devices 0 and 1 share domain 5 and a table of eight pages; the others have domains 6, 7, ... and the same table. */
function machine(changes: UnitChanges = {}): { rig: Rig; pa: number; table: ReturnType<Rig['pageTable']> } {
  const rig = new Rig(changes);
  const { table, pa } = rig.mapped(IOVA, 8 * 4096);
  REQUESTERS.forEach((requester, device) => {
    const domain = Math.max(5, device + 4);
    if (rig.spec.mode === 'legacy') rig.tables.legacy(requester, { root: table.root, domain });
    else rig.tables.pasid(requester, 0, { type: PasidType.SecondStage, secondRoot: table.root, domain });
  });
  return { rig, pa, table };
}

const TIMES = {
  start: 7000,
  context: 1000,
  pasid: 2000,
  iotlbGlobal: 30_000,
  iotlbDomain: 20_000,
  iotlbPage: 10_000,
  wait: 5000,
};

describe('descriptors', () => {
  it('execute in order, each in its own time after one fetch a line, and the status write is seen at its time', () => {
    const { rig } = machine({ invalidation: TIMES });
    const { commands } = rig.vtd;
    const seen: number[][] = [];
    const look = (at: number): void =>
      rig.after(at, () => seen.push([at, commands.context, commands.iotlbPage + commands.iotlbDomain]));
    const fetched = 7000 + READ_PS;
    const done = [fetched + 1000, fetched + 11_000, fetched + 31_000];
    for (const at of done) {
      look(at - 1);
      look(at + 1);
    }
    const written = done[2]! + 5000 + WRITE_PS;
    rig.after(written - 1, () => expect(rig.statusWord(3)).toBe(0));
    rig.submit(context(Granularity.Global, 0), page(IOVA), domainOf(5), rig.wait(3, 77));
    rig.run();
    expect(seen.map(([, c, i]) => [c, i])).toEqual([
      [0, 0],
      [1, 0],
      [1, 0],
      [1, 1],
      [1, 1],
      [1, 2],
    ]);
    expect(rig.stored).toEqual([{ address: rig.status + 12, at: written }]);
    expect([rig.statusWord(3), rig.statusWord(2)]).toEqual([77, 0]);
    expect(rig.vtd.commands.busyPs(rig.now)).toBe(written);
    const { removals, queueWait } = rig.vtd.commands;
    expect(removals.map((removal) => removal.commands)).toEqual([1, 0, 0, 0, 1, 0]);
    expect([removals[0]!.service.max, removals[4]!.service.max]).toEqual([10_000, 20_000]);
    // All were announced by one doorbell; the second and third began when the one before them was complete.
    expect([queueWait.count, queueWait.min, queueWait.max]).toEqual([2, done[0]!, done[1]!]);
  });

  it('of a wide queue come two a line', () => {
    const { rig } = machine({ mode: 'scalable', invalidation: TIMES });
    rig.submit(pasidCache(PasidCacheGranularity.Global, 0), domainOf(5), rig.wait(0));
    rig.run();
    expect(rig.stored[0]!.at).toBe(7000 + READ_PS + 2000 + 20_000 + READ_PS + 5000 + WRITE_PS);
  });

  it('queued while the hardware is busy are fetched when their turn comes', () => {
    const { rig } = machine({ invalidation: TIMES });
    rig.submit(page(IOVA));
    // The line has been read: the second descriptor is not in it yet.
    rig.after(7000 + READ_PS + 1, () => rig.submit(page(IOVA), rig.wait()));
    rig.run();
    const line = WRITE_PS; // the second time the line is in the cache
    expect(rig.stored[0]!.at).toBe(7000 + READ_PS + 10_000 + line + 10_000 + 5000 + WRITE_PS);
    rig.submit(rig.wait(1));
    const start = rig.now;
    rig.run();
    expect(rig.stored[1]!.at).toBe(start + 7000 + line + 5000 + WRITE_PS);
  });

  it.each(['legacy', 'scalable'] as const)('wrap around the ring (%s mode)', (mode) => {
    const { rig } = machine({ mode, invalidation: { sizeLg2: mode === 'legacy' ? 8 : 7 } });
    let rounds = 0;
    for (let batch = 1; rounds < 700; batch = (batch % 7) + 1) {
      const before = rig.stored.length;
      rig.submit(...Array.from({ length: batch }, () => page(IOVA)), rig.wait(rounds % 512, 1));
      rig.run();
      expect(rig.stored.length).toBe(before + 1);
      rounds += batch + 1;
    }
    expect(rig.vtd.commands.iotlbPage + rig.stored.length).toBe(rounds);
    expect([rig.ringState.head, rig.ringState.stopped]).toEqual([rig.ringState.tail, false]);
  });

  it('that are malformed stop the queue at themselves', () => {
    const bad: [string, Encode][] = [
      ['unknown type', (w) => w.fill(0xe, 0, 1)],
      ['address mask above MAMV', page(IOVA, { mask: 19 })],
      [
        'reserved bit',
        (w) => {
          page(IOVA)(w);
          w[1] = 1;
        },
      ],
      ['wide descriptor in a narrow queue', pasidCache(PasidCacheGranularity.Global, 0)],
    ];
    for (const [name, encode] of bad) {
      const { rig } = machine({ invalidation: TIMES });
      rig.submit(page(IOVA), encode, rig.wait());
      rig.run();
      rig.submit(rig.wait());
      rig.run();
      expect([name, rig.ringState.stopped, rig.ringState.head]).toEqual([name, true, 1]);
      expect(rig.stored).toEqual([]);
      expect(rig.vtd.commands.busyPs(rig.now + 1e9)).toBe(7000 + READ_PS + 10_000);
    }
  });

  it('wait for queued invalidation to be enabled', () => {
    const { rig } = machine();
    rig.vtd.write(Register.GlobalCommand, 0, 0);
    rig.submit(rig.wait());
    rig.run();
    expect(rig.stored).toEqual([]);
    rig.vtd.write(Register.GlobalCommand, 0, 1 << 26);
    rig.run();
    expect(rig.stored.length).toBe(1);
  });
});

describe('context and PASID caches', () => {
  /** Requesters whose entry is still cached after a command. */
  function survivors(mode: 'legacy' | 'scalable', command: Encode): number[] {
    const { rig } = machine({ mode });
    for (let device = 0; device < REQUESTERS.length; device++) rig.translate({ address: IOVA, device });
    rig.submit(command);
    rig.run();
    return [...REQUESTERS].filter((requester) => rig.directory.contexts.device.find(requester, 0, 0) >= 0);
  }
  const everyone = [...REQUESTERS];
  const but = (...ids: number[]): number[] => everyone.filter((id) => !ids.includes(id));

  it('context global, domain and device, with function mask', () => {
    expect(survivors('legacy', context(Granularity.Global, 0))).toEqual([]);
    expect(survivors('legacy', context(Granularity.Domain, 5))).toEqual(but(0x100, 0x101));
    expect(survivors('legacy', context(Granularity.Domain, 99))).toEqual(everyone);
    const device = (mask: number): number[] => survivors('legacy', context(Granularity.Selective, 5, 0x100, mask));
    expect(device(0)).toEqual(but(0x100));
    expect(device(1)).toEqual(but(0x100, 0x104));
    expect(device(2)).toEqual(but(0x100, 0x102, 0x104));
    expect(device(3)).toEqual(but(0x100, 0x101, 0x102, 0x104));
  });

  it('in scalable mode a domain does not narrow a context invalidation', () => {
    expect(survivors('scalable', context(Granularity.Domain, 5))).toEqual([]);
    expect(survivors('scalable', context(Granularity.Selective, 99, 0x208))).toEqual(but(0x208));
  });

  it('PASID cache global, domain and PASID', () => {
    const cached = (command: Encode): [number, number][] => {
      const { rig, table } = machine({ mode: 'scalable' });
      const pairs: [device: number, pasid: number, domain: number][] = [
        [0, 3, 5],
        [0, 70, 5],
        [1, 70, 5],
        [2, 70, 6],
        [2, 71, 6],
      ];
      for (const [device, pasid, domain] of pairs) {
        const entry = { type: PasidType.SecondStage, secondRoot: table.root, domain };
        rig.tables.pasid(REQUESTERS[device]!, pasid, entry);
        rig.translate({ address: IOVA, device, pasid });
      }
      rig.submit(command);
      rig.run();
      return pairs
        .filter(([device, pasid]) => rig.directory.contexts.process.find(pasid, REQUESTERS[device]!, 0) >= 0)
        .map(([device, pasid]) => [device, pasid]);
    };
    expect(cached(pasidCache(PasidCacheGranularity.Global, 0))).toEqual([]);
    expect(cached(pasidCache(PasidCacheGranularity.Domain, 5))).toEqual([
      [2, 70],
      [2, 71],
    ]);
    expect(cached(pasidCache(PasidCacheGranularity.Pasid, 5, 70))).toEqual([
      [0, 3],
      [2, 70],
      [2, 71],
    ]);
    expect(cached(pasidCache(PasidCacheGranularity.Pasid, 6, 70))).toEqual([
      [0, 3],
      [0, 70],
      [1, 70],
      [2, 71],
    ]);
  });
});

describe('draining', () => {
  const SERVICE = 3_000_000;
  function statusAfter(changes: UnitChanges, encode: Encode, aborted = false): number {
    const { rig } = machine(changes);
    rig.translate({ address: IOVA });
    rig.servicePs = SERVICE;
    rig.run();
    const start = rig.now;
    rig.send({ address: aborted ? IOVA + 2 ** 40 : IOVA, write: true });
    rig.after(1000, () => rig.submit(encode, rig.wait()));
    rig.run();
    return rig.stored[0]!.at - start;
  }
  const idle = 1000 + READ_PS + WRITE_PS;

  it('a translated write on its way to memory delays the command', () => {
    expect(statusAfter({}, page(IOVA))).toBe(SERVICE + WRITE_PS);
    expect(statusAfter({}, domainOf(99))).toBe(SERVICE + WRITE_PS);
  });

  it('not without the drain bits, nor on hardware that does not drain', () => {
    expect(statusAfter({}, page(IOVA, { drain: false }))).toBe(idle);
    expect(statusAfter({ invalidation: { drain: false } }, page(IOVA))).toBe(idle);
  });

  it('does not wait for requests translated after it', () => {
    const { rig } = machine();
    rig.translate({ address: IOVA + 4096 });
    rig.servicePs = SERVICE;
    const start = rig.now;
    rig.submit(page(IOVA), rig.wait());
    rig.after(READ_PS + 1, () => rig.send({ address: IOVA + 4096, write: true }));
    rig.run();
    expect(rig.stored[0]!.at - start).toBe(READ_PS + WRITE_PS);
  });

  it('PASID-based commands always drain', () => {
    const { rig } = machine({ mode: 'scalable' });
    rig.translate({ address: IOVA });
    rig.servicePs = SERVICE;
    const start = rig.now;
    rig.send({ address: IOVA, write: true });
    rig.submit((w) => encodePasidIotlbInvalidation(w, 0, Granularity.Domain, 5, 1, 0, 0, 0, false), rig.wait());
    rig.run();
    expect(rig.stored[0]!.at - start).toBe(SERVICE + WRITE_PS);
    expect([rig.vtd.commands.drains, rig.vtd.commands.drainPs()]).toEqual([1, SERVICE - READ_PS]);
  });
});

describe('an invalidation that overtakes a walk', () => {
  const commands: [string, Encode][] = [
    ['page', page(IOVA)],
    ['page with hint', page(IOVA, { hint: true })],
    ['domain', domainOf(5)],
    ['global', (w) => encodeIotlbInvalidation(w, 0, Granularity.Global, 0, 0, 0, 0, false, true, true)],
  ];

  it.each(commands)('makes it start again at whatever moment it comes (%s)', (_, command) => {
    // The walk takes six reads and a replay; the page is remapped, and the command executed, at every stage of it.
    const replay = 250_000;
    const total = 6 * READ_PS + replay;
    for (let at = 10_000; at <= total; at += 30_000) {
      const { rig, table } = machine({ ...NO_WALK_CACHES, coherent: false, walkers: { replay } });
      const other = rig.frames.allocate();
      let executed = 0;
      rig.after(at, () => {
        table.unmap(IOVA, 4096, []);
        table.map(IOVA, other, 4096, Access.Read | Access.Write, 12);
        rig.submit(command, rig.wait());
      });
      rig.send({ address: IOVA });
      rig.run();
      executed = rig.stored[0]!.at;
      const { at: left, output } = rig.departures[0]!;
      // It may leave with the old page only before the command was over.
      if (left > executed) expect([at, output]).toEqual([at, other]);
      expect(rig.translate({ address: IOVA }).output).toBe(other);
    }
  });

  it('leaves walks of other pages and domains alone', () => {
    const { rig } = machine({ ...NO_WALK_CACHES });
    rig.translate({ address: IOVA + 3 * 4096 });
    rig.send({ address: IOVA + 4096 });
    rig.submit(page(IOVA, { hint: true }), page(IOVA + 4096, { hint: true, domain: 6 }), domainOf(9));
    rig.run();
    expect(rig.unit.counters.restarts).toBe(0);
    rig.send({ address: IOVA + 2 * 4096 });
    rig.submit(page(IOVA));
    rig.run();
    // Without the hint non-leaf entries are in question, which every page of the domain may hang from.
    expect(rig.unit.counters.restarts).toBe(1);
  });

  it('of one small page stops the fill of the large page it belongs to', () => {
    const rig = new Rig({ walkers: { replay: 500_000 } });
    const base = 0x7_4000_0000;
    const { table, pa } = rig.mapped(base, 2 ** 21, { largestLg2: 21 });
    rig.tables.legacy(REQUESTERS[0]!, { root: table.root, domain: 5 });
    rig.send({ address: base });
    // The leaf has been read (five reads); another page of it is invalidated before the result is back.
    rig.after(5 * READ_PS + 1000, () => {
      table.unmap(base, 2 ** 21, []);
      rig.submit(page(base + 0x5000, { hint: true }), rig.wait());
    });
    rig.run();
    expect(rig.departures[0]).toMatchObject({ aborted: true });
    expect(rig.translate({ address: base + 64 }).output).not.toBe(pa + 64);
  });

  it('of the context cache makes a walk forget the old directory', () => {
    const { rig, table } = machine({ ...NO_WALK_CACHES });
    const { table: fresh, pa } = rig.mapped(IOVA, 4096);
    expect(fresh.root).not.toBe(table.root);
    rig.send({ address: IOVA });
    rig.after(2 * READ_PS + 5, () => {
      rig.tables.legacy(REQUESTERS[0]!, { root: fresh.root, domain: 5 });
      rig.submit(context(Granularity.Selective, 5, REQUESTERS[0]), domainOf(5), rig.wait());
    });
    rig.run();
    expect(rig.departures[0]!.output).toBe(pa);
  });
});

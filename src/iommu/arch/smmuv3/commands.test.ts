import { describe, expect, it } from 'vitest';
import { Access } from '../../../protocol/access.js';
import {
  CommandError,
  DefaultSubstream,
  encodeContextInvalidation,
  encodeContextsInvalidation,
  encodeStreamInvalidation,
  encodeStreamRangeInvalidation,
  encodeTlbi,
  encodeTlbiPage,
  encodeTlbiRange,
  EventCode,
  GlobalErrorBit,
  Opcode,
  OVERFLOW_FLAG,
  PAGE_1,
  RANGE_ALL,
  Register,
  StreamConfig,
} from './format.js';
import { SmmuRig } from './testing/rig.js';

const IOVA = 0x1000_0000;
const STREAMS = [0x100, 0x101, 0x104, 0x208];

/** Streams with a CD table of 16 each, all of one table; ASID is the number of the stream, plus 16 for SubstreamID 3. */
function machine(invalidation = {}): { rig: SmmuRig; pa: number } {
  const rig = new SmmuRig({ invalidation });
  const { table, pa } = rig.mapped(IOVA);
  table.map(IOVA + 2 ** 21, pa, 4096, Access.Read, 12);
  for (const [i, sid] of STREAMS.entries()) {
    const { first, encoding } = rig.contexts(4);
    rig.stream(sid, { config: StreamConfig.Stage1, ...encoding, defaultSubstream: DefaultSubstream.UseContext0 });
    rig.context(first, 0, table, { asid: i });
    rig.context(first, 3, table, { asid: 16 + i });
  }
  return { rig, pa };
}

/** Streams and SubstreamIDs whose STE, and whose CD, is still cached. */
function cached(rig: SmmuRig): [streams: number[], contexts: [number, number][]] {
  const { contexts } = rig.smmu.directory;
  const streams = STREAMS.filter((sid) => contexts.device.find(sid, 0, 0) >= 0);
  const pairs = STREAMS.flatMap((sid) => [-1, 3].map((ssid) => [sid, ssid] as [number, number]));
  return [streams, pairs.filter(([sid, ssid]) => contexts.process.find(ssid < 0 ? 1 << 20 : ssid, sid, 0) >= 0)];
}

function warm(rig: SmmuRig): void {
  for (const sid of STREAMS) {
    rig.translate({ sid, address: IOVA });
    rig.translate({ sid, ssid: 3, address: IOVA });
  }
}

const all = (sids: readonly number[]): [number, number][] =>
  sids.flatMap((sid) => [-1, 3].map((ssid) => [sid, ssid] as [number, number]));
const without = (...sids: number[]): number[] => STREAMS.filter((sid) => !sids.includes(sid));

describe('CFGI commands', () => {
  it.each([
    ['CFGI_STE', (w: Int32Array) => encodeStreamInvalidation(w, 0, 0x101, true), without(0x101)],
    ['CFGI_STE_RANGE', (w: Int32Array) => encodeStreamRangeInvalidation(w, 0, 0x100, 0), without(0x100, 0x101)],
    ['CFGI_STE_RANGE of 8', (w: Int32Array) => encodeStreamRangeInvalidation(w, 0, 0x100, 2), [0x208]],
    ['CFGI_ALL', (w: Int32Array) => encodeStreamRangeInvalidation(w, 0, 0, RANGE_ALL), []],
  ] as const)('%s removes STEs and the CDs behind them', (_, command, left) => {
    const { rig } = machine();
    warm(rig);
    const { occupancy } = rig.unit.translations.iotlb;
    rig.submit(command);
    expect(cached(rig)).toEqual([left, all(left)]);
    expect(rig.unit.translations.iotlb.occupancy).toBe(occupancy);
  });

  it('CFGI_CD removes one CD, that of requests without SubstreamID as number 0; CFGI_CD_ALL all of a stream', () => {
    const { rig } = machine();
    warm(rig);
    rig.submit((w) => encodeContextInvalidation(w, 0, 0x100, 0, true));
    rig.submit((w) => encodeContextInvalidation(w, 0, 0x101, 3, true));
    rig.submit((w) => encodeContextsInvalidation(w, 0, 0x208));
    expect(cached(rig)).toEqual([STREAMS, [[0x100, 3], [0x101, -1], ...all([0x104])]]);
  });
});

describe('TLBI commands', () => {
  it('by ASID and by VA', () => {
    const { rig } = machine();
    warm(rig);
    const { iotlb } = rig.unit.translations;
    expect(iotlb.occupancy).toBe(8);
    rig.submit((w) => encodeTlbi(w, 0, Opcode.TLBI_NH_ASID, 0, 1));
    expect(iotlb.occupancy).toBe(7);
    rig.submit((w) => encodeTlbiPage(w, 0, Opcode.TLBI_NH_VA, 0, 2, IOVA + 4096, true));
    expect(iotlb.occupancy).toBe(7);
    rig.submit((w) => encodeTlbiPage(w, 0, Opcode.TLBI_NH_VA, 0, 2, IOVA, true));
    expect(iotlb.occupancy).toBe(6);
    rig.submit((w) => encodeTlbiPage(w, 0, Opcode.TLBI_NH_VAA, 0, 0, IOVA, true));
    expect(iotlb.occupancy).toBe(0);
  });

  it('a range of (NUM + 1) * 2^SCALE granules; without RIL the first page only', () => {
    const range = { granuleLg2: 12, number: 0, scale: 10, ttl: 0 };
    const command = (w: Int32Array): void => {
      encodeTlbiPage(w, 0, Opcode.TLBI_NH_VA, 0, 0, IOVA, true);
      encodeTlbiRange(w, 0, range);
    };
    for (const [maxAddressMask, left] of [
      [36, 0],
      [0, 1],
    ] as const) {
      const { rig } = machine({ maxAddressMask });
      rig.translate({ sid: 0x100, address: IOVA });
      rig.translate({ sid: 0x100, address: IOVA + 2 ** 21 });
      rig.submit(command);
      expect(rig.unit.translations.iotlb.occupancy).toBe(left);
    }
  });

  it('what software has changed is seen after TLBI and CMD_SYNC, not before', () => {
    const { rig } = machine();
    const table = rig.table(1, 4);
    const [old, fresh] = [rig.frames.allocate(), rig.frames.allocate()];
    table.map(IOVA, old, 4096, Access.Read, 12);
    const { first, encoding } = rig.contexts(0);
    rig.stream(0x300, { config: StreamConfig.Stage1, ...encoding });
    rig.context(first, 0, table, { asid: 40 });
    rig.translate({ sid: 0x300, address: IOVA });
    table.unmap(IOVA, 4096, []);
    table.map(IOVA, fresh, 4096, Access.Read, 12);
    expect(rig.translate({ sid: 0x300, address: IOVA }).output).toBe(old);
    rig.submit((w) => encodeTlbiPage(w, 0, Opcode.TLBI_NH_VA, 0, 40, IOVA, true), rig.sync());
    expect(rig.translate({ sid: 0x300, address: IOVA }).output).toBe(fresh);
  });
});

describe('CMD_SYNC', () => {
  it('stores its data by MSI', () => {
    const { rig } = machine();
    rig.submit((w) => encodeTlbi(w, 0, Opcode.TLBI_NSNH_ALL, 0, 0), rig.sync(0x1234));
    expect(rig.stored).toEqual([rig.status]);
    expect(rig.word(rig.status, 0)).toBe(0x1234);
    expect(rig.smmu.commands.wait).toBe(1);
  });

  it('waits for requests that used what was removed', () => {
    const { rig } = machine();
    const serve = rig.hold({ sid: 0x100, address: IOVA });
    rig.submit((w) => encodeTlbi(w, 0, Opcode.TLBI_NSNH_ALL, 0, 0), rig.sync());
    expect(rig.stored).toEqual([]);
    serve();
    expect(rig.stored).toEqual([rig.status]);
    expect(rig.smmu.commands.drains).toBe(1);
  });

  it('without anything removed before it does not wait', () => {
    const { rig } = machine();
    rig.submit((w) => encodeTlbi(w, 0, Opcode.TLBI_NSNH_ALL, 0, 0), rig.sync());
    rig.hold({ sid: 0x100, address: IOVA });
    rig.submit(rig.sync());
    expect(rig.stored.length).toBe(2);
  });
});

describe('the ring', () => {
  it('full and wrapped: all commands are executed', () => {
    const { rig } = machine({ sizeLg2: 4 });
    const command = (w: Int32Array): void => encodeTlbi(w, 0, Opcode.TLBI_NSNH_ALL, 0, 0);
    for (let i = 1; i <= 5; i++) {
      rig.submit(...Array.from({ length: 16 }, () => command));
      expect(rig.smmu.commands.iotlbGlobal).toBe(16 * i);
    }
    rig.submit(...Array.from({ length: 7 }, () => command));
    expect(rig.smmu.commands.iotlbGlobal).toBe(87);
  });

  it('stops at an illegal command until software has repaired and acknowledged it', () => {
    const { rig } = machine();
    rig.submit((w) => w.fill(0xff, 0, 1), rig.sync());
    const { registers, queue } = rig.smmu;
    expect(registers.commandError).toBe(CommandError.CERROR_ILL);
    expect(registers.globalError).toBe(GlobalErrorBit.CMDQ);
    expect(queue.ring.head).toBe(0);
    expect(rig.stored).toEqual([]);
    const command = new Int32Array(4);
    encodeTlbi(command, 0, Opcode.TLBI_NSNH_ALL, 0, 0);
    rig.poke(rig.ring, command);
    rig.smmu.write(Register.GlobalErrorAcknowledge, 0, GlobalErrorBit.CMDQ);
    rig.run();
    expect(registers.commandError).toBe(CommandError.None);
    expect(rig.stored).toEqual([rig.status]);
  });

  it.each([Opcode.TLBI_EL3_ALL, Opcode.CFGI_VMS_PIDM, 0x7f])('0x%x is illegal', (opcode) => {
    const { rig } = machine();
    rig.submit((w) => w.fill(opcode, 0, 1));
    expect(rig.smmu.registers.commandError).toBe(CommandError.CERROR_ILL);
  });
});

describe('event queue', () => {
  it('overflows: what finds it full is lost and the flag changes once, until software has acknowledged', () => {
    const { rig } = machine();
    const fault = (): void => {
      rig.translate({ sid: 0x100, address: IOVA + 2 ** 30 });
    };
    const { events } = rig.smmu.directory;
    for (let i = 0; i < 4; i++) fault();
    expect([events.producer, events.counters.lost]).toEqual([4, 0]);
    fault();
    fault();
    expect([events.producer, events.counters.lost]).toEqual([OVERFLOW_FLAG | 4, 2]);
    rig.smmu.write(PAGE_1 + Register.EventQueueConsumer, 0, OVERFLOW_FLAG | 3);
    fault();
    expect([events.producer, events.counters.lost]).toEqual([OVERFLOW_FLAG | 5, 2]);
    expect(rig.word(rig.events, 0)).toBe(EventCode.F_TRANSLATION);
  });

  it('disabled: nothing is written, everything counted', () => {
    const { rig } = machine();
    rig.smmu.write(Register.Control0, 0, 1);
    rig.translate({ sid: 0x100, address: IOVA + 2 ** 30 });
    const { events } = rig.smmu.directory;
    expect([events.producer, events.counters.total, events.counters.lost]).toEqual([0, 1, 1]);
  });
});

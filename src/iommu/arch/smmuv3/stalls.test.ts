import { describe, expect, it } from 'vitest';
import { Access } from '../../../protocol/access.js';
import type { PageTable } from '../../../pagetable/table.js';
import { READ_PS } from '../../testing/spec.js';
import {
  decodeEvent,
  encodeResume,
  encodeStallTerminate,
  encodeTlbi,
  EVENT_WORDS,
  EventCode,
  EventRecord,
  InterruptBit,
  Opcode,
  PAGE_1,
  Register,
  Resume,
  StreamConfig,
} from './format.js';
import { SmmuRig } from './testing/rig.js';

const SID = 0x100;
const IOVA = 0x1000_0000;
const PAGE = 4096;
const at = (page: number, offset = 0): { sid: number; address: number } => ({
  sid: SID,
  address: IOVA + page * PAGE + offset,
});

/** One stream whose faults stall; its table has no page. */
function machine(
  stalls: number,
  wants = true,
  order: 'none' | 'all' = 'none',
): { rig: SmmuRig; table: PageTable; map: (page: number) => number } {
  const rig = new SmmuRig({ faults: { stalls }, queue: { order } });
  const table = rig.table(1, 4);
  const { first, encoding } = rig.contexts(0);
  rig.stream(SID, { config: StreamConfig.Stage1, ...encoding });
  rig.context(first, 0, table, { asid: 1, stalls: wants });
  const map = (page: number): number => {
    const pa = rig.frames.allocate();
    table.map(IOVA + page * PAGE, pa, PAGE, Access.Read | Access.Write, 12);
    return pa;
  };
  return { rig, table, map };
}

function record(rig: SmmuRig, index: number): EventRecord {
  const words = new Int32Array(EVENT_WORDS);
  for (let i = 0; i < EVENT_WORDS; i++) words[i] = rig.word(rig.events + 32 * index, i);
  const out = new EventRecord();
  decodeEvent(words, out);
  return out;
}

const resume =
  (tag: number, response: Resume, sid = SID) =>
  (words: Int32Array): void =>
    encodeResume(words, 0, sid, tag, response);

describe('a stalled transaction', () => {
  it('waits with a record and goes on when software has it looked up again', () => {
    const { rig, map } = machine(4);
    rig.send(0, at(0, 8));
    expect(rig.gone.size).toBe(0);
    expect(record(rig, 0)).toMatchObject({
      code: EventCode.F_TRANSLATION,
      sid: SID,
      ssid: -1,
      stall: true,
      tag: 0,
      read: true,
      inputLo: IOVA + 8,
    });
    const pa = map(0);
    rig.submit(resume(0, Resume.Retry));
    expect(rig.gone.get(0)!.answer).toEqual({ aborted: false, output: pa + 8 });
    const { stalls, retried, terminated, occupancy } = rig.smmu.stalls;
    expect([stalls, retried, terminated, occupancy.value, occupancy.max]).toEqual([1, 1, 0, 0, 1]);
    expect(rig.unit.counters.aborted).toBe(0);
  });

  it.each([Resume.Terminate, Resume.Abort])('ends with an error by CMD_RESUME response %i', (response) => {
    const { rig } = machine(4);
    rig.send(0, at(0));
    rig.submit(resume(0, response));
    expect(rig.gone.get(0)!.answer.aborted).toBe(true);
    expect([rig.smmu.stalls.terminated, rig.unit.counters.aborted]).toEqual([1, 1]);
  });

  it('does not listen to another stream or another tag', () => {
    const { rig } = machine(4);
    rig.send(0, at(0));
    rig.submit(resume(1, Resume.Abort), resume(0, Resume.Abort, SID + 1), resume(9, Resume.Abort));
    expect(rig.gone.size).toBe(0);
  });

  it('stalls again, with a new record, when the page is still missing', () => {
    const { rig } = machine(4);
    rig.send(0, at(0));
    rig.submit(resume(0, Resume.Retry));
    expect([rig.gone.size, rig.smmu.stalls.stalls]).toEqual([0, 2]);
    expect(record(rig, 1).stall).toBe(true);
  });

  it('makes others of its page wait for it, without records', () => {
    const { rig, map } = machine(4);
    for (let id = 0; id < 3; id++) rig.send(id, at(0, 64 * id));
    rig.send(3, at(1));
    expect([rig.smmu.stalls.stalls, rig.smmu.stalls.merged]).toEqual([2, 2]);
    map(0);
    rig.submit(resume(0, Resume.Retry));
    expect([...rig.gone.keys()]).toEqual([0, 1, 2]);
  });

  it('is translated exactly when the walk after the command ends', () => {
    const { rig, map } = machine(4);
    rig.send(0, at(0));
    map(0);
    const before = rig.kernel.clock[0]!;
    rig.submit(resume(0, Resume.Retry));
    const done = rig.gone.get(0)!.at;
    const resumed = rig.kernel.clock[0]!;
    expect(resumed).toBeGreaterThan(before);
    // All table pointers are cached but that of the leaf, which is read once.
    expect(rig.unit.translations.iotlb.occupancy).toBe(1);
    expect(done - before).toBeGreaterThanOrEqual(READ_PS);
  });
});

describe('places for stalled transactions', () => {
  it('are beside the queue: others pass, in whatever order; who finds none stays in it', () => {
    for (const order of ['none', 'all'] as const) {
      const { rig, map } = machine(1, true, order);
      const there = map(3);
      rig.send(0, at(0));
      rig.send(1, at(3));
      expect(rig.gone.get(1)!.answer.output).toBe(there);
      rig.send(2, at(1));
      rig.send(3, at(3));
      expect(rig.gone.has(3)).toBe(order === 'none');
      map(0);
      map(1);
      rig.submit(resume(0, Resume.Retry));
      expect([...rig.gone.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3]);
    }
  });

  it('are bounded: who finds none waits without a record, and gets the next free one', () => {
    const { rig, map } = machine(1);
    rig.send(0, at(0));
    rig.send(1, at(1));
    rig.send(2, at(2));
    expect([rig.smmu.stalls.stalls, rig.smmu.stalls.waits, rig.smmu.directory.events.producer]).toEqual([1, 2, 1]);
    map(0);
    map(1);
    rig.submit(resume(0, Resume.Retry));
    // The second needs the place no more: it was mapped meanwhile, and the third gets it.
    expect([...rig.gone.keys()]).toEqual([0, 1]);
    expect([rig.smmu.stalls.stalls, record(rig, 1).inputLo]).toEqual([2, IOVA + 2 * PAGE]);
    rig.submit(resume(0, Resume.Abort));
    expect(rig.gone.get(2)!.answer.aborted).toBe(true);
    expect(rig.smmu.stalls.occupancy.max).toBe(1);
  });

  it('CMD_STALL_TERM ends all transactions of a stream, those that wait for a place too', () => {
    const { rig } = machine(2);
    for (let id = 0; id < 5; id++) rig.send(id, at(id === 4 ? 0 : id));
    expect(rig.gone.size).toBe(0);
    rig.submit((words) => encodeStallTerminate(words, 0, SID));
    expect([...rig.gone.values()].map(({ answer }) => answer.aborted)).toEqual([true, true, true, true, true]);
    expect(rig.smmu.stalls.occupancy.value).toBe(0);
  });
});

describe('CMD_SYNC after an invalidation', () => {
  const flush = (words: Int32Array): void => encodeTlbi(words, 0, Opcode.TLBI_NSNH_ALL, 0, 0);

  it('does not wait for requests that are behind one without a place: they are looked up again', () => {
    const { rig, table, map } = machine(1, true, 'all');
    const first = map(1);
    rig.send(0, at(0));
    rig.send(1, at(2));
    rig.send(2, at(1));
    table.unmap(IOVA + PAGE, PAGE, []);
    const second = map(1);
    rig.submit(flush, rig.sync());
    expect([rig.stored, rig.gone.size]).toEqual([[rig.status], 0]);
    const [pa, other] = [map(0), map(2)];
    rig.submit(resume(0, Resume.Retry));
    expect([0, 1, 2].map((id) => rig.gone.get(id)!.answer.output)).toEqual([pa, other, second]);
    expect(second).not.toBe(first);
  });
});

describe('records of stalls', () => {
  it('are not lost: they wait for room', () => {
    const { rig } = machine(8);
    for (let id = 0; id < 6; id++) rig.send(id, at(id));
    const { events } = rig.smmu.directory;
    expect([events.producer & 7, events.counters.lost]).toEqual([4, 0]);
    rig.smmu.write(PAGE_1 + Register.EventQueueConsumer, 0, 1);
    rig.run();
    expect([events.producer & 7, record(rig, 0).tag]).toEqual([5, 4]);
    rig.smmu.write(PAGE_1 + Register.EventQueueConsumer, 0, 4);
    expect([events.producer & 7, events.counters.lost, events.counters.total]).toEqual([6, 0, 6]);
  });

  it('interrupt when memory has taken one and the queue was empty, at that time and not before', () => {
    const { rig } = machine(8);
    rig.smmu.write(Register.InterruptControl, 0, InterruptBit.EVENTQ);
    rig.send(0, at(0));
    const { stalls } = rig.smmu.directory;
    expect(rig.interrupts).toEqual([stalls.recordedAt(0)]);
    expect(stalls.recordedAt(0)).toBeGreaterThan(stalls.faultedAt(0));
    rig.send(1, at(1));
    expect(rig.interrupts.length).toBe(1);
    rig.smmu.write(PAGE_1 + Register.EventQueueConsumer, 0, 2);
    rig.send(2, at(2));
    expect(rig.interrupts[1]).toBe(stalls.recordedAt(2));
  });
});

describe('CD.S', () => {
  it('is ILLEGAL on a unit without stalls, and where STE.S1STALLD is set', () => {
    const { rig } = machine(0);
    expect(rig.translate(at(0)).aborted).toBe(true);
    expect(rig.smmu.faults.byCode[EventCode.C_BAD_CD]).toBe(1);
    const other = machine(4).rig;
    other.change(other.streamAt(SID), 2, (word) => word | (1 << 27));
    expect(other.translate(at(0)).aborted).toBe(true);
    expect(other.smmu.faults.byCode[EventCode.C_BAD_CD]).toBe(1);
  });

  it('clear: faults end transactions as before', () => {
    const { rig } = machine(4, false);
    expect(rig.translate(at(0)).aborted).toBe(true);
    expect([rig.smmu.stalls.stalls, record(rig, 0).stall]).toEqual([0, false]);
  });
});

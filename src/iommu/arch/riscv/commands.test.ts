/** Commands as a unit executes them: from the ring, with the caches they empty, their stores, and what stops the queue. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Access } from '../../../protocol/access.js';
import { DEVICE, RiscvRig, type RiscvRequest } from '../../testing/riscv-rig.js';
import { READ_PS } from '../../testing/spec.js';
import {
  Capability,
  Cause,
  Command,
  encodeFence,
  encodeInvalidateDevices,
  encodeInvalidateProcess,
  encodeInvalidation,
  encodeStoringFence,
  QueueControl,
  Register,
} from './format.js';

const IOVA = 0x12_3456_7000;
const PID = 9;

type Encode = (words: Int32Array) => void;

interface Built {
  readonly rig: RiscvRig;
  readonly request: RiscvRequest;
}

/** A device with process directory over a second stage; everything about it is cached. */
function warm(changes: ConstructorParameters<typeof RiscvRig>[0] = {}): Built {
  const rig = new RiscvRig(changes);
  const { root } = rig.mapped(3, false, IOVA);
  const directory = rig.processes(1, { secondRoot: rig.guest(3), secondLevels: 3, gscid: 7 });
  rig.process(directory, 1, PID, { root, levels: 3, pscid: 3 });
  const request = { address: IOVA, pasid: PID };
  rig.translate(request);
  rig.translate(request);
  rig.reads();
  return { rig, request };
}

const first = (pscid: number, gscid: number, address = -1, pagesLg2 = 0, nonLeaf = false): Encode => {
  return (words) => encodeInvalidation(words, 0, Command.InvalidateFirst, { pscid, gscid, address, pagesLg2, nonLeaf });
};
const second = (gscid: number, address = -1): Encode => {
  const rest = { pscid: -1, pagesLg2: 0, nonLeaf: false };
  return (words) => encodeInvalidation(words, 0, Command.InvalidateSecond, { ...rest, gscid, address });
};
const devices =
  (id: number): Encode =>
  (words) =>
    encodeInvalidateDevices(words, 0, id);
const process =
  (id: number, pid: number): Encode =>
  (words) =>
    encodeInvalidateProcess(words, 0, id, pid);
const raw =
  (...dwords: number[]): Encode =>
  (words) =>
    words.set(dwords);

describe('a translation after', () => {
  // Directory reads, and table reads: 3 for the place of the process context, 15 for the page, which a unit walks to again after a
  // search in the directory.
  it.each<[string, Encode, [number, number]]>([
    ['IODIR.INVAL_DDT of all', devices(-1), [4, 18]],
    ['IODIR.INVAL_DDT of the device', devices(DEVICE), [4, 18]],
    ['IODIR.INVAL_DDT of another', devices(DEVICE + 1), [0, 0]],
    ['IODIR.INVAL_PDT of the process', process(DEVICE, PID), [1, 18]],
    ['IODIR.INVAL_PDT of another process', process(DEVICE, PID + 1), [0, 0]],
    ['IODIR.INVAL_PDT of another device', process(DEVICE + 1, PID), [0, 0]],
    ['IOTINVAL.VMA of the host', first(-1, -1), [0, 0]],
    ['IOTINVAL.VMA of the guest', first(-1, 7), [0, 15]],
    ['IOTINVAL.VMA of the address space', first(3, 7), [0, 15]],
    ['IOTINVAL.VMA of another address space', first(4, 7), [0, 0]],
    ['IOTINVAL.VMA of the page', first(3, 7, IOVA), [0, 15]],
    ['IOTINVAL.VMA of a range', first(3, 7, IOVA, 9, true), [0, 15]],
    ['IOTINVAL.VMA of another page', first(3, 7, IOVA + 4096), [0, 0]],
    ['IOTINVAL.GVMA of all', second(-1), [0, 15]],
    ['IOTINVAL.GVMA of the guest', second(7), [0, 15]],
    ['IOTINVAL.GVMA of another guest', second(8), [0, 0]],
    ['IOTINVAL.GVMA by address', second(7, 2 ** 32), [0, 15]],
    ['ATS.INVAL', raw(Command.AtsInvalidate, DEVICE << 8, -2048, -1), [0, 0]],
    ['ATS.PRGR', raw(Command.PageGroupResponse, DEVICE << 8, 0, 1), [0, 0]],
  ])('%s', (_, command, reads) => {
    const { rig, request } = warm();
    rig.submit(command);
    expect(rig.hardware.illegalCommand).toBe(false);
    expect(rig.translate(request).aborted).toBe(false);
    expect(rig.reads()).toEqual(reads);
  });
});

describe('IOFENCE.C', () => {
  it('stores its dword, in either half of a doubleword, and leaves the other', () => {
    const { rig } = warm();
    const status = rig.frames.allocate();
    rig.submit(
      (words) => encodeStoringFence(words, 0, false, status, 0x1234),
      (words) => encodeStoringFence(words, 0, true, status + 4, -2),
    );
    expect(rig.word(status)).toBe(0xfffffffe_00001234n);
    // Stores, and the head moving past both commands.
    expect(rig.stored).toEqual([status, rig.ring, status + 4, rig.ring + 16]);
  });

  it('waits for requests translated before where it says so', () => {
    for (const drain of [false, true]) {
      const { rig, request } = warm();
      rig.servicePs = 5_000_000;
      rig.stored.length = 0;
      const start = rig.now;
      rig.send(request);
      // The request has left the unit when the fence is fetched, and memory serves it later.
      let at = 0;
      const status = rig.frames.allocate();
      rig.hardware.connect({
        stored: () => {
          at = rig.now;
        },
      });
      rig.submit((words) => (drain ? encodeStoringFence(words, 0, true, status, 1) : encodeFence(words, 0, false)));
      if (drain) expect(at).toBeGreaterThanOrEqual(start + 5_000_000);
      else expect(at).toBeLessThan(start + 5_000_000);
    }
  });

  it('executes in order around the ring', () => {
    const rig = new RiscvRig({ unit: { invalidation: { sizeLg2: 2 } } });
    for (let i = 0; i < 11; i++) rig.submit((words) => encodeFence(words, 0, true));
    expect(rig.stored).toEqual(Array.from({ length: 11 }, (_, i) => rig.ring + 16 * (i % 4)));
  });
});

describe('an illegal command', () => {
  it.each<[string, number[], Capability[]]>([
    ['opcode', [5, 0, 0, 0], []],
    ['function', [1 | (2 << 7), 0, 0, 0], []],
    ['PSCV of GVMA', [1 | (1 << 7), 1, 0, 0], []],
    ['NL without capability', [1, 4, 0, 0], [Capability.NonLeaf]],
    ['S without capability', [1 | (1 << 10), 0, 1 << 9, 0], [Capability.AddressRange]],
    ['reserved bit of IOTINVAL', [1 | (1 << 11), 0, 0, 0], []],
    ['reserved bit of its address', [1, 0, 1, 0], []],
    ['reserved bit of IOFENCE', [2 | (1 << 14), 0, 0, 0], []],
    ['WSI without wires', [2 | (1 << 11), 0, 0, 0], []],
    ['INVAL_PDT without device', [3 | (1 << 7), 0, 0, 0], []],
    ['INVAL_DDT with process', [3 | (1 << 12), 2, 0, 0], []],
    ['reserved bit of IODIR', [3, 0, 1, 0], []],
    ['custom', [64, 0, 0, 0], []],
  ])('%s stops the queue until software has repaired it', (_, dwords, without) => {
    const { rig, request } = warm({ without });
    rig.submit(raw(...dwords), devices(-1));
    expect(rig.hardware.illegalCommand).toBe(true);
    expect(rig.hardware.queue.ring.head).toBe(0);
    rig.translate(request);
    expect(rig.reads()).toEqual([0, 0]);
    // Further doorbells do nothing; cmd_ill is cleared by writing it, after the command was replaced.
    rig.write(Register.CommandQueueTail, 0, 2);
    rig.run();
    expect(rig.stored).toEqual([]);
    rig.poke(rig.ring, () => BigInt(Command.Fence));
    rig.poke(rig.ring + 8, () => 0n);
    rig.write(Register.CommandQueueControl, 0, QueueControl.Enable | QueueControl.IllegalCommand);
    rig.run();
    expect(rig.hardware.illegalCommand).toBe(false);
    expect(rig.stored).toEqual([rig.ring, rig.ring + 16]);
    rig.translate(request);
    expect(rig.reads()).toEqual([4, 18]);
  });
});

describe('invalidations and walks', () => {
  it('an invalidation that overtakes a walk makes it look again: whatever the instant, nothing old comes out', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 25 }), fc.boolean(), (delay, byAddress) => {
        const rig = new RiscvRig();
        const { root, table } = rig.mapped(3, false, IOVA);
        rig.device({ firstRoot: root, firstLevels: 3, pscid: 3 });
        const request = { address: IOVA };
        const id = rig.send(request);
        const event = rig.kernel;
        // Let the walk get somewhere, then change the mapping and invalidate.
        for (let i = 0; i < delay && rig.outcome(id) === undefined; i++) {
          const next = event.next();
          if (next === null) break;
          rig.dispatchOne(next);
        }
        const page = rig.frames.allocate();
        table.unmap(IOVA, 4096, []);
        table.map(IOVA, page, 4096, Access.Read | Access.Write, 12);
        rig.submit(byAddress ? first(3, -1, IOVA) : first(3, -1), (words) => encodeFence(words, 0, true));
        expect(rig.translate(request).output).toBe(page);
      }),
      { numRuns: 60 },
    );
  });
});

describe('the fault queue', () => {
  it('overflows at one record less than it has, and loses everything until that is cleared', () => {
    const rig = new RiscvRig();
    const fault = (): boolean => rig.translate({ address: IOVA }).aborted;
    for (let i = 0; i < 3; i++) expect(fault()).toBe(true);
    const { faultQueue } = rig.hardware;
    expect([faultQueue.tail, faultQueue.overflow, faultQueue.counters.lost]).toEqual([3, false, 0]);
    fault();
    expect([faultQueue.tail, faultQueue.overflow, faultQueue.counters.lost]).toEqual([3, true, 1]);
    // Room alone does not help.
    rig.write(Register.FaultQueueHead, 0, 3);
    fault();
    expect([faultQueue.tail, faultQueue.counters.lost]).toEqual([3, 2]);
    rig.write(Register.FaultQueueControl, 0, QueueControl.Enable | QueueControl.Overflow);
    fault();
    fault();
    expect([faultQueue.tail, faultQueue.overflow, faultQueue.counters.lost]).toEqual([1, false, 2]);
    expect(rig.word(rig.faults + 3 * 32) & 0xfffn).toBe(BigInt(Cause.DirectoryInvalid));
    expect(rig.causes()).toEqual({ [Cause.DirectoryInvalid]: 7 });
  });

  it('loses everything while disabled', () => {
    const rig = new RiscvRig();
    rig.write(Register.FaultQueueControl, 0, 0);
    rig.translate({ address: IOVA });
    expect(rig.word(rig.faults)).toBe(0n);
    expect(rig.hardware.faultQueue.counters.lost).toBe(1);
  });
});

describe('time', () => {
  it('one fetch for four commands, then the time of each', () => {
    const unit = { invalidation: { start: 70, context: 1000, iotlbPage: 300, wait: 20 } };
    const rig = new RiscvRig({ unit });
    const at: number[] = [];
    rig.hardware.connect({ stored: () => at.push(rig.now) });
    rig.submit(devices(-1), first(3, -1, IOVA), (words) => encodeFence(words, 0, true));
    const fetched = at[0]! - 1000;
    expect(fetched).toBeGreaterThan(70);
    expect(fetched).toBeLessThanOrEqual(70 + READ_PS);
    expect(at.map((each) => each - fetched)).toEqual([1000, 1300, 1320]);
  });
});

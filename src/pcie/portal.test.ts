import { describe, expect, it } from 'vitest';
import { Event } from '../kernel/event.js';
import { Kernel } from '../kernel/kernel.js';
import { Op } from '../protocol/op.js';
import type { WorkDescriptor } from '../protocol/portal.js';
import { CAUSES } from '../protocol/tlp.js';
import { LatencyLedger } from '../stats/latency-ledger.js';
import { femtosecondsPerByte, Link } from './link.js';
import { Portal } from './portal.js';
import type { LinkSpec } from './spec.js';

const LINK: LinkSpec = {
  generation: 3,
  width: 16,
  maxPayload: 256,
  maxReadRequest: 512,
  requestOverhead: 24,
  completionOverhead: 20,
  dllpShare: 0,
  latency: 50_000,
  tags: 32,
};
const PORT = { socket: 's0', iommu: null, postedHeaders: 8, postedData: 64, nonPostedHeaders: 8, creditReturn: 0 };
const FLIGHT = 123_000;
const DESCRIPTOR = { pasid: 1 } as WorkDescriptor;
const ps = (bytes: number): number => Math.round((bytes * femtosecondsPerByte(LINK)) / 1000);

function setUp(shared: boolean, room: number, everyEvent = false) {
  const kernel = new Kernel(Op.Relay);
  kernel.everyEvent = everyEvent;
  const told: [what: string, tag: number, at: number][] = [];
  const link = new Link(kernel, 0, LINK, PORT, new LatencyLedger(1, CAUSES), {
    wake: new Event(),
    credit: Op.DeviceCredit,
    done: Op.DeviceDone,
  });
  let left = room;
  const portal = new Portal(kernel, 0, link, {
    shared: () => shared,
    arrive: (_queue, tag) => {
      told.push(['arrives', tag, kernel.clock[0]!]);
      return left-- > 0;
    },
    clientOf: () => ({
      answered: (tag, accepted) => told.push([accepted ? 'accepted' : 'refused', tag, kernel.clock[0]!]),
    }),
  });
  const run = (): typeof told => {
    for (let event = kernel.next(); event !== null; event = kernel.next()) {
      switch (event.op as Op) {
        case Op.PortalEnter:
          portal.enter(event);
          break;
        case Op.PortalArrive:
          portal.arrive(event);
          break;
        case Op.PortalReturn:
          portal.return(event);
          break;
        case Op.PortalAnswer:
          portal.answer(event);
          break;
        default:
          kernel.relayed(event);
      }
    }
    return told;
  };
  return { portal, run };
}

describe('a write to a portal', () => {
  const down = FLIGHT + ps(24 + 64) + 50_000;
  const up = ps(20) + 50_000 + FLIGHT;

  it.each([false, true])('is answered after the whole way there and back, every event: %s', (everyEvent) => {
    const { portal, run } = setUp(true, 1, everyEvent);
    portal.submit(0, 4, DESCRIPTOR, FLIGHT);
    expect(run()).toEqual([
      ['arrives', 4, down],
      ['accepted', 4, down + up],
    ]);
  });

  it('of a full queue is refused as late', () => {
    const { portal, run } = setUp(true, 0);
    portal.submit(0, 4, DESCRIPTOR, FLIGHT);
    expect(run().at(-1)).toEqual(['refused', 4, down + up]);
  });

  it('that is posted has no answer', () => {
    const { portal, run } = setUp(false, 1);
    portal.submit(0, 4, DESCRIPTOR, FLIGHT);
    expect(run()).toEqual([['arrives', 4, down]]);
  });

  it('waits for one that leaves before it', () => {
    const { portal, run } = setUp(true, 2);
    portal.submit(0, 1, DESCRIPTOR, FLIGHT);
    portal.submit(0, 2, DESCRIPTOR, FLIGHT);
    const arrivals = run().filter(([what]) => what === 'arrives');
    expect(arrivals).toEqual([
      ['arrives', 1, down],
      ['arrives', 2, down + ps(24 + 64)],
    ]);
  });
});

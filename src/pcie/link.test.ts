import { describe, expect, it } from 'vitest';
import { Event } from '../kernel/event.js';
import { Kernel } from '../kernel/kernel.js';
import { Op } from '../protocol/op.js';
import { CAUSES, Cause, TlpFlag } from '../protocol/tlp.js';
import { LatencyLedger } from '../stats/latency-ledger.js';
import { femtosecondsPerByte, Link } from './link.js';
import type { LinkSpec, PortSpec } from './spec.js';

/** 16 lanes of generation 3 without DLLPs: 8e9 * 16 * 128/130 bit/s. */
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
const PORT: PortSpec = {
  socket: 's0',
  iommu: null,
  postedHeaders: 2,
  postedData: 32,
  nonPostedHeaders: 1,
  creditReturn: 30_000,
};

function setUp(link: Partial<LinkSpec> = {}, port: Partial<PortSpec> = {}) {
  const kernel = new Kernel(Op.Relay);
  const ledger = new LatencyLedger(64, CAUSES);
  const wake = new Event();
  const spec = { ...LINK, ...link };
  const link0 = new Link(kernel, 0, spec, { ...PORT, ...port }, ledger, {
    wake,
    credit: Op.DeviceCredit,
    done: Op.DeviceDone,
  });
  let ids = 0;
  const tlp = (write: boolean, bytes: number): Event => {
    const event = new Event();
    event.id = ids++;
    event.flags = write ? TlpFlag.Write : 0;
    event.bytes = bytes;
    ledger.start(event.id, kernel.clock[0]!);
    return event;
  };
  const ps = (bytes: number): number => Math.round((bytes * femtosecondsPerByte(spec)) / 1000);
  return { kernel, ledger, wake, link: link0, tlp, ps };
}

describe('link', () => {
  it('rates follow generation, width, line code and DLLP share', () => {
    const gbps = (link: Partial<LinkSpec>): number => 8e6 / femtosecondsPerByte({ ...LINK, ...link });
    expect(gbps({ generation: 1, width: 1 })).toBeCloseTo(2, 6);
    expect(gbps({ generation: 2, width: 4 })).toBeCloseTo(16, 4);
    expect(gbps({ generation: 3, width: 8 })).toBeCloseTo((64 * 128) / 130, 3);
    expect(gbps({ generation: 4, width: 16 })).toBeCloseTo((256 * 128) / 130, 1);
    expect(gbps({ generation: 3, width: 8, dllpShare: 50_000 })).toBeCloseTo((0.95 * 64 * 128) / 130, 3);
  });

  it('requests serialise one after the other, then fly', () => {
    const { kernel, link, tlp, ps, ledger } = setUp();
    const [a, b] = [tlp(true, 256), tlp(false, 512)];
    expect([link.send(a), link.send(b)]).toEqual([true, true]);
    expect([kernel.next(), kernel.clock[0]]).toEqual([a, ps(280) + 50_000]);
    expect([a.op, a.unit]).toEqual([Op.PortArrive, 0]);
    expect([kernel.next(), kernel.clock[0]]).toEqual([b, ps(280) + ps(24) + 50_000]);
    ledger.finish(b.id, kernel.clock[0]!);
    expect(ledger.totalPs(Cause.LinkUp)).toBe(ps(280) + ps(24) + 50_000);
  });

  it('a completion costs one header a Max_Payload_Size; an aborted one has no data', () => {
    const { kernel, link, tlp, ps } = setUp();
    const read = tlp(false, 513);
    link.complete(read, 7000);
    expect([kernel.next(), kernel.clock[0]]).toEqual([read, ps(3 * 20 + 513) + 50_000 + 7000]);
    const start = kernel.clock[0]!;
    const refused = tlp(false, 512);
    refused.flags |= TlpFlag.Aborted;
    link.complete(refused, 0);
    kernel.next();
    expect(kernel.clock[0]! - start).toBe(ps(20) + 50_000);
  });

  it('a write without credits is refused and the device woken exactly when the credit is back', () => {
    const { kernel, link, tlp, wake } = setUp();
    const writes = [tlp(true, 256), tlp(true, 256), tlp(true, 256)];
    expect(writes.map((w) => link.send(w))).toEqual([true, true, false]);
    expect(kernel.next()).toBe(writes[0]);
    const freedAt = kernel.clock[0]!;
    link.returnCredits(writes[0]!);
    expect(kernel.next()).toBe(writes[1]);
    expect(kernel.next()).toBe(wake);
    expect([wake.op, kernel.clock[0]]).toEqual([Op.DeviceCredit, freedAt + 30_000]);
    link.woken();
    expect(link.send(writes[2]!)).toBe(true);
  });

  it('reads and writes have credits of their own; the wake-up of the wrong class changes nothing', () => {
    const { kernel, link, tlp, wake } = setUp({}, { postedHeaders: 1 });
    const [read, read2, write] = [tlp(false, 64), tlp(false, 64), tlp(true, 64)];
    expect([link.send(read), link.send(write), link.send(read2)]).toEqual([true, true, false]);
    kernel.next();
    kernel.next();
    link.returnCredits(write);
    expect(kernel.next()).toBe(wake);
    link.woken();
    expect(link.send(read2)).toBe(false);
    link.returnCredits(read);
    const freedAt = kernel.clock[0]!;
    expect([kernel.next(), kernel.clock[0]]).toEqual([wake, freedAt + 30_000]);
    link.woken();
    expect(link.send(read2)).toBe(true);
  });
});

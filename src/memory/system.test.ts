import { describe, expect, it } from 'vitest';
import { Registry } from '../stats/registry.js';
import { linePs } from './dram.js';
import type { HostCacheState, MemorySpec, SocketSpec } from './spec.js';
import { AddressOutsideMemory, FIRST_BASE, MemorySystem } from './system.js';

const LLC_PS = 60_000;
const DRAM_PS = 75_000;
const LINK_PS = 110_000;
const PORT_LINE = 1000;
const CHANNEL_LINE = 4000;
const LINK_LINE = 3200;

const rate = (ps: number) => (512 * 1e12) / ps;

/** The memory at an instant, ps. */
function at(memory: MemorySystem, now: number): MemorySystem {
  memory.clock[0] = now;
  return memory;
}

function socket(change: { ddioWays?: number; channels?: number; size?: number } = {}): SocketSpec {
  return {
    cores: 8,
    frequency: 2.6e9,
    llc: {
      size: 64 * 8 * 64,
      ways: 8,
      ddioWays: change.ddioWays ?? 2,
      scatter: 0,
      latency: LLC_PS,
      bandwidth: rate(PORT_LINE),
    },
    dram: {
      size: change.size ?? 2 ** 30,
      channels: change.channels ?? 2,
      latency: DRAM_PS,
      bandwidth: rate(CHANNEL_LINE),
    },
  };
}

function system(
  sockets: Record<string, SocketSpec> = { node0: socket(), node1: socket() },
  hostCache: HostCacheState = 'cold',
): MemorySystem {
  const spec: MemorySpec = { sockets, interconnect: { latency: LINK_PS, bandwidth: rate(LINK_LINE) }, hostCache };
  return new MemorySystem(spec);
}

describe('physical layout', () => {
  it('lines sockets up from 4 GiB by name, each at a whole GiB', () => {
    const memory = system({ b: socket(), a: socket({ size: 1.5 * 2 ** 30 }), c: socket() });
    expect(memory.socketNames).toEqual(['a', 'b', 'c']);
    expect([0, 1, 2].map((s) => memory.baseOf(s))).toEqual([
      FIRST_BASE,
      FIRST_BASE + 2 ** 31,
      FIRST_BASE + 3 * 2 ** 30,
    ]);
    expect(memory.sizeOf(0)).toBe(1.5 * 2 ** 30);
    expect(memory.indexOf('c')).toBe(2);
    expect(() => memory.indexOf('d')).toThrow(/no socket is called d; there are a, b, c/);
    expect(memory.socketOf(1, 0)).toBe(0);
    expect(memory.socketOf(1, 0x5fffffff)).toBe(0);
    expect(() => memory.socketOf(1, 0x60000000)).toThrow(AddressOutsideMemory);
    expect(memory.socketOf(1, 0x80000000 | 0)).toBe(1);
    expect(memory.socketOf(1, -1)).toBe(2);
  });

  it('refuses addresses outside every socket, to the byte, in every kind of access', () => {
    const memory = system({ only: socket() });
    expect(at(memory, 0).deviceRead(0, 1, 0x3ffff000, 4096)).toBeGreaterThan(0);
    expect(() => at(memory, 0).deviceRead(0, 1, 0x3ffff001, 4096)).toThrow(/all of the 4096 bytes at 0x13ffff001/);
    expect(() => at(memory, 0).deviceWrite(0, 0, -64, 64)).toThrow(AddressOutsideMemory);
    expect(() => at(memory, 0).walkerRead(0, -1, 0, true)).toThrow(AddressOutsideMemory);
    expect(() => at(memory, 0).hardwareWrite(0, 2, 0, 4)).toThrow(AddressOutsideMemory);
    expect(() => memory.cpuWrite(0, 0, 8)).toThrow(AddressOutsideMemory);
    expect(() => memory.warmFromDevice(FIRST_BASE, 2 ** 30 + 1)).toThrow(AddressOutsideMemory);
  });

  it('refuses impossible machines', () => {
    expect(() => system({})).toThrow(/at least one socket/);
    expect(() => system({ a: socket({ channels: 0 }) })).toThrow('a.dram.channels must be positive, got 0');
    expect(() => system({ a: socket({ size: 2 ** 52 }) })).toThrow(/52 address bits/);
  });
});

describe('unloaded latency', () => {
  const hit = (lines: number) => (lines - 1) * PORT_LINE + LLC_PS;
  /** Two channels take alternate lines: line i waits for the i/2 lines before it on its channel unless the port is slower. */
  const miss = (lines: number) => hit(lines) + DRAM_PS + Math.ceil(lines / 2 - 1) * (CHANNEL_LINE - 2 * PORT_LINE);

  it.each([1, 64, 128, 512, 1024, 4096])(
    'of a read of %i bytes is exact for hits, misses and remote memory',
    (bytes) => {
      const lines = Math.ceil(bytes / 64);
      const memory = system();
      const now = 7e15;
      expect(at(memory, now).deviceRead(0, 1, 0, bytes)).toBe(miss(lines));
      expect(at(memory, now + 1e9).deviceRead(0, 1, 0, bytes)).toBe(miss(lines));
      at(memory, now + 2e9).deviceWrite(0, 1, 0, bytes);
      expect(at(memory, now + 3e9).deviceRead(0, 1, 0, bytes)).toBe(hit(lines));
      const remote = Math.max(hit(lines), (lines - 1) * LINK_LINE + LLC_PS) + LINK_PS;
      expect(at(memory, now + 4e9).deviceRead(1, 1, 0, bytes)).toBe(remote);
    },
  );

  it('of a write is the LLC latency, with a DRAM wait only when victims pile up', () => {
    const memory = system({ node0: socket() });
    expect(at(memory, 0).deviceWrite(0, 1, 0, 64)).toBe(LLC_PS);
    expect(at(memory, 1e9).hardwareWrite(0, 1, 64, 4)).toBe(LLC_PS);
    expect(at(memory, 2e9).deviceWrite(0, 1, 0x10000, 4096)).toBe(63 * PORT_LINE + LLC_PS);
  });

  it('of a write without DDIO is the LLC latency after the wait for the channel', () => {
    const memory = system({ node0: socket({ ddioWays: 0 }) });
    memory.cpuWrite(1, 0, 64);
    expect(at(memory, 0).deviceWrite(0, 1, 0, 64)).toBe(LLC_PS);
    expect(memory.nodes[0]!.dram.counts[1]).toBe(1);
    expect(at(memory, 0).deviceWrite(0, 1, 0, 64)).toBe(CHANNEL_LINE + LLC_PS);
    expect(at(memory, 1e9).deviceRead(0, 1, 0, 64)).toBe(LLC_PS + DRAM_PS);
  });

  it('counts the lines that an unaligned request touches, over a 4 GiB border as well', () => {
    const memory = system({ node0: socket({ size: 8 * 2 ** 30 }) });
    expect(at(memory, 0).deviceRead(0, 1, 60, 8)).toBe(miss(2));
    at(memory, 1e9).deviceWrite(0, 1, -64, 128);
    expect(at(memory, 2e9).deviceRead(0, 2, 0, 64)).toBe(LLC_PS);
    expect(at(memory, 3e9).deviceRead(0, 1, 0, 64)).toBe(LLC_PS + DRAM_PS);
  });
});

describe('table walks', () => {
  it('leave the line in the LLC when coherent and bypass it when not', () => {
    const memory = system();
    expect(at(memory, 0).walkerRead(0, 1, 8, true)).toBe(LLC_PS + DRAM_PS);
    expect(at(memory, 1e9).walkerRead(0, 1, 16, true)).toBe(LLC_PS);
    expect(at(memory, 2e9).walkerRead(0, 1, 16, false)).toBe(LLC_PS + DRAM_PS);
    expect(at(memory, 3e9).walkerRead(1, 1, 16, true)).toBe(LLC_PS + LINK_PS);
  });

  it('find what a CPU stored until it is flushed', () => {
    const memory = system();
    memory.cpuWrite(1, 0x1000 - 8, 16);
    expect(at(memory, 0).walkerRead(0, 1, 0xff8, true)).toBe(LLC_PS);
    expect(at(memory, 1e9).walkerRead(0, 1, 0x1000, true)).toBe(LLC_PS);
    memory.flushLine(1, 0x1008);
    expect(at(memory, 2e9).walkerRead(0, 1, 0x1000, true)).toBe(LLC_PS + DRAM_PS);
  });
});

describe('evicted dirty lines', () => {
  it('go to DRAM whoever evicts them, clean ones do not', () => {
    const memory = system({ node0: socket() });
    const written = memory.nodes[0]!.dram.counts;
    memory.warmFromHost(FIRST_BASE, 64 * 8 * 64);
    at(memory, 0).walkerRead(0, 1, 0x100000, true);
    expect(written[1]).toBe(1);
    at(memory, 1e9).walkerRead(0, 1, 0x100040, true);
    at(memory, 2e9).deviceWrite(0, 1, 0x100080, 64);
    expect(written[1]).toBe(3);
    memory.coldAll();
    for (let i = 0; i < 1000; i++) at(memory, 3e9 + i * 1e9).walkerRead(0, 1, i << 6, true);
    expect(written[1]).toBe(3);
  });
});

describe('bandwidth', () => {
  /** Bytes a second of `n` requests made at one instant, without the latency of the first. */
  function measured(n: number, bytes: number, request: (i: number) => number): number {
    const first = request(0);
    let last = first;
    for (let i = 1; i < n; i++) last = Math.max(last, request(i));
    return ((n - 1) * bytes * 8 * 1e12) / (last - first);
  }

  it('of hits is that of the LLC port', () => {
    const memory = system();
    at(memory, 0).deviceWrite(0, 1, 0, 64);
    expect(measured(10_000, 64, () => at(memory, 1e9).deviceRead(0, 1, 0, 64)) / rate(PORT_LINE)).toBeCloseTo(1, 9);
  });

  it('of misses is that of all DRAM channels', () => {
    const memory = system();
    const total = measured(10_000, 4096, (i) => at(memory, 1e9).deviceRead(0, 1, i << 12, 4096));
    expect(total / (2 * rate(CHANNEL_LINE))).toBeCloseTo(1, 2);
  });

  it('of device writes beyond the DDIO share is that of writing victims back', () => {
    const memory = system();
    const total = measured(10_000, 4096, (i) => at(memory, 1e9).deviceWrite(0, 1, i << 12, 4096));
    expect(total / (2 * rate(CHANNEL_LINE))).toBeCloseTo(1, 2);
  });

  it('of remote hits is that of the link, in the direction of the data', () => {
    const memory = system();
    at(memory, 0).deviceWrite(0, 1, 0, 64);
    expect(measured(10_000, 64, () => at(memory, 1e9).deviceRead(1, 1, 0, 64)) / rate(LINK_LINE)).toBeCloseTo(1, 3);
    const quiet = at(memory, 1e9 + 10_000 * PORT_LINE).deviceWrite(1, 1, 0, 64);
    expect(quiet).toBe(LLC_PS + LINK_PS);
  });

  it('rounds the time of a line by less than 0.1 %', () => {
    for (const bandwidth of [512e9, 119.4e9, 307.2e9])
      expect((linePs(bandwidth) * bandwidth) / 512e12).toBeCloseTo(1, 3);
  });

  it('is not spent while idle: a request after an hour waits for nothing', () => {
    const memory = system();
    for (let i = 0; i < 1000; i++) at(memory, 0).deviceRead(0, 1, i << 6, 64);
    expect(at(memory, 3600e12).deviceRead(0, 1, 0, 64)).toBe(LLC_PS + DRAM_PS);
  });
});

describe('host cache state', () => {
  const LINES = 64 * 8;

  function hitShare(memory: MemorySystem, lines: number): number {
    let hits = 0;
    for (let i = 0; i < lines; i++) if (at(memory, 1e12 + i * 1e9).deviceRead(0, 1, i << 6, 64) === LLC_PS) hits++;
    return hits / lines;
  }

  it('warms the DDIO share, the whole cache, or nothing', () => {
    for (const [state, capacity] of [
      ['cold', 0],
      ['device-warm', LINES / 4],
      ['host-warm', LINES],
    ] as const) {
      const memory = system({ node0: socket() }, state);
      memory.warmWindow(FIRST_BASE, LINES * 64);
      expect(hitShare(memory, LINES)).toBe(capacity / LINES);
    }
  });

  it('warms a window beyond the cache like a full replay', () => {
    const window = 5 * LINES * 64;
    const memory = system({ node0: socket() }, 'device-warm');
    memory.warmWindow(FIRST_BASE, window);
    const replayed = system({ node0: socket() });
    for (let i = 0; i < 5 * LINES; i++) at(replayed, i * 1e9).deviceWrite(0, 1, i << 6, 64);
    for (let i = 0; i < 5 * LINES; i++) {
      expect(memory.nodes[0]!.llc.contains(1, i << 6)).toBe(replayed.nodes[0]!.llc.contains(1, i << 6));
    }
    memory.coldAll();
    expect(hitShare(memory, 5 * LINES)).toBe(0);
  });

  it('cools a window that was stored to when the run starts cold, and nothing else', () => {
    const memory = system({ node0: socket() });
    memory.cpuWrite(1, 0, 4096);
    memory.warmWindow(FIRST_BASE, 2048);
    expect(at(memory, 1e9).deviceRead(0, 1, 0x7c0, 64)).toBe(LLC_PS + DRAM_PS);
    expect(at(memory, 2e9).deviceRead(0, 1, 0x800, 64)).toBe(LLC_PS);
  });
});

describe('metrics', () => {
  it('count lines by kind and socket since the last reset', () => {
    const memory = system();
    const registry = new Registry();
    memory.registerMetrics(registry);
    expect(registry.collect(0)).toHaveLength(2 * registry.definitions().length);

    at(memory, 0).deviceRead(0, 1, 0, 64);
    registry.reset(1e9);
    at(memory, 1e9).deviceWrite(0, 1, 0, 256);
    at(memory, 1e9).deviceRead(1, 1, 0, 512);
    at(memory, 1e9).walkerRead(0, 1, 0, true);
    at(memory, 1e9).walkerRead(0, 1, 0, false);
    const values = registry.collect(1e9 + 100_000);
    const value = (key: string) => values.find((v) => `${v.component} ${v.metric}` === key)?.value;
    expect(value('node0 llc.device_write.lookups')).toBe(4);
    expect(value('node0 llc.device_write.hits')).toBe(0);
    expect(value('node0 llc.device_read.lookups')).toBe(8);
    expect(value('node0 llc.device_read.hits')).toBe(4);
    expect(value('node0 llc.walker.lookups')).toBe(1);
    expect(value('node0 llc.walker.hits')).toBe(1);
    expect(value('node0 dram.reads')).toBe(5);
    expect(value('node0 dram.writes')).toBe(0);
    expect(value('node0 dram.bytes')).toBe(320);
    expect(value('node0 interconnect.bytes')).toBe(512);
    expect(value('node0 dram.utilisation')).toBeCloseTo((5 * CHANNEL_LINE) / 200_000, 9);
    expect(value('node0 llc.port.utilisation')).toBeCloseTo((14 * PORT_LINE) / 100_000, 9);
    expect(value('node1 dram.reads')).toBe(0);
    expect(value('node1 llc.device_read.lookups')).toBe(0);
  });
});

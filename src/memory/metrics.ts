/** What the memory side reports, one component per socket; counters cover the window since the last reset. */
import type { MetricDef, Registry } from '../stats/registry.js';
import { LINE_BYTES } from './dram.js';
import { Kind, type MemoryNode } from './node.js';

const KINDS: readonly [Kind, string, string][] = [
  [Kind.DeviceRead, 'device_read', 'device reads'],
  [Kind.DeviceWrite, 'device_write', 'device and IOMMU writes'],
  [Kind.Walker, 'walker', 'coherent table-walk reads'],
];

export const MEMORY_METRICS: readonly MetricDef[] = [
  ...KINDS.flatMap(([, name, words]) => [
    {
      name: `llc.${name}.lookups`,
      unit: 'lines',
      sentence: `64-byte lines looked up in the last-level cache by ${words}.`,
      formula: 'count of lines',
    },
    {
      name: `llc.${name}.hits`,
      unit: 'lines',
      sentence: `64-byte lines found in the last-level cache by ${words}.`,
      formula: 'count of lines',
    },
  ]),
  {
    name: 'llc.port.utilisation',
    unit: 'ratio',
    sentence: 'Share of the window in which the port between root complex and last-level cache was busy.',
    formula: 'busy time / window',
  },
  {
    name: 'dram.reads',
    unit: 'lines',
    sentence: '64-byte lines read from DRAM.',
    formula: 'count of lines',
  },
  {
    name: 'dram.writes',
    unit: 'lines',
    sentence: '64-byte lines written to DRAM, evicted dirty lines included.',
    formula: 'count of lines',
  },
  { name: 'dram.bytes', unit: 'bytes', sentence: 'Bytes moved to and from DRAM.', formula: '64 * (reads + writes)' },
  {
    name: 'dram.utilisation',
    unit: 'ratio',
    sentence: 'Share of the window in which a DRAM channel was busy, averaged over the channels.',
    formula: 'busy time of all channels / (window * channels)',
  },
  {
    name: 'interconnect.bytes',
    unit: 'bytes',
    sentence: "Bytes of this socket's memory read or written by other sockets.",
    formula: '64 * lines that crossed a link',
  },
];

/** Registers the gauges of one socket's memory. */
export function registerNode(
  registry: Pick<Registry, 'gauge'>,
  component: string,
  node: MemoryNode,
  remoteBytes: () => number,
): void {
  for (const [kind, name] of KINDS) {
    registry.gauge(component, `llc.${name}.lookups`, () => node.lookups[kind]!);
    registry.gauge(component, `llc.${name}.hits`, () => node.hits[kind]!);
  }
  const { counts, bank } = node.dram;
  registry.gauge(component, 'llc.port.utilisation', (now) => node.port.utilisation(now));
  registry.gauge(component, 'dram.reads', () => counts[0]!);
  registry.gauge(component, 'dram.writes', () => counts[1]!);
  registry.gauge(component, 'dram.bytes', () => (counts[0]! + counts[1]!) * LINE_BYTES);
  registry.gauge(component, 'dram.utilisation', (now) => bank.utilisation(now));
  registry.gauge(component, 'interconnect.bytes', remoteBytes);
}

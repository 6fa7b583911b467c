/**
 * What is fitted to which rows: each problem is a few parameters, the published series they are judged by, and how they become
 * values of model sheets. One set of parameters per host, the device's shared by all hosts. What stays open is not searched:
 * device time against LLC time, link delay, and the number of walkers against their occupancy are visible only as sums or ratios.
 */
import { DERIVED_TESTS } from '../derived.js';
import type { PublishedSeries } from '../published.js';
import { type Host, HOSTS, NIC, startValue, type Value, type Values } from './parameters.js';
import { type Dimension, dimension } from './search.js';

export interface Problem {
  readonly name: string;
  readonly dimensions: readonly Dimension[];
  /** The sheets' values for a position in the search, in the dimensions' order and units. */
  toValues(position: readonly number[]): Value[];
  readonly rows: readonly { readonly host: Host; readonly series: PublishedSeries }[];
}

/** First pass: from the sheets' starting values with wide steps. Later passes: from the values found so far with small steps. */
export type Pass = 'first' | 'later';

interface Knob {
  readonly sheet: string;
  readonly path: string;
  readonly unit: string;
  readonly quantum: number;
  /** First step of the first pass. */
  readonly step: number;
  readonly min: number;
  readonly max: number;
  /** Further paths that take the same value. */
  readonly also?: readonly string[];
}

const LATER_STEPS = 8;

function dimensionOf(knob: Knob, pass: Pass, values: Values): Dimension {
  const { sheet, path, quantum, min, max } = knob;
  const first = pass === 'first';
  const start = first ? startValue(sheet, path) : values.at(sheet, path);
  return dimension(path, quantum, { start, step: first ? knob.step : knob.step / LATER_STEPS, min, max });
}

function knobValues({ sheet, path, unit, also = [] }: Knob, value: number, rows: string): Value[] {
  return [path, ...also].map((each) => ({ sheet, path: each, value, unit, rows }));
}

function simple(
  name: string,
  knobs: readonly Knob[],
  rows: Problem['rows'],
  text: string,
  pass: Pass,
  values: Values,
): Problem {
  return {
    name,
    dimensions: knobs.map((knob) => dimensionOf(knob, pass, values)),
    toValues: (position) => knobs.flatMap((knob, i) => knobValues(knob, position[i]!, text)),
    rows,
  };
}

function rowsOf(published: readonly PublishedSeries[], wanted: (s: PublishedSeries) => boolean): Problem['rows'] {
  return HOSTS.flatMap((host) =>
    published
      .filter((s) => s.use === 'CAL' && !DERIVED_TESTS.has(s.test) && s.host === host.machine && wanted(s))
      .map((series) => ({ host, series })),
  );
}

/** Rows whose accesses never walk: IOMMU off, and 2 MiB pages, of which the windows need 32 at most. */
const walkless = (s: PublishedSeries): boolean => s.iommu !== '4KiB';

/** LLC latency, DDIO ways and scatter of one host, on its rows without walks; the first pass looks at latency only. */
export function memoryProblem(host: Host, published: readonly PublishedSeries[], pass: Pass, values: Values): Problem {
  const sheet = host.machine;
  const both = (key: string): { path: string; also: string[] } => ({
    path: `sockets.s0.llc.${key}`,
    also: [`sockets.s1.llc.${key}`],
  });
  const knobs: Knob[] = [
    { sheet, ...both('latency'), unit: 'ns', quantum: 0.5, step: 16, min: 10, max: 300 },
    { sheet, ...both('scatter'), unit: '%', quantum: 1, step: 32, min: 0, max: 100 },
    { sheet, ...both('ddioWays'), unit: 'ways', quantum: 1, step: 1, min: 1, max: 4 },
  ];
  const own = (s: PublishedSeries): boolean =>
    s.host === host.machine && walkless(s) && (pass === 'later' || s.test.startsWith('LAT'));
  const text = `fit to pcie-bench PCIB-${host.label}-*-off and -sp`;
  return simple(`${host.label} memory`, knobs, rowsOf(published, own), text, pass, values);
}

const READ_SIZES = ['64', '128', '256', '512'];
const WRITE_SIZES = ['64', '256', '512'];

function readInterval(size: string): Knob {
  const path = `engine.readInterval.${READ_SIZES.indexOf(size)}.interval`;
  return { sheet: NIC, path, unit: 'ns', quantum: 0.1, step: 4, min: 1, max: 200 };
}

function writeInterval(size: string): Knob {
  const path = `engine.writeInterval.${WRITE_SIZES.indexOf(size)}.interval`;
  return { sheet: NIC, path, unit: 'ns', quantum: 0.1, step: 4, min: 1, max: 200 };
}

const SLOTS_256: Knob = {
  sheet: NIC,
  path: `engine.readSlots.${READ_SIZES.indexOf('256')}.slots`,
  unit: 'reads',
  quantum: 1,
  step: 16,
  min: 4,
  max: 64,
};

const RING: Knob = {
  sheet: NIC,
  path: 'engine.outstanding',
  unit: 'DMAs',
  quantum: 1,
  step: 8,
  min: 8,
  max: 64,
};

/** The device, shared by all hosts, on rows without walks: one problem for each transfer, since no two sizes share a parameter. */
export function deviceProblems(published: readonly PublishedSeries[], pass: Pass, values: Values): Problem[] {
  const problem = (test: string, knobs: readonly Knob[]): Problem => {
    const rows = rowsOf(published, (s) => walkless(s) && s.test === test);
    return simple(`NIC ${test}`, knobs, rows, `fit to pcie-bench PCIB-*-${test}-*-off and -sp`, pass, values);
  };
  return [
    problem('BWrd64', [RING]),
    problem('BWrd128', [readInterval('128')]),
    problem('BWrd256', [readInterval('256')]),
    problem('BWrd512', [readInterval('512')]),
    problem('BWwr64', [writeInterval('64')]),
    problem('BWwr256', [writeInterval('256')]),
  ].filter(({ rows }) => rows.length > 0);
}

/** 256 B reads in flight, which only a miss of the IOTLB shows: rows with 4 KiB pages. Those of other sizes stay within the ring. */
export function slotProblem(published: readonly PublishedSeries[], pass: Pass, values: Values): Problem {
  const rows = rowsOf(published, (s) => s.iommu === '4KiB' && s.test === 'BWrd256');
  return simple('NIC BWrd256 slots', [SLOTS_256], rows, 'fit to pcie-bench PCIB-*-BWrd256-*-4k', pass, values);
}

/**
 * Usable IOTLB entries, and the time of a miss besides its table reads: one read at a time with 4 KiB pages shows both and
 * nothing else of a walk. `walkers.replay` takes the whole of it as far as the walker's own part is not known yet.
 */
export function missProblem(host: Host, published: readonly PublishedSeries[], values: Values): Problem {
  const walk = walkOf(host, values);
  return {
    name: `${host.label} miss`,
    dimensions: [
      dimension('usable IOTLB entries', 1, { start: walk.entries, step: 16, min: 16, max: 512 }),
      dimension('miss besides reads', 1, { start: walk.total, step: 64, min: 0, max: 1000 }),
    ],
    toValues: ([entries, total]) => walkValues(host, { ...walk, entries: entries!, total: total! }),
    rows: walkRows(host, published, (test) => test.startsWith('LAT')),
  };
}

/**
 * How long a walk occupies its walker, and how much longer a read's does, on rows of all transfers; entries and miss time may
 * still move a little, since an IOTLB that just covers 512 KiB is told from one that does not by bandwidth more than by latency.
 */
export function walkProblem(host: Host, published: readonly PublishedSeries[], pass: Pass, values: Values): Problem {
  const walk = walkOf(host, values);
  const wide = pass === 'first' ? 64 : 64 / LATER_STEPS;
  const time = (name: string, start: number, step: number): Dimension =>
    dimension(name, 1, { start, step, min: 0, max: 1000 });
  return {
    name: `${host.label} walk`,
    dimensions: [
      dimension('usable IOTLB entries', 1, { start: walk.entries, step: 2, min: 16, max: 512 }),
      time('miss besides reads', walk.total, 4),
      time('of it in the walker', walk.overhead, wide),
      time('longer for reads', walk.hold, wide),
    ],
    toValues: (position) => {
      const [entries, total, overhead, hold] = position as [number, number, number, number];
      return walkValues(host, { entries, total, overhead, hold });
    },
    // The first pass leaves out transfers that the device itself limits in a way not known yet.
    rows: walkRows(host, published, (test) => pass === 'later' || !['BWrd256', 'BWrd512'].includes(test)),
  };
}

function walkRows(
  host: Host,
  published: readonly PublishedSeries[],
  wanted: (test: string) => boolean,
): Problem['rows'] {
  return rowsOf(published, (s) => s.host === host.machine && s.iommu === '4KiB' && wanted(s.test));
}

/** A miss as the fit sees it: `total` besides its reads, `overhead` of it in the walker. */
interface WalkTimes {
  readonly entries: number;
  readonly total: number;
  readonly overhead: number;
  readonly hold: number;
}

function walkOf({ unit }: Host, values: Values): WalkTimes {
  const overhead = values.at(unit, 'walkers.overhead');
  return {
    entries: values.at(unit, 'iotlb.entries'),
    total: overhead + values.at(unit, 'walkers.replay'),
    overhead,
    hold: values.at(unit, 'walkers.readHold'),
  };
}

function walkValues({ label, unit: sheet }: Host, walk: WalkTimes): Value[] {
  const overhead = Math.min(walk.overhead, walk.total);
  const replay = walk.total - overhead;
  const rows = `fit to pcie-bench PCIB-${label}-*-4k`;
  const value = (path: string, amount: number, unit: string): Value => ({ sheet, path, value: amount, unit, rows });
  return [
    value('iotlb.entries', walk.entries, 'entries'),
    value('iotlb.ways', walk.entries, 'ways'),
    value('walkers.overhead', overhead, 'ns'),
    value('walkers.replay', replay, 'ns'),
    value('walkers.readHold', Math.min(walk.hold, replay), 'ns'),
  ];
}

/**
 * Hosts whose measurements with the IOMMU on are not to be fitted: IOTLB entries and the time of a miss come from their PARAM
 * rows, the walker from the IOMMU they inherit it from. The table read (not coherent here: DRAM) is known; replay and hold are
 * inherited, and what is left of the miss time is the walker's own.
 */
import type { PublishedSeries } from '../published.js';
import type { Value, Values } from './parameters.js';

interface Predicted {
  readonly label: string;
  readonly machine: string;
  /** Sheet that holds the walkers, and where in it. */
  readonly sheet: string;
  readonly prefix: string;
  readonly inherits: string;
}

const PREDICTED: readonly Predicted[] = [
  {
    label: 'HSWB',
    machine: 'hsw-e5-2637v3',
    sheet: 'hsw-e5-2637v3',
    prefix: 'iommus.iommu0.',
    inherits: 'vtd-hsw-ep',
  },
  { label: 'SNB', machine: 'snb-e5-2630', sheet: 'vtd-snb-ep', prefix: '', inherits: 'vtd-ivb-ep' },
];

/** NEFF is closest to the number of entries where misses are rare. */
const NEFF_WINDOW = '512KiB';

/** Values of predicted hosts for which the published table has PARAM rows. */
export function predictedValues(published: readonly PublishedSeries[], values: Values): Value[] {
  return PREDICTED.flatMap((host) => {
    const row = (test: string): PublishedSeries | undefined =>
      published.find((s) => s.use === 'PARAM' && s.host === host.machine && s.test === test);
    const miss = row('MISS')?.points[0]?.value;
    const entries = row('NEFF')?.points.find((p) => p.window === NEFF_WINDOW)?.value;
    return miss === undefined || entries === undefined ? [] : predict(host, miss, entries, values);
  });
}

function predict(
  { label, machine, sheet, prefix, inherits }: Predicted,
  miss: number,
  entries: number,
  values: Values,
): Value[] {
  const read = values.at(machine, 'sockets.s0.llc.latency') + values.at(machine, 'sockets.s0.dram.latency');
  const overhead = Math.max(0, Math.round(miss - read - values.at(inherits, 'walkers.replay')));
  const replay = Math.max(0, Math.round(miss - read - overhead));
  const hold = Math.min(replay, values.at(inherits, 'walkers.readHold'));
  const value = (path: string, amount: number, unit: string, rows: string): Value => ({
    sheet,
    path: `${prefix}${path}`,
    value: amount,
    unit,
    rows,
    confidence: 'assumed',
  });
  const walk = `pcie-bench PCIB-${label}-MISS (PARAM) less the table read; replay and hold as in ${inherits} where they fit`;
  const reach = `pcie-bench PCIB-${label}-NEFF (PARAM) at ${NEFF_WINDOW}`;
  return [
    value('iotlb.entries', entries, 'entries', reach),
    value('iotlb.ways', entries, 'ways', reach),
    value('walkers.overhead', overhead, 'ns', walk),
    value('walkers.replay', replay, 'ns', walk),
    value('walkers.readHold', hold, 'ns', walk),
  ];
}

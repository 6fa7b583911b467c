/**
 * What the VT-d units of Sandy Bridge-EP to Broadwell-EP have in common beyond `legacyUnit`: behaviour that the pcie-bench
 * measurements decide in kind, before a fit decides the numbers.
 */
import { assumed } from '../quantity.js';
import type { Parameters } from '../sheet.js';
import { PCIE_BENCH } from '../sources.js';
import { iotlb, legacyUnit, queue } from './vtd.js';

const READS_PASS = `${PCIE_BENCH}: with reads in one order the 256 B read knees of Broadwell-EP and Ivy Bridge-EP come a step early`;
const NO_MERGE = `${PCIE_BENCH}: with merging, reads and writes just beyond the knee are up to 15 % too fast`;
const NOT_VISIBLE = 'random accesses do not tell replacement policies apart; random shows no pattern of its own';

/** A legacy-mode unit of a Xeon E5: reads pass reads that wait for a walk, and each miss walks for itself. */
export const e5Unit: Parameters = {
  ...legacyUnit,
  queue: { ...queue, order: assumed('posted', '', READS_PASS) },
  iotlb: {
    ...iotlb(assumed(128, 'entries', `${PCIE_BENCH}: 103 to 126 effective 4 KiB entries`)),
    replacement: assumed('random', '', NOT_VISIBLE),
  },
  walkers: {
    count: assumed(
      4,
      'walks',
      'only the ratio of walkers to occupancy is visible; 4 is the largest number whose occupancy fits the miss latency',
    ),
    overhead: assumed(100, 'ns', 'start value of the fit'),
    replay: assumed(50, 'ns', 'start value of the fit'),
    readHold: assumed(0, 'ns', 'start value of the fit'),
    merge: assumed(false, '', NO_MERGE),
    outstanding: assumed(32, 'pages', 'not published; not a limit with 28 reads in flight'),
  },
};

/** The open-source RISC-V IOMMU of Zero-Day Labs with the defaults of its RTL. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { absent, common, faults, invalidation, structure } from './riscv.js';

const RTL = 'zero-day-labs/riscv-iommu @ 18ad30a';
const CACHE = `${RTL} rtl: 4 entries, fully associative, pseudo-LRU`;
const FIRST_IN_FLIGHT = `${RTL} rtl: a request stalls until the one before is translated`;
const CLOCK = 'one to two cycles at 1 GHz; the clock is an assumption';

const four: Parameters = {
  ...structure(
    spec(4, 'entries', `${RTL} rtl/riscv_iommu.sv: IOTLB_ENTRIES, DDTC_ENTRIES, PDTC_ENTRIES = 4`),
    4,
    2,
    'plru',
    CACHE,
  ),
  ways: spec(4, 'ways', CACHE),
  replacement: spec('plru', '', CACHE),
  latency: assumed(2, 'ns', CLOCK),
};
const none = absent(`${RTL}: no such structure`);

export const riscvZeroDay: Sheet = defineSheet({
  name: 'riscv-zero-day',
  title: 'Zero-Day Labs RISC-V IOMMU',
  kind: 'iommu',
  description:
    'Open-source RTL with its default parameters: Sv39, one translation at a time, caches of four entries. Its lack of Svnapot is not modelled.',
  parameters: {
    ...common,
    levels: spec(3, 'levels', `${RTL} README: Sv39 and Sv39x4`),
    deviceLevels: spec(3, 'levels', `${RTL} README: device directories of up to three levels; Linux takes the largest`),
    processLevels: spec(0, 'levels', `${RTL} README: process contexts are a build option; Linux does not use them`),
    hostAddressWidth: spec(52, 'bits', 'the specification allows 56; the simulator has 52'),
    largestPage: spec(1, 'GiB', 'Sv39'),
    queue: {
      postedDepth: spec(1, 'transactions', FIRST_IN_FLIGHT),
      nonPostedDepth: spec(1, 'transactions', FIRST_IN_FLIGHT),
      order: spec('all', '', FIRST_IN_FLIGHT),
      interval: assumed(2, 'ns', CLOCK),
    },
    contextCache: four,
    pasidCache: four,
    iotlb: four,
    pagingStructureCache: { level2: none, level3: none, level4: none, level5: none },
    secondStageTlb: none,
    walkers: {
      count: spec(1, 'walks', `${RTL} rtl: one page-table walker`),
      overhead: assumed(5, 'ns', 'states of the walker at 1 GHz; not published'),
      replay: assumed(2, 'ns', CLOCK),
      readHold: assumed(0, 'ns', 'not published'),
      merge: spec(false, '', `${RTL} rtl: one translation at a time`),
      outstanding: spec(1, 'pages', `${RTL} rtl: one translation at a time`),
    },
    invalidation: {
      ...invalidation(4, 1, 1, `${RTL} rtl: four-state command machine, one-cycle invalidation; 1 GHz assumed`),
      maxAddressMask: spec(0, 'log2 pages', `${RTL}: neither NL nor S`),
    },
    faults,
  },
});

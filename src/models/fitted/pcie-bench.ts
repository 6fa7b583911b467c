/**
 * Parameters decided by the published pcie-bench measurements (github.com/pcie-bench/data @ b2abf2f, Neugebauer et al.,
 * SIGCOMM 2018): sheet name, dotted path, value. Written by `iommusim fit --seed 1`; do not edit.
 */
import type { FittedTable } from './value.js';

export const PCIE_BENCH_FIT: Readonly<Record<string, FittedTable>> = {
  'bdw-e5-2630v4': {
    'sockets.s0.llc.latency': { value: 101.5, unit: 'ns', rows: 'fit to pcie-bench PCIB-BDW-*-off and -sp' },
    'sockets.s1.llc.latency': { value: 101.5, unit: 'ns', rows: 'fit to pcie-bench PCIB-BDW-*-off and -sp' },
    'sockets.s0.llc.scatter': { value: 0, unit: '%', rows: 'fit to pcie-bench PCIB-BDW-*-off and -sp' },
    'sockets.s1.llc.scatter': { value: 0, unit: '%', rows: 'fit to pcie-bench PCIB-BDW-*-off and -sp' },
    'sockets.s0.llc.ddioWays': { value: 2, unit: 'ways', rows: 'fit to pcie-bench PCIB-BDW-*-off and -sp' },
    'sockets.s1.llc.ddioWays': { value: 2, unit: 'ways', rows: 'fit to pcie-bench PCIB-BDW-*-off and -sp' },
  },
  'hsw-e5-2620v3': {
    'sockets.s0.llc.latency': { value: 97, unit: 'ns', rows: 'fit to pcie-bench PCIB-HSW-*-off and -sp' },
    'sockets.s1.llc.latency': { value: 97, unit: 'ns', rows: 'fit to pcie-bench PCIB-HSW-*-off and -sp' },
    'sockets.s0.llc.scatter': { value: 7, unit: '%', rows: 'fit to pcie-bench PCIB-HSW-*-off and -sp' },
    'sockets.s1.llc.scatter': { value: 7, unit: '%', rows: 'fit to pcie-bench PCIB-HSW-*-off and -sp' },
    'sockets.s0.llc.ddioWays': { value: 2, unit: 'ways', rows: 'fit to pcie-bench PCIB-HSW-*-off and -sp' },
    'sockets.s1.llc.ddioWays': { value: 2, unit: 'ways', rows: 'fit to pcie-bench PCIB-HSW-*-off and -sp' },
  },
  'hsw-e5-2637v3': {
    'sockets.s0.llc.latency': { value: 124, unit: 'ns', rows: 'fit to pcie-bench PCIB-HSWB-*-off and -sp' },
    'sockets.s1.llc.latency': { value: 124, unit: 'ns', rows: 'fit to pcie-bench PCIB-HSWB-*-off and -sp' },
    'sockets.s0.llc.scatter': { value: 8, unit: '%', rows: 'fit to pcie-bench PCIB-HSWB-*-off and -sp' },
    'sockets.s1.llc.scatter': { value: 8, unit: '%', rows: 'fit to pcie-bench PCIB-HSWB-*-off and -sp' },
    'sockets.s0.llc.ddioWays': { value: 2, unit: 'ways', rows: 'fit to pcie-bench PCIB-HSWB-*-off and -sp' },
    'sockets.s1.llc.ddioWays': { value: 2, unit: 'ways', rows: 'fit to pcie-bench PCIB-HSWB-*-off and -sp' },
    'iommus.iommu0.iotlb.entries': {
      value: 119,
      unit: 'entries',
      rows: 'pcie-bench PCIB-HSWB-NEFF (PARAM) at 512KiB',
      confidence: 'assumed',
    },
    'iommus.iommu0.iotlb.ways': {
      value: 119,
      unit: 'ways',
      rows: 'pcie-bench PCIB-HSWB-NEFF (PARAM) at 512KiB',
      confidence: 'assumed',
    },
    'iommus.iommu0.walkers.overhead': {
      value: 7,
      unit: 'ns',
      rows: 'pcie-bench PCIB-HSWB-MISS (PARAM) less the table read; replay and hold as in vtd-hsw-ep where they fit',
      confidence: 'assumed',
    },
    'iommus.iommu0.walkers.replay': {
      value: 49,
      unit: 'ns',
      rows: 'pcie-bench PCIB-HSWB-MISS (PARAM) less the table read; replay and hold as in vtd-hsw-ep where they fit',
      confidence: 'assumed',
    },
    'iommus.iommu0.walkers.readHold': {
      value: 31,
      unit: 'ns',
      rows: 'pcie-bench PCIB-HSWB-MISS (PARAM) less the table read; replay and hold as in vtd-hsw-ep where they fit',
      confidence: 'assumed',
    },
  },
  'ivb-e5-2620v2': {
    'sockets.s0.llc.latency': { value: 103, unit: 'ns', rows: 'fit to pcie-bench PCIB-IVB-*-off and -sp' },
    'sockets.s1.llc.latency': { value: 103, unit: 'ns', rows: 'fit to pcie-bench PCIB-IVB-*-off and -sp' },
    'sockets.s0.llc.scatter': { value: 7, unit: '%', rows: 'fit to pcie-bench PCIB-IVB-*-off and -sp' },
    'sockets.s1.llc.scatter': { value: 7, unit: '%', rows: 'fit to pcie-bench PCIB-IVB-*-off and -sp' },
    'sockets.s0.llc.ddioWays': { value: 2, unit: 'ways', rows: 'fit to pcie-bench PCIB-IVB-*-off and -sp' },
    'sockets.s1.llc.ddioWays': { value: 2, unit: 'ways', rows: 'fit to pcie-bench PCIB-IVB-*-off and -sp' },
  },
  'snb-e5-2630': {
    'sockets.s0.llc.latency': { value: 107, unit: 'ns', rows: 'fit to pcie-bench PCIB-SNB-*-off and -sp' },
    'sockets.s1.llc.latency': { value: 107, unit: 'ns', rows: 'fit to pcie-bench PCIB-SNB-*-off and -sp' },
    'sockets.s0.llc.scatter': { value: 27, unit: '%', rows: 'fit to pcie-bench PCIB-SNB-*-off and -sp' },
    'sockets.s1.llc.scatter': { value: 27, unit: '%', rows: 'fit to pcie-bench PCIB-SNB-*-off and -sp' },
    'sockets.s0.llc.ddioWays': { value: 1, unit: 'ways', rows: 'fit to pcie-bench PCIB-SNB-*-off and -sp' },
    'sockets.s1.llc.ddioWays': { value: 1, unit: 'ways', rows: 'fit to pcie-bench PCIB-SNB-*-off and -sp' },
  },
  nfp6000: {
    'engine.outstanding': { value: 27, unit: 'DMAs', rows: 'fit to pcie-bench PCIB-*-BWrd64-*-off and -sp' },
    'engine.readInterval.1.interval': {
      value: 23.8,
      unit: 'ns',
      rows: 'fit to pcie-bench PCIB-*-BWrd128-*-off and -sp',
    },
    'engine.readInterval.2.interval': {
      value: 43.4,
      unit: 'ns',
      rows: 'fit to pcie-bench PCIB-*-BWrd256-*-off and -sp',
    },
    'engine.readInterval.3.interval': {
      value: 74.3,
      unit: 'ns',
      rows: 'fit to pcie-bench PCIB-*-BWrd512-*-off and -sp',
    },
    'engine.writeInterval.0.interval': {
      value: 21.1,
      unit: 'ns',
      rows: 'fit to pcie-bench PCIB-*-BWwr64-*-off and -sp',
    },
    'engine.writeInterval.1.interval': {
      value: 40.5,
      unit: 'ns',
      rows: 'fit to pcie-bench PCIB-*-BWwr256-*-off and -sp',
    },
    'engine.readSlots.2.slots': { value: 13, unit: 'reads', rows: 'fit to pcie-bench PCIB-*-BWrd256-*-4k' },
  },
  'vtd-bdw-ep': {
    'iotlb.entries': { value: 116, unit: 'entries', rows: 'fit to pcie-bench PCIB-BDW-*-4k' },
    'iotlb.ways': { value: 116, unit: 'ways', rows: 'fit to pcie-bench PCIB-BDW-*-4k' },
    'walkers.overhead': { value: 86, unit: 'ns', rows: 'fit to pcie-bench PCIB-BDW-*-4k' },
    'walkers.replay': { value: 96, unit: 'ns', rows: 'fit to pcie-bench PCIB-BDW-*-4k' },
    'walkers.readHold': { value: 28, unit: 'ns', rows: 'fit to pcie-bench PCIB-BDW-*-4k' },
  },
  'vtd-hsw-ep': {
    'iotlb.entries': { value: 119, unit: 'entries', rows: 'fit to pcie-bench PCIB-HSW-*-4k' },
    'iotlb.ways': { value: 119, unit: 'ways', rows: 'fit to pcie-bench PCIB-HSW-*-4k' },
    'walkers.overhead': { value: 81, unit: 'ns', rows: 'fit to pcie-bench PCIB-HSW-*-4k' },
    'walkers.replay': { value: 49, unit: 'ns', rows: 'fit to pcie-bench PCIB-HSW-*-4k' },
    'walkers.readHold': { value: 31, unit: 'ns', rows: 'fit to pcie-bench PCIB-HSW-*-4k' },
  },
  'vtd-ivb-ep': {
    'iotlb.entries': { value: 129, unit: 'entries', rows: 'fit to pcie-bench PCIB-IVB-*-4k' },
    'iotlb.ways': { value: 129, unit: 'ways', rows: 'fit to pcie-bench PCIB-IVB-*-4k' },
    'walkers.overhead': { value: 24, unit: 'ns', rows: 'fit to pcie-bench PCIB-IVB-*-4k' },
    'walkers.replay': { value: 97, unit: 'ns', rows: 'fit to pcie-bench PCIB-IVB-*-4k' },
    'walkers.readHold': { value: 27, unit: 'ns', rows: 'fit to pcie-bench PCIB-IVB-*-4k' },
  },
  'vtd-snb-ep': {
    'iotlb.entries': {
      value: 126,
      unit: 'entries',
      rows: 'pcie-bench PCIB-SNB-NEFF (PARAM) at 512KiB',
      confidence: 'assumed',
    },
    'iotlb.ways': {
      value: 126,
      unit: 'ways',
      rows: 'pcie-bench PCIB-SNB-NEFF (PARAM) at 512KiB',
      confidence: 'assumed',
    },
    'walkers.overhead': {
      value: 0,
      unit: 'ns',
      rows: 'pcie-bench PCIB-SNB-MISS (PARAM) less the table read; replay and hold as in vtd-ivb-ep where they fit',
      confidence: 'assumed',
    },
    'walkers.replay': {
      value: 65,
      unit: 'ns',
      rows: 'pcie-bench PCIB-SNB-MISS (PARAM) less the table read; replay and hold as in vtd-ivb-ep where they fit',
      confidence: 'assumed',
    },
    'walkers.readHold': {
      value: 27,
      unit: 'ns',
      rows: 'pcie-bench PCIB-SNB-MISS (PARAM) less the table read; replay and hold as in vtd-ivb-ep where they fit',
      confidence: 'assumed',
    },
  },
};

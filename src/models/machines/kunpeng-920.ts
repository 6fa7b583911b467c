/** Two Kunpeng 920 (64 cores each), the machine of the SMMUv3 figures that HiSilicon posted in 2020 and 2021: four NUMA nodes, one of their SMMUs. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { kunpeng920 as smmu } from '../iommus/kunpeng-920.js';
import { hostCache, port } from './parts.js';

const PART = 'HiSilicon Kunpeng 920-6426, data sheet';
const UNKNOWN = 'not published for this use; order of other server parts';

/** A die with 32 cores and its memory: a NUMA node. */
const die: Parameters = {
  cores: spec(32, 'cores', `${PART}: 64 cores on two compute dies`),
  frequency: spec(2.6, 'GHz', PART),
  llc: {
    size: spec(32, 'MiB', `${PART}: 1 MiB a core`),
    ways: assumed(16, 'ways', UNKNOWN),
    ddioWays: assumed(2, 'ways', UNKNOWN),
    scatter: assumed(0, '%', UNKNOWN),
    latency: assumed(30, 'ns', 'a CMD_SYNC of 250 ns contains two accesses of the queue'),
    bandwidth: assumed(50, 'GBps', UNKNOWN),
  },
  dram: {
    size: assumed(64, 'GiB', 'not stated by the publications'),
    channels: spec(4, 'channels', `${PART}: eight a package`),
    latency: assumed(70, 'ns', UNKNOWN),
    bandwidth: spec(23.46, 'GBps', `${PART}: DDR4-2933, 8 bytes a transfer`),
  },
};

export const kunpeng920Machine: Sheet = defineSheet({
  name: 'kunpeng-920-2s',
  title: 'Two Kunpeng 920 (128 cores, four NUMA nodes)',
  kind: 'machine',
  description:
    'Each socket of the model is one NUMA node of 32 cores. One SMMU and one root port on the first node and one of each on the third. Other packages are as far as the other die.',
  parameters: {
    sockets: { s0: die, s1: die, s2: die, s3: die },
    interconnect: {
      latency: assumed(
        100,
        'ns',
        'CMD_SYNC 550 ns with the queue on another node, 250 ns on its own: three lines cross (B. Song, 20200601113141.69488-1-song.bao.hua@hisilicon.com)',
      ),
      bandwidth: assumed(30, 'GBps', UNKNOWN),
    },
    iommus: { iommu0: { ...smmu.parameters, socket: 's0' }, iommu1: { ...smmu.parameters, socket: 's2' } },
    ports: { port0: port('s0', 'iommu0'), port1: port('s2', 'iommu1') },
    hostCache,
  },
});

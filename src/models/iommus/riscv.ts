/**
 * What RISC-V IOMMU sheets share: no part's timing or sizes are published, so queues and invalidation times are start values of the
 * same order as those of other architectures.
 */
import { assumed, spec } from '../quantity.js';
import type { Parameters } from '../sheet.js';
import { NO_STALLS, SOME_PAGE_REQUESTS } from './stalls.js';
import { deviceTlbCommands } from './device-tlb.js';

export const RISCV_IOMMU = 'RISC-V IOMMU Architecture Specification 1.0';
export const LINUX_RISCV = 'Linux 7.2 drivers/iommu/riscv/iommu.c';

/** What the architecture says of every unit. */
export const common: Parameters = {
  architecture: spec('riscv', '', RISCV_IOMMU),
  mode: spec('native', '', `${RISCV_IOMMU}: one kind of device directory`),
  stage: spec('first', '', `${LINUX_RISCV}: first-stage domains only`),
  secondLevels: spec(0, 'levels', 'no nested translation; Sv39x4 to Sv57x4 are 3 to 5'),
  granule: spec(4, 'KiB', `${RISCV_IOMMU}: Sv39, Sv48, Sv57`),
  coherent: spec(true, '', 'the driver flushes no cache lines'),
};

/** One structure; `policy`: replacement. */
export function structure(
  entries: Parameters[string],
  ways: number,
  latencyNs: number,
  policy: string,
  source: string,
): Parameters {
  return {
    enabled: assumed(true, '', 'present in hardware'),
    entries,
    ways: assumed(ways, 'ways', source),
    replacement: assumed(policy, '', source),
    latency: assumed(latencyNs, 'ns', source),
  };
}

export function absent(source: string): Parameters {
  return { ...structure(assumed(16, 'entries', source), 16, 0, 'lru', source), enabled: spec(false, '', source) };
}

/** Execution times; `start`: from the tail write to the first fetch. */
export function invalidation(startNs: number, stepNs: number, scanNs: number, source: string): Parameters {
  return {
    start: assumed(startNs, 'ns', source),
    context: assumed(stepNs, 'ns', source),
    pasid: assumed(stepNs, 'ns', source),
    iotlbGlobal: assumed(scanNs, 'ns', source),
    iotlbDomain: assumed(scanNs, 'ns', source),
    iotlbPage: assumed(scanNs, 'ns', source),
    wait: assumed(stepNs, 'ns', source),
    ...deviceTlbCommands(),
    drain: spec(true, '', `${RISCV_IOMMU}, IOFENCE.C: PR and PW; ${LINUX_RISCV} sets both`),
    hintHonoured: spec(false, '', 'there is no hint: NL says what goes'),
    nonLeafScope: spec('range', '', `${RISCV_IOMMU}, NL extension`),
    sizeLg2: spec(13, 'log2 commands', `${LINUX_RISCV}: command queue of 8192`),
    queues: spec(1, 'queues', 'the architecture has one'),
  };
}

export const faults: Parameters = {
  records: spec(4096, 'records', `${LINUX_RISCV}: fault queue of 4096`),
  stalls: NO_STALLS,
  pageRequests: SOME_PAGE_REQUESTS,
};

/**
 * A command queue for each CPU where a unit has several (SMMUv3 ECMDQ; NVIDIA's virtual command queues, whose driver does the same:
 * tegra241_cmdqv_get_cmdq): CPUs no longer share the lines of one queue, and the unit's one engine serves the queues in turn. The
 * DMA API above is Linux's own. With fewer queues than CPUs several CPUs share each. The kernel's own way is the first queue alone: Linux
 * has no driver for ECMDQ.
 */
import type { StrategyKind } from '../../spec.js';

/** How many of a unit's queues the driver sets up and uses. */
export function queuesInUse(kind: StrategyKind, queues: number): number {
  return kind === 'per-cpu-queues' ? queues : 1;
}

/** The queue of a CPU among those in use, by number. */
export function queueOfCpu(cpu: number, inUse: number): number {
  return cpu % inUse;
}

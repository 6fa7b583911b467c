/**
 * What a driver's accesses to an IOMMU unit cost when its CPU sits on another socket than the unit, whose queues and status words lie in its
 * own socket's memory: each way over the link between sockets takes `costs.socketHop`. Not modelled: distances that differ from
 * pair to pair; page-table pages, whose lines stay in the caches of the CPUs that use them.
 */
import type { CostSpec } from './spec.js';
import type { Thread } from './thread.js';

export class Distance {
  /** `sockets`: of each unit. */
  constructor(
    private readonly costs: CostSpec,
    private readonly sockets: readonly number[],
  ) {}

  /** From a register write until it reaches the unit, ps. */
  flight(thread: Thread, unit: number): number {
    return this.costs.mmioFlight + this.hops(thread, unit, 1);
  }

  /** What a load from the unit's memory or registers, or a store that has to be visible there, takes longer than a local one, ps. */
  access(thread: Thread, unit: number): number {
    return this.hops(thread, unit, 2);
  }

  /** One turn of the completion polling loop, which reads a register of the unit or a word that it has written, ps. */
  poll(thread: Thread, unit: number): number {
    return this.costs.poll + this.hops(thread, unit, 2);
  }

  private hops(thread: Thread, unit: number, count: number): number {
    return thread.cpu.socket === this.sockets[unit] ? 0 : count * this.costs.socketHop;
  }
}

/** A cost table for tests: everything is free but what the test names. */
import type { CostSpec } from '../spec.js';

const FREE: CostSpec = {
  mapCall: 0,
  unmapCall: 0,
  iovaCache: 0,
  iovaDepot: 0,
  iovaTree: 0,
  iovaTreeNode: 0,
  tableMapCall: 0,
  tableUnmapCall: 0,
  tableMapEntry: 0,
  tableUnmapEntry: 0,
  tableLevel: 0,
  tablePage: 0,
  cacheLineFlush: 0,
  lock: 0,
  lockHandOver: 0,
  lockHandOverRemote: 0,
  descriptor: 0,
  mmioWrite: 0,
  mmioFlight: 0,
  poll: 0,
  queueIova: 0,
  timer: 0,
  dirtyLine: 0,
  completion: 0,
};

export function testCosts(costs: Partial<CostSpec>): CostSpec {
  return { ...FREE, ...costs };
}

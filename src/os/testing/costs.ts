/** A cost table for tests: everything is free but what the test names. */
import type { CostSpec } from '../spec.js';
import { TABLE_FORMATS, type TableCosts, type TableTerms } from '../table-costs.js';

const NOTHING: TableTerms = { call: 0, leaf: 0, slot: 0, level: 0 };

/** One profile for all formats and both generations. */
export function testTableCosts(
  map: Partial<TableTerms>,
  unmap: Partial<TableTerms> = {},
  rootPerLeaf = false,
): TableCosts {
  const profile = { rootPerLeaf, map: { ...NOTHING, ...map }, unmap: { ...NOTHING, ...unmap } };
  const both = { generic: profile, legacy: profile };
  return Object.fromEntries(TABLE_FORMATS.map((format) => [format, both])) as TableCosts;
}

const FREE: CostSpec = {
  mapCall: 0,
  unmapCall: 0,
  segment: 0,
  iovaCache: 0,
  iovaDepot: 0,
  iovaTree: 0,
  iovaTreeNode: 0,
  table: testTableCosts({}),
  tablePage: 0,
  cacheLineFlush: 0,
  lock: 0,
  lockHandOver: 0,
  lockHandOverRemote: 0,
  atomic: 0,
  lineTransfer: 0,
  lineTransferRemote: 0,
  descriptor: 0,
  mmioWrite: 0,
  mmioFlight: 0,
  socketHop: 0,
  poll: 0,
  pollWord: 0,
  mmioRead: 0,
  queueIova: 0,
  slot: 0,
  copyLine: 0,
  copyLineRemote: 0,
  timer: 0,
  dirtyLine: 0,
  poolLookup: 0,
  probe: 0,
  mapCallback: 0,
  unmapCallback: 0,
  completion: 0,
};

export function testCosts(costs: Partial<CostSpec>): CostSpec {
  return { ...FREE, ...costs };
}

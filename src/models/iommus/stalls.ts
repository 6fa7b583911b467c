/** Units that end every transaction that faults, and page request queues. */
import { assumed, type Quantity, spec } from '../quantity.js';

export const NO_STALLS: Quantity = spec(0, 'transactions', 'no stall model, or none that software could rely on');
export const NO_PAGE_REQUESTS: Quantity = spec(0, 'records', 'no page request queue');
/** Where no software sets a size. */
export const SOME_PAGE_REQUESTS: Quantity = assumed(
  512,
  'records',
  'the page request queue lies in memory, as large as software makes it; Linux does not make one',
);

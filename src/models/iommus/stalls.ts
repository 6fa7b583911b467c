/** Units that end every transaction that faults. */
import { type Quantity, spec } from '../quantity.js';

export const NO_STALLS: Quantity = spec(0, 'transactions', 'no stall model, or none that software could rely on');

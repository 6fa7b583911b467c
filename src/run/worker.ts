/** Entry of a pool worker: flags first, then the simulation code, then one function that executes a batch of points. */
import './flags.js';
import { type Batch, type Outcome, runBatch } from './batch.js';
import { runPoint } from './point.js';

export default (batch: Batch): Outcome[] => runBatch(batch, runPoint);

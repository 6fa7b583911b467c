/** Entry of a pool worker: one function that executes a batch of points. */
import { type Batch, type Outcome, runBatch } from './batch.js';
import { runPoint } from './point.js';

export default (batch: Batch): Outcome[] => runBatch(batch, runPoint);

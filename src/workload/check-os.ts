/** What the schema of the operating system cannot say: strategies that do not go with a mode, or with the buffers of a job. */
import { STRATEGIES } from '../os/dma/strategies/catalogue.js';
import { type Fault, fault } from './problems.js';
import type { PointSpec } from './spec.js';

const KIND = ['os', 'dma', 'strategy', 'kind'];

export function checkOs({ os, workload }: Pick<PointSpec, 'os' | 'workload'>): Fault[] {
  const { mode, bounce, strategy } = os.dma;
  const faults: Fault[] = [];
  if (STRATEGIES[strategy.kind].protection !== 'mode') {
    const own = `"${strategy.kind}" has its own rule for when unmapped memory is out of reach`;
    if (mode !== 'strict') {
      const related = [['os', 'dma', 'mode']];
      faults.push(fault('E305', KIND, `${own} and needs os.dma.mode strict, not ${mode}`, { related }));
    }
    if (bounce !== 'never') {
      const related = [['os', 'dma', 'bounce']];
      faults.push(fault('E305', KIND, `${own} and needs os.dma.bounce never, not ${bounce}`, { related }));
    }
  }
  if (strategy.kind !== 'ring') return faults;
  for (const [name, job] of Object.entries(workload)) {
    if (job.kind !== 'stream' || job.depth <= strategy.slots) continue;
    const message = `${job.depth} buffers posted, but a ring has ${strategy.slots} slots`;
    const related = [['os', 'dma', 'strategy', 'slots']];
    faults.push(fault('E308', ['workload', name, 'depth'], message, { related }));
  }
  return faults;
}

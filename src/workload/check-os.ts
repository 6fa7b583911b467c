/** What the schema of the operating system cannot say: strategies that do not go with a mode, the units or the buffers of a job. */
import { STRATEGIES } from '../os/dma/strategies/catalogue.js';
import { type Fault, fault } from './problems.js';
import type { PointSpec } from './spec.js';

const KIND = ['os', 'dma', 'strategy', 'kind'];

/** What keeps a unit from giving each CPU a command queue; null: nothing. */
function lacksQueues({ architecture, invalidation }: PointSpec['machine']['iommus'][string]): string | null {
  if (architecture === 'none') return null;
  if (architecture !== 'smmuv3') return 'only SMMUv3 units have several command queues';
  return invalidation.queues > 1 ? null : 'it has one command queue';
}

function checkQueues({ os, machine }: Pick<PointSpec, 'os' | 'machine'>): Fault[] {
  if (os.guest.mode !== 'none') {
    const related = [['os', 'guest', 'mode']];
    return [fault('E305', KIND, 'a guest has one command queue here', { related })];
  }
  return Object.entries(machine.iommus).flatMap(([name, unit]) => {
    const reason = lacksQueues(unit);
    if (reason === null) return [];
    const related = [['machine', 'iommus', name, 'invalidation', 'queues']];
    return [fault('E305', KIND, `"${name}" cannot serve a queue for each CPU: ${reason}`, { related })];
  });
}

export function checkOs({ os, machine, workload }: Pick<PointSpec, 'os' | 'machine' | 'workload'>): Fault[] {
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
  if (strategy.kind === 'linux-before' && strategy.before.walkPerLeaf && os.perPageCallbacks) {
    const related = [['os', 'dma', 'strategy', 'before', 'walkPerLeaf']];
    const message = 'the calls for each page are those of linux-before with walkPerLeaf and would be paid twice';
    faults.push(fault('E305', ['os', 'perPageCallbacks'], message, { related }));
  }
  if (strategy.kind === 'per-cpu-queues') faults.push(...checkQueues({ os, machine }));
  if (strategy.kind !== 'ring') return faults;
  for (const [name, job] of Object.entries(workload)) {
    if (job.kind !== 'stream' || job.depth <= strategy.slots) continue;
    const message = `${job.depth} buffers posted, but a ring has ${strategy.slots} slots`;
    const related = [['os', 'dma', 'strategy', 'slots']];
    faults.push(fault('E308', ['workload', name, 'depth'], message, { related }));
  }
  return faults;
}

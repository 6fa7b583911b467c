/** E305 for a virtual machine whose IOMMU units cannot be made as `os.guest.mode` says. */
import { type Fault, fault } from './problems.js';
import type { PointSpec } from './spec.js';

type Unit = PointSpec['machine']['iommus'][string];

/** What a unit lacks for a mode; null: nothing. */
function lacks({ architecture, stage }: Unit, mode: PointSpec['os']['guest']['mode']): [string, string] | null {
  if (architecture === 'none' || mode === 'none') return null;
  if (mode === 'caching') {
    if (architecture !== 'vtd' && architecture !== 'amdvi') {
      return ['architecture', 'only VT-d and AMD-Vi have a caching mode here'];
    }
    return stage === 'second' ? null : ['stage', 'caching mode shadows second-stage tables'];
  }
  if (mode === 'nested-queue' && architecture !== 'smmuv3' && architecture !== 'amdvi') {
    return ['architecture', 'only SMMUv3 and AMD-Vi have queues that hardware executes for a guest here'];
  }
  if (architecture !== 'vtd' && architecture !== 'amdvi' && architecture !== 'smmuv3') {
    return ['architecture', 'nested guests are of VT-d, AMD-Vi and SMMUv3 only'];
  }
  return stage === 'nested' ? null : ['stage', 'a guest that owns the first stage needs nested tables'];
}

export function checkGuest({ os, machine }: Pick<PointSpec, 'os' | 'machine'>): Fault[] {
  const { mode, stage2Change } = os.guest;
  if (stage2Change > 0 && !mode.startsWith('nested')) {
    const related = [['os', 'guest', 'mode']];
    return [fault('E305', ['os', 'guest', 'stage2Change'], `a guest in mode ${mode} has no second stage`, { related })];
  }
  return Object.entries(machine.iommus).flatMap(([name, unit]) => {
    const found = lacks(unit, mode);
    if (found === null) return [];
    const [key, reason] = found;
    const related = [['machine', 'iommus', name, key]];
    return [
      fault('E305', ['os', 'guest', 'mode'], `"${name}" cannot serve a guest in mode ${mode}: ${reason}`, { related }),
    ];
  });
}

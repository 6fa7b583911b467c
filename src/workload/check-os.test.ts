import { describe, expect, test } from 'vitest';
import { STRATEGIES } from '../os/dma/strategies/catalogue.js';
import { STRATEGY_KINDS, type StrategyKind } from '../os/spec.js';
import { InputError } from './errors.js';
import { resolveWorkload } from './resolve.js';
import { SAMPLE } from './testing/sample.js';

/** Messages of the workload with settings, without their places; none when it resolves. */
function problems(...sets: string[]): string[] {
  try {
    resolveWorkload(SAMPLE, 'w.yaml', sets);
    return [];
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return error.message.split('\n').map((line) => line.replace(/^.*error /, ''));
  }
}

const MODE = 'os.dma.mode';
const KIND = 'os.dma.strategy.kind';

/** Settings of a kind, with the hardware that it needs. */
function of(kind: StrategyKind): string[] {
  const unit = 'machine.iommus.iommu0';
  return [
    `${KIND}=${kind}`,
    ...(kind === 'per-cpu-queues' ? [`${unit}.preset=mmu-600`, `${unit}.invalidation.queues=4`] : []),
  ];
}

describe('strategies', () => {
  test.each(STRATEGY_KINDS)('%s resolves in strict mode', (kind) => {
    expect(problems(`${MODE}=strict`, ...of(kind))).toEqual([]);
  });

  test.each(['lazy', 'passthrough'])('only those of the kernel go with mode %s', (mode) => {
    const refused = STRATEGY_KINDS.filter((kind) => problems(`${MODE}=${mode}`, ...of(kind)).length > 0);
    expect(refused).toEqual(STRATEGY_KINDS.filter((kind) => STRATEGIES[kind].protection !== 'mode'));
    expect(problems(`${MODE}=${mode}`, `${KIND}=pool`)).toEqual([
      `E305: os.dma.strategy.kind: "pool" has its own rule for when unmapped memory is out of reach and needs os.dma.mode strict, not ${mode}`,
    ]);
  });

  test('bounce buffers and shadows exclude each other', () => {
    expect(problems(`${MODE}=strict`, `${KIND}=shadow`, 'os.dma.bounce=always')).toEqual([
      'E305: os.dma.strategy.kind: "shadow" has its own rule for when unmapped memory is out of reach and needs os.dma.bounce never, not always',
    ]);
  });

  test('a ring has room for the buffers that are posted', () => {
    const sets = [`${MODE}=strict`, `${KIND}=ring`, 'os.dma.strategy.slots=16'];
    expect(problems(...sets, 'workload.rx.depth=16')).toEqual([]);
    expect(problems(...sets, 'workload.rx.depth=17')).toEqual([
      'E308: workload.rx.depth: 17 buffers posted, but a ring has 16 slots',
    ]);
  });

  test('a queue for each CPU needs a unit with several, and no guest', () => {
    const queues = `${KIND}=per-cpu-queues`;
    const refused = (reason: string): string =>
      `E305: os.dma.strategy.kind: "iommu0" cannot serve a queue for each CPU: ${reason}`;
    expect(problems(queues)).toEqual([refused('only SMMUv3 units have several command queues')]);
    expect(problems(queues, 'machine.iommus.iommu0.preset=mmu-600')).toEqual([refused('it has one command queue')]);
    const nested = ['stage=nested', 'secondLevels=4'].map((set) => `machine.iommus.iommu0.${set}`);
    expect(problems(...of('per-cpu-queues'), ...nested, 'os.guest.mode=nested-trapped')).toEqual([
      'E305: os.dma.strategy.kind: a guest has one command queue here',
    ]);
  });

  test('calls for each page are paid once', () => {
    const sets = [...of('linux-before'), 'os.perPageCallbacks=true'];
    expect(problems(...sets)).toEqual([
      'E305: os.perPageCallbacks: the calls for each page are those of linux-before with walkPerLeaf and would be paid twice',
    ]);
    expect(problems(...sets, 'os.dma.strategy.before.walkPerLeaf=false')).toEqual([]);
  });

  test('names and numbers out of range are refused', () => {
    expect(problems(`${KIND}=contigous`)[0]).toContain('did you mean "contiguous"?');
    expect(problems('os.dma.strategy.chunk=48')).toEqual(['E302: os.dma.strategy.chunk: 48 is not a power of two']);
    expect(problems('os.dma.strategy.chunk=512')[0]).toContain('E204');
    expect(problems('os.dma.strategy.batch=0')[0]).toContain('E204');
    expect(problems('os.dma.stategy.batch=1')[0]).toContain('did you mean "os.dma.strategy.batch"?');
  });
});

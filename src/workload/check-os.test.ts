import { describe, expect, test } from 'vitest';
import { STRATEGY_KINDS } from '../os/spec.js';
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

describe('strategies', () => {
  test.each(STRATEGY_KINDS)('%s resolves in strict mode', (kind) => {
    expect(problems(`${MODE}=strict`, `${KIND}=${kind}`)).toEqual([]);
  });

  test.each(['lazy', 'passthrough'])('only those of the kernel go with mode %s', (mode) => {
    const refused = STRATEGY_KINDS.filter((kind) => problems(`${MODE}=${mode}`, `${KIND}=${kind}`).length > 0);
    expect(refused).toEqual(STRATEGY_KINDS.filter((kind) => !kind.startsWith('linux')));
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

  test('names and numbers out of range are refused', () => {
    expect(problems(`${KIND}=contigous`)[0]).toContain('did you mean "contiguous"?');
    expect(problems('os.dma.strategy.chunk=48')).toEqual(['E302: os.dma.strategy.chunk: 48 is not a power of two']);
    expect(problems('os.dma.strategy.chunk=512')[0]).toContain('E204');
    expect(problems('os.dma.strategy.batch=0')[0]).toContain('E204');
    expect(problems('os.dma.stategy.batch=1')[0]).toContain('did you mean "os.dma.strategy.batch"?');
  });
});

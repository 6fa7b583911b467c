import { describe, expect, it } from 'vitest';
import { InputError } from './errors.js';
import { resolveWorkload } from './resolve.js';

const FILE = `name: offload
question: Is it checked?
machine: { preset: spr-8480 }
os: { preset: linux-7.2 }
devices:
  dsa: { preset: dsa, port: port0, requester: "6a:01.0" }
  nic: { preset: nic-100g, port: port0, requester: "3:00.0" }
workload:
  move: { kind: offload, device: dsa, threads: 4, entries: 16, depth: 1, size: 4KiB, window: 64KiB, socket: s0 }
stop: { operations: 100 }
`;

function problem(...sets: string[]): string {
  try {
    resolveWorkload(FILE, 'w.yaml', sets);
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  return '';
}

describe('an offload job', () => {
  it('is taken as it stands', () => {
    expect(problem()).toBe('');
  });

  it.each([
    ['needs an accelerator', ['workload.move.device=nic'], 'E305', 'has no accelerator'],
    ['has so many queues', ['workload.move.queue=dedicated', 'workload.move.threads=9'], 'E308', '9 work queues'],
    ['has so many entries', ['workload.move.entries=129'], 'E308', '129 entries'],
    [
      'counts entries of all queues',
      ['workload.move.queue=dedicated', 'workload.move.entries=40'],
      'E308',
      '160 entries',
    ],
    [
      'keeps what fits its queue',
      ['workload.move.queue=dedicated', 'workload.move.depth=17'],
      'E308',
      '17 descriptors',
    ],
    ['moves what fits its window', ['workload.move.size=128KiB'], 'E308', 'does not fit the window'],
    ['reads what its device can', ['workload.move.size=4MiB', 'workload.move.window=4MiB'], 'E308', 'reads in flight'],
    ['needs process page tables', ['machine.iommus.iommu0.stage=second'], 'E305', 'process page tables'],
    ['needs somebody to resolve faults', ['workload.move.prefault=none'], 'E305', 'page faults are errors'],
    ['has a core for each thread', ['workload.move.threads=57'], 'E307', '57 threads'],
  ])('%s', (_name, sets, code, words) => {
    const message = problem(...sets);
    expect(message).toContain(words);
    expect(message).toContain(code);
  });
});

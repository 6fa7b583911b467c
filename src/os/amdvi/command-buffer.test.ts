import { describe, expect, it } from 'vitest';
import { encodeInvalidatePages, Opcode } from '../../iommu/arch/amdvi/format.js';
import { Step } from '../step.js';
import type { Call, Program, Thread } from '../thread.js';
import { COMMAND_WORDS, type CommandBuffer } from './command-buffer.js';
import { AmdMachine } from './testing/machine.js';

const US = 1_000_000;

/** The command buffer of the only unit, which its driver keeps to itself. */
function bufferOf(machine: AmdMachine): CommandBuffer {
  const { driver } = machine.os.devices[0]!.domainOf(-1)!;
  const { units } = driver as unknown as { units: readonly { commands: CommandBuffer }[] };
  return units[0]!.commands;
}

function* invalidate(buffer: CommandBuffer, thread: Thread, count: number): Call<void> {
  const words = new Int32Array(COMMAND_WORDS);
  for (let i = 0; i < count; i++) {
    encodeInvalidatePages(words, 0, 1, -1, 0, 0x1000 * (i + 1), 0, false);
    yield* buffer.queue(thread, words);
  }
}

function run(machine: AmdMachine, ...programs: ((thread: Thread) => Program)[]): void {
  const { scheduler } = machine.os;
  const idle = scheduler.cpus.filter(({ thread }) => thread === null);
  programs.forEach((program, i) => {
    scheduler.start(scheduler.spawn(`program ${i}`, idle[i]!, program));
  });
  machine.run();
}

const waits = (machine: AmdMachine): number => machine.seen.filter((c) => c.opcode === Opcode.CompletionWait).length;

describe('completion', () => {
  it('of nothing takes no command', () => {
    const machine = new AmdMachine();
    run(machine, (thread) => bufferOf(machine).completion(thread));
    expect(machine.seen).toEqual([]);
  });

  it('a second caller whose commands are covered polls for the newest wait', () => {
    const machine = new AmdMachine({ invalidation: 50 * US });
    const buffer = bufferOf(machine);
    const ends: number[] = [];
    run(
      machine,
      function* (thread) {
        yield* invalidate(buffer, thread, 1);
        thread.charge(Step.Call, US);
        yield* buffer.completion(thread);
        ends.push(machine.now);
      },
      function* (thread) {
        yield* invalidate(buffer, thread, 1);
        // When it asks, the wait of the first covers its command.
        thread.charge(Step.Call, 10 * US);
        yield* buffer.completion(thread);
        ends.push(machine.now);
      },
    );
    expect(waits(machine)).toBe(1);
    expect(ends.every((end) => end >= 50 * US)).toBe(true);
  });

  it('commands queued after a wait need another', () => {
    const machine = new AmdMachine();
    const buffer = bufferOf(machine);
    run(machine, function* (thread) {
      for (let i = 0; i < 3; i++) {
        yield* invalidate(buffer, thread, 2);
        yield* buffer.completion(thread);
      }
    });
    expect(waits(machine)).toBe(3);
  });
});

describe('a full ring', () => {
  it('never overtakes the unit, wraps around and loses no command', () => {
    const machine = new AmdMachine({
      unit: { invalidation: { sizeLg2: 8, maxAddressMask: 40, queues: 1 } },
      invalidation: 300 * US,
      costs: { descriptor: 1000, mmioWrite: 0, mmioFlight: 0 },
    });
    const buffer = bufferOf(machine);
    const count = 1000;
    let queuedAt = 0;
    run(machine, function* (thread) {
      yield* invalidate(buffer, thread, count);
      queuedAt = machine.now;
      yield* buffer.completion(thread);
    });
    const pages = machine.seen.filter((c) => c.opcode === Opcode.InvalidatePages);
    expect(pages.map(({ address }) => address / 0x1000)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
    // Four rings of commands, each held up by the one before.
    expect(queuedAt).toBeGreaterThan(3 * 300 * US);
  });
});

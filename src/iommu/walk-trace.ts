/**
 * What walks do, step by step, for whoever wants to see it: vectors, the walk command, tests. The walkers call a trace at the instant
 * memory has served an entry, before it is consumed; without one they pay a comparison with null.
 */
import type { PhysicalMemory } from '../memory/physical.js';
import { Target } from '../pagetable/two-stage.js';
import { Stage } from './address-space.js';
import { type Miss, Phase } from './miss.js';

export interface WalkTrace {
  /** Memory has served the directory entry of `bytes` at readHi:readLo of the miss; `entry` is its kind. */
  directory(m: Miss): void;
  /** Memory has served the table entry that the miss waits for. */
  table(m: Miss): void;
  /** Hardware sets accessed or dirty bits: the word is stored at hi:lo. */
  update(m: Miss, hi: number, lo: number, wordHi: number, wordLo: number): void;
  /** The walk is over; the miss holds its outcome. */
  ended(m: Miss): void;
}

const ENTRY_BYTES = 8;

/** What a table entry was read for. */
export const enum Reason {
  /** The input address of the request. */
  Input,
  /** Second stage: a directory entry, or an entry of a first-stage table, at a guest address. */
  Directory,
  Table,
  /** Second stage: the page that the first stage translated to. */
  Final,
}

interface StepAt {
  /** Host address, as an int32 pair. */
  readonly hi: number;
  readonly lo: number;
  readonly bytes: number;
  /** Dwords as read, or as stored by an update, lower one first. */
  readonly words: Int32Array;
}

export interface DirectoryStep extends StepAt {
  readonly kind: 'directory';
  /** Kind of the entry: the architecture's own numbers. */
  readonly entry: number;
}

export interface TableStep extends StepAt {
  readonly kind: 'table';
  readonly stage: 1 | 2;
  /** From the leaf, 1. */
  readonly level: number;
  /** Index into the unit's formats. */
  readonly format: number;
  readonly reason: Reason;
  /** The address that the entry helps to translate: input address, or guest address. */
  readonly inputHi: number;
  readonly inputLo: number;
}

export interface UpdateStep extends StepAt {
  readonly kind: 'update';
}

export type WalkStep = DirectoryStep | TableStep | UpdateStep;

const REASONS: Readonly<Record<Target, Reason>> = {
  [Target.Directory]: Reason.Directory,
  [Target.Table]: Reason.Table,
  [Target.Final]: Reason.Final,
};

/** Keeps every step. Where several walks are under way their steps are interleaved. */
export class WalkRecorder implements WalkTrace {
  readonly steps: WalkStep[] = [];

  /** `onEnd` is told the end of every walk. */
  constructor(
    private readonly physical: PhysicalMemory,
    private readonly onEnd: ((m: Miss) => void) | null = null,
  ) {}

  clear(): void {
    this.steps.length = 0;
  }

  directory(m: Miss): void {
    const { readHi: hi, readLo: lo, bytes, entry } = m;
    this.steps.push({ kind: 'directory', hi, lo, bytes, entry, words: this.words(hi, lo, bytes) });
  }

  table(m: Miss): void {
    const { space, walk, two } = m;
    const alone = m.phase !== Phase.Pointer && space.stage !== Stage.Nested;
    const stage = alone ? (space.stage === Stage.Second ? 2 : 1) : two.stage === 1 ? 1 : 2;
    const cursor = alone || stage === 1 ? walk : two.second;
    const { entryHi: hi, entryLo: lo } = alone ? walk : two;
    this.steps.push({
      kind: 'table',
      hi,
      lo,
      bytes: ENTRY_BYTES,
      words: this.words(hi, lo, ENTRY_BYTES),
      stage,
      level: cursor.level,
      format: alone || stage === 1 ? space.format : space.secondFormat,
      reason: alone || stage === 1 ? Reason.Input : REASONS[two.target],
      inputHi: cursor.inputHi,
      inputLo: cursor.inputLo,
    });
  }

  update(_m: Miss, hi: number, lo: number, wordHi: number, wordLo: number): void {
    this.steps.push({ kind: 'update', hi, lo, bytes: ENTRY_BYTES, words: Int32Array.of(wordLo, wordHi) });
  }

  ended(m: Miss): void {
    this.onEnd?.(m);
  }

  private words(hi: number, lo: number, bytes: number): Int32Array {
    const { physical } = this;
    const words = new Int32Array(bytes / 4);
    for (let i = 0; i < words.length; i += 2) {
      physical.read(hi, lo + 4 * i);
      words[i] = physical.wordLo;
      words[i + 1] = physical.wordHi;
    }
    return words;
  }
}

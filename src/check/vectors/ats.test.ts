/** Translation requests and translated requests of all architectures: what vectors of mode `ats` reach, and that broken models are caught. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Miss } from '../../iommu/miss.js';
import type { TranslationAgent } from '../../iommu/translation-agent.js';
import { AtsStatus } from '../../protocol/ats.js';
import { TlpFlag } from '../../protocol/tlp.js';
import { compareOver, difference } from './compare.js';
import { GENERATORS, vectorsOf } from './generators.js';
import { REFERENCES } from './references.js';
import { shrink } from './shrink.js';
import { SIMULATOR, type Simulation } from './simulate.js';
import { parseVectors, writeVector } from './text.js';
import type { Answer, Architecture, Responder, Vector } from './vector.js';

const ARCHITECTURES = Object.keys(GENERATORS) as Architecture[];

function kindOf(at: string | undefined, pasid: number | null, answer: Answer): string {
  const who = `${at ?? 'plain'}${pasid === null ? '' : ' pasid'}`;
  if (answer.ok) return `${who} ${answer.permissions ?? 'ok'}`;
  return `${who} ${answer.status ?? 'refused'}`;
}

describe.each(ARCHITECTURES)('%s: mode ats', (architecture) => {
  const kinds = new Map<string, number>();
  for (const vector of vectorsOf(GENERATORS[architecture], 'ats', 3, 4000)) {
    REFERENCES[architecture].answer(vector).forEach((answer, i) => {
      const { at, pasid } = vector.accesses[i]!;
      const kind = kindOf(at, pasid, answer);
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    });
  }

  test.each([
    ...['plain', 'ats', 'translated'].flatMap((at) => [at, `${at} pasid`]).map((who) => `${who} ok`),
    ...['r', 'rw', 'success', 'ur'].flatMap((end) => [`ats ${end}`, `ats pasid ${end}`]),
    // A page of a RISC-V table is never writable without being readable.
    ...(architecture === 'riscv' ? [] : ['ats w']),
    // Our VT-d units have no execute requests.
    ...(architecture === 'vtd' ? [] : ['ats pasid rx', 'ats pasid rwx']),
    'translated refused',
    'translated pasid refused',
  ])('has accesses that end as "%s"', (kind) => {
    const wanted = kind.startsWith('ats') && kind.endsWith(' ok') ? kind.replace(/ok$/, 'rw') : kind;
    expect(kinds.get(wanted) ?? 0).toBeGreaterThan(0);
  });

  test('nearly half of all requests for translations are answered by one', () => {
    const of = (end: RegExp): number =>
      [...kinds].filter(([kind]) => end.test(kind)).reduce((sum, [, count]) => sum + count, 0);
    expect(of(/^ats.* r?w?x?$/) / of(/^ats/)).toBeGreaterThan(0.4);
    expect(of(/^ats.* success$/) / of(/^ats/)).toBeGreaterThan(0.04);
  });

  test('simulator and reference agree for any seed', () => {
    const sides = [
      { name: 'simulator', responder: SIMULATOR },
      { name: 'reference', responder: REFERENCES[architecture] },
    ] as const;
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 }), (seed) => {
        expect(compareOver(GENERATORS[architecture], 'ats', seed, 60, sides).disagreement).toBeNull();
      }),
      { numRuns: 15 },
    );
  });

  test('caches that keep what they hold do not change an answer', () => {
    // Sizes may be smaller: the IOTLB holds the part of a page that it can. Who does not ask to write need not be told that it may.
    const withoutWrites = (vector: Vector, answers: readonly Answer[]): Answer[] =>
      answers.map((answer, i) => {
        if (!answer.ok || answer.permissions === undefined || vector.accesses[i]!.kind === 'w') return answer;
        const permissions = answer.permissions.replace('rw', 'r') as 'r' | 'w' | 'rx';
        return { ...answer, permissions };
      });
    const warm: Responder = {
      answer: (vector) =>
        withoutWrites(vector, SIMULATOR.answer({ ...vector, config: [...vector.config, ['cache', '1']] })),
    };
    const cold: Responder = { answer: (vector) => withoutWrites(vector, SIMULATOR.answer(vector)) };
    const sides = [
      { name: 'with caches', responder: warm },
      { name: 'without', responder: cold },
    ] as const;
    const strictness = { memoryAccesses: false, size: false };
    const { disagreement } = compareOver(GENERATORS[architecture], 'ats', 11, 3000, sides, strictness);
    expect(disagreement).toBeNull();
  });

  test('survives the text format', () => {
    for (const vector of vectorsOf(GENERATORS[architecture], 'ats', 5, 200)) {
      const answers = REFERENCES[architecture].answer(vector);
      const [parsed] = parseVectors(writeVector(vector, answers));
      expect(parsed!.answers).toEqual(answers);
      expect(parsed!.vector.accesses).toEqual(vector.accesses);
    }
  });
});

/** What is done to a machine before it answers. */
type Fault = (simulation: Simulation) => void;

function broken(fault: Fault): Responder {
  return {
    answer(vector) {
      const simulation = SIMULATOR.simulation(vector);
      fault(simulation);
      return vector.accesses.map((access) => simulation.access(access));
    },
  };
}

function agentOf({ bench }: Simulation): TranslationAgent {
  return bench.built.unit.agent!;
}

const FAULTS: Readonly<Record<string, Fault>> = {
  'every refusal is a completer abort': ({ bench }) => {
    bench.built.unit.architecture.atsStatus = () => AtsStatus.CompleterAbort;
  },
  'what tables deny is a fault that is recorded': ({ bench }) => {
    const { unit, hardware } = bench.built;
    const { agent, architecture } = unit;
    const refuse = agent!.refuse.bind(agent);
    agent!.refuse = (tlp, m: Miss) => {
      const asks = (tlp.flags & TlpFlag.TranslationRequest) !== 0;
      if (asks && architecture.atsStatus!(m) === AtsStatus.Success) hardware.faults.count(m.fault);
      refuse(tlp, m);
    };
  },
  'translated requests are not checked': ({ bench }) => {
    const { unit } = bench.built;
    const refuse = unit.agent!.refuse.bind(unit.agent);
    unit.agent!.refuse = (tlp, m: Miss) => {
      if ((tlp.flags & TlpFlag.Translated) !== 0) unit.agent!.walked(tlp, 0, 0, 12, true, 3);
      else refuse(tlp, m);
    };
  },
  'every translation may be written': (simulation) => {
    const agent = agentOf(simulation);
    const walked = agent.walked.bind(agent);
    agent.walked = (tlp, hi, lo, size, passThrough, permissions) =>
      walked(tlp, hi, lo, size, passThrough, permissions | 3);
  },
  'a page that may be read only has no translation for a device that writes': (simulation) => {
    const agent = agentOf(simulation);
    const walked = agent.walked.bind(agent);
    agent.walked = (tlp, hi, lo, size, passThrough, permissions) => {
      const writes = (tlp.flags & (TlpFlag.TranslationRequest | TlpFlag.NoWrite)) === TlpFlag.TranslationRequest;
      walked(tlp, hi, lo, size, passThrough, writes && (permissions & 2) === 0 ? 0 : permissions);
    };
  },
};

describe.each(ARCHITECTURES)('%s: a broken model is caught', (architecture) => {
  test.each(Object.entries(FAULTS))('%s', (_, fault) => {
    const wrong = broken(fault);
    const right = REFERENCES[architecture];
    const disagreeing = (): { vector: Vector; index: number } => {
      for (const vector of vectorsOf(GENERATORS[architecture], 'ats', 1, 2000)) {
        const [a, b] = [wrong.answer(vector), right.answer(vector)];
        const index = a.findIndex((answer, i) => difference(answer, b[i]!) !== null);
        if (index >= 0) return { vector, index };
      }
      throw new Error('nobody noticed');
    };
    const { vector, index } = disagreeing();
    const until = { ...vector, accesses: vector.accesses.slice(0, index + 1) };
    const disagrees = (candidate: Vector): boolean =>
      difference(wrong.answer(candidate).at(-1)!, right.answer(candidate).at(-1)!) !== null;
    const small = shrink(until, disagrees);
    expect(disagrees(small)).toBe(true);
    // One access, and no word that could be missed.
    expect(small.accesses).toEqual([vector.accesses[index]]);
    expect(small.words.size).toBeLessThanOrEqual(Math.min(16, vector.words.size));
    for (const [address] of small.words) {
      const words = new Map([...small.words].filter(([other]) => other !== address));
      expect(disagrees({ ...small, words })).toBe(false);
    }
  });
});

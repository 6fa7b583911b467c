/**
 * Generator of translation vectors for the RISC-V IOMMU (specification 1.0): a device directory with sound and broken devices,
 * their process directories and page tables, and 16 to 64 accesses of which about 60 % are translated.
 * Each broken access is broken at one place. Left out of every mode: Sv32, big-endian tables, MRIF mode.
 *
 * In mode `common` the reference model riscv-non-isa/riscv-iommu takes every vector. QEMU's hw/riscv/riscv-iommu.c differs in
 * what it does not check (reserved bits of entries and contexts, U, N, alignment of iohgatp, D, A, U of pointers; pdte reserved
 * bits), in that it does not translate process-directory addresses by the second stage, takes PASID 0 for no PASID, and has
 * fixed capabilities (every scheme, PAS 56). Flaws that it sees too are drawn more often.
 */
import { type Context, Bus } from './riscv-devices.js';
import { AccessMaker } from './riscv-accesses.js';
import { Capabilities } from './riscv-directories.js';
import { Dice, Image } from './riscv-image.js';
import { drawCapabilities, type ModeTraits, RISCV_MODES } from './riscv-modes.js';
import type { Workshop } from './riscv-guest.js';
import type { Generator, Random, Vector, VectorAccess } from './vector.js';

const DDTP = 0x10;
const OFF = 0n;
const BARE = 1n;
/** Of 100 accesses to a machine with devices. */
const SOUND_PERCENT = 62;
const TABLES_PERCENT = 68;

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}

function directoryRegister(mode: bigint, root: bigint): Vector['registers'] {
  return [{ offset: DDTP, bytes: 8, value: mode | ((root >> 12n) << 10n) }];
}

/** ddtp Off or Bare: no device is looked up. */
function withoutDirectory(dice: Dice, traits: ModeTraits, capabilities: bigint, mode: bigint): Vector {
  const image = new Image(dice);
  const accesses = Array.from({ length: dice.between(2, 6) }, (_, id): VectorAccess => {
    const at = traits.ats && dice.chance(50) ? dice.pick(['ats', 'translated'] as const) : undefined;
    return {
      id,
      rid: dice.between(0x08, 0xf7),
      pasid: dice.chance(25) ? dice.below(1 << 20) : null,
      iova: image.targetPage() + BigInt(dice.below(512) * 8),
      kind: dice.weighted(traits.kinds),
      ...(at !== undefined && { at }),
    };
  });
  return {
    architecture: 'riscv',
    config: config(dice, capabilities),
    words: new Map(),
    tables: [],
    registers: directoryRegister(mode, 0n),
    accesses,
  };
}

/** fctl.WSI is of no effect on translation; without wired interrupts it is 0. */
function config(dice: Dice, capabilities: bigint): Vector['config'] {
  const wired = dice.chance(20);
  const interrupts = wired ? 1n << 28n : 0n;
  return [
    ['capabilities', hex(capabilities | interrupts)],
    ['fctl', wired ? '2' : '0'],
  ];
}

function withDirectory(dice: Dice, traits: ModeTraits, word: bigint): Vector {
  const capabilities = new Capabilities(word);
  const image = new Image(dice);
  const workshop: Workshop = {
    dice,
    image,
    physical: {
      memoryTypes: capabilities.has('Svpbmt'),
      softwareBits: capabilities.has('Svrsw60t59b'),
      addressBits: capabilities.physicalBits,
    },
    napotPercent: traits.napotPercent,
    clearBits: traits.updates,
  };
  const depth = dice.weighted([
    [1, 22],
    [2, 34],
    [3, 44],
  ] as const);
  const bus = new Bus(workshop, capabilities, traits, depth);
  const contexts: Context[] = [];
  for (let devices = dice.between(2, 6); devices > 0; devices--) contexts.push(...(bus.soundDevice() ?? []));
  const maker = new AccessMaker(workshop, bus, traits, contexts);
  const accesses: VectorAccess[] = [];
  for (let count = dice.between(16, 64); count > 0; count--) {
    const draft = dice.chance(SOUND_PERCENT)
      ? maker.sound()
      : dice.chance(TABLES_PERCENT)
        ? maker.refusedByTables()
        : maker.refusedByDirectories();
    if (draft !== null) accesses.push(maker.place(draft));
  }
  return {
    architecture: 'riscv',
    config: config(dice, word),
    words: image.words,
    tables: image.emptyTables(),
    registers: directoryRegister(BigInt(depth) + BARE, bus.root),
    accesses,
  };
}

export const riscvGenerator: Generator = {
  architecture: 'riscv',
  modes: Object.fromEntries(Object.entries(RISCV_MODES).map(([name, { about }]) => [name, about])),

  /** @throws RangeError for an unknown mode. */
  generate(random: Random, mode: string): Vector {
    const traits = Object.hasOwn(RISCV_MODES, mode) ? RISCV_MODES[mode] : undefined;
    if (traits === undefined) throw new RangeError(`no mode ${mode} of riscv vectors`);
    const dice = new Dice(random);
    const capabilities = drawCapabilities(dice, traits);
    const fate = dice.below(100);
    if (fate < 2) return withoutDirectory(dice, traits, capabilities, OFF);
    if (fate < 5) return withoutDirectory(dice, traits, capabilities, BARE);
    return withDirectory(dice, traits, capabilities);
  },
};

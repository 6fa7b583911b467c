// Host time of invalidations: structures of 16,384 entries, 100,000 live address spaces (VT-d first stage: 50,000 domains of two
// PASIDs), by index and, as a baseline, by comparing every entry. Every invalidation removes what one fill before it has cached, and the
// fill is part of the time. Then whole commands, fetched from a ring in simulated memory and executed with time.
// node bench/invalidation.mjs [quick]   after `npm run build`.
import '../dist/run/flags.js';
import { fileURLToPath } from 'node:url';

const { AddressSpace } = await import('../dist/iommu/address-space.js');
const rules = await import('../dist/iommu/arch/vtd/invalidation.js');
const { encodeIotlbInvalidation } = await import('../dist/iommu/arch/vtd/format.js');
const { Miss } = await import('../dist/iommu/miss.js');
const { EVERYTHING } = await import('../dist/iommu/tag-index.js');
const { Translations } = await import('../dist/iommu/translations.js');
const { RandomStream } = await import('../dist/kernel/random.js');
const { Machine } = await import('../dist/system/machine.js');
const { SCENARIOS } = await import('./scenarios.mjs');

// Constant enums leave no objects behind.
const Stage = { Second: 0, First: 1 };
const Granularity = { Selective: 3 };
const Register = { InvalidationQueueTail: 0x88, InvalidationQueueAddress: 0x90 };

const ENTRIES = 16_384;
const SPACES = 100_000;
const DOMAINS = 50_000;
const COMMANDS = 255;

const structure = (entries) => ({ enabled: true, entries, ways: 8, replacement: 'lru', latency: 0 });
const psc = structure(ENTRIES);

function unitSpec(base) {
  return {
    ...base,
    iotlb: structure(ENTRIES),
    secondStageTlb: psc,
    pagingStructureCache: { level2: psc, level3: psc, level4: psc, level5: psc },
  };
}

const SPEC = unitSpec(SCENARIOS.reference.machine.iommus.iommu0);

class Load {
  t = new Translations(SPEC, [12, 21, 30], 1, 'bench');
  random = new RandomStream(1, 'bench/invalidation');
  miss = Object.assign(new Miss(0), {});

  /** `spaces`: live address spaces; each has pages of its own. */
  constructor(spaces, stage) {
    this.spaces = spaces;
    this.stage = stage;
    this.miss.space.copy(Object.assign(new AddressSpace(), { stage }));
    Object.assign(this.miss.walk, { sizeLg2: 12, outHi: 1, outLo: 0, permissions: 3 });
    for (let i = 0; i < 4 * ENTRIES; i++) this.fill();
  }

  /** Caches a page of some address space; its numbers stay in the fields. */
  fill() {
    const n = this.random.below(this.spaces);
    const { miss } = this;
    this.did = n % DOMAINS;
    this.pasid = this.stage === Stage.Second ? 0 : 1 + Math.floor(n / DOMAINS);
    const page = this.random.below(this.spaces === 1 ? 65_536 : 64);
    this.range = { hi: 0, lo: (page * 4096) | 0, addressMask: 0 };
    miss.space.did = this.did;
    miss.space.pasid = this.pasid;
    miss.inputLo = this.range.lo;
    this.t.fill(miss);
  }
}

const HINT = { hintHonoured: true, nonLeafScope: 'range' };
const CASES = [
  ['page of a PASID', SPACES, Stage.First, (x) => rules.invalidatePasidPages(x.t, x.did, x.pasid, x.range, true, HINT)],
  ['PASID', SPACES, Stage.First, (x) => rules.invalidatePasid(x.t, x.did, x.pasid)],
  ['domain', SPACES, Stage.First, (x) => rules.invalidateDomain(x.t, x.did)],
  ['page, one domain', 1, Stage.Second, (x) => rules.invalidatePages(x.t, x.did, x.range, true, HINT)],
];

/** Nanoseconds of CPU per fill and invalidation, best of five. */
function timed(load, invalidate, count) {
  let best = Infinity;
  for (let pass = 0; pass < 5; pass++) {
    const start = process.cpuUsage();
    for (let i = 0; i < count; i++) {
      load.fill();
      invalidate(load);
    }
    const { user, system } = process.cpuUsage(start);
    best = Math.min(best, ((user + system) * 1000) / count);
  }
  return best;
}

function structures(quick) {
  return CASES.flatMap(([variant, spaces, stage, invalidate]) => {
    const indexed = timed(new Load(spaces, stage), invalidate, quick ? 20_000 : 200_000);
    const plain = new Load(spaces, stage);
    for (const index of [plain.t.leafIndex, plain.t.secondIndex, ...plain.t.tableIndex]) {
      const all = index.drop.bind(index);
      index.drop = (_scope, drop) => all(EVERYTHING, drop);
    }
    const linear = timed(plain, invalidate, quick ? 200 : 2000);
    const row = { bench: 'invalidation', variant, n: spaces, unit: 'ns' };
    return [
      { ...row, value: indexed, ratioTo: 'every entry', ratio: indexed / linear },
      { ...row, variant: `${variant}, every entry`, value: linear },
    ];
  });
}

/** Commands per second: a full ring, executed, and again. */
function commands(quick) {
  const { reference } = SCENARIOS;
  const iommus = { iommu0: unitSpec(reference.machine.iommus.iommu0) };
  const machine = new Machine(
    { ...reference, machine: { ...reference.machine, iommus } },
    { everyEvent: false, audit: false },
  );
  const { unit, hardware } = machine.units[0];
  const { dispatcher, meter, physical } = machine;
  meter.start(1);
  const settle = () => {
    while (dispatcher.batch(4096) === 4096);
  };
  settle();
  const load = new Load(1, Stage.Second);
  load.t = unit.translations;
  const words = new Int32Array(4);
  const ringHi = 2;
  hardware.write(Register.InvalidationQueueAddress, ringHi, 0);
  hardware.write(Register.InvalidationQueueTail, 0, 0);
  let tail = 0;
  const round = () => {
    for (let i = 0; i < COMMANDS; i++) {
      load.fill();
      encodeIotlbInvalidation(words, 0, Granularity.Selective, load.did, 0, load.range.lo, 0, true, true, true);
      physical.write(ringHi, tail * 16, words[1], words[0]);
      physical.write(ringHi, tail * 16 + 8, words[3], words[2]);
      tail = (tail + 1) % (COMMANDS + 1);
    }
    hardware.write(Register.InvalidationQueueTail, 0, tail * 16);
    settle();
  };
  const rounds = quick ? 100 : 2000;
  let best = Infinity;
  for (let pass = 0; pass < 5; pass++) {
    const before = hardware.commands.iotlbPage;
    const start = process.cpuUsage();
    for (let i = 0; i < rounds; i++) round();
    const { user, system } = process.cpuUsage(start);
    const done = hardware.commands.iotlbPage - before;
    if (done !== rounds * COMMANDS) throw new Error(`${done} of ${rounds * COMMANDS} commands executed`);
    best = Math.min(best, (user + system) / 1e6 / done);
  }
  return [
    { bench: 'invalidation commands', variant: 'page, ring in memory', n: ENTRIES, value: 1 / best, unit: '1/s' },
  ];
}

/** Rows {bench, variant, n, value, unit, ratioTo, ratio}. */
export async function run({ quick = false } = {}) {
  return [...structures(quick), ...commands(quick)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const row of await run({ quick: process.argv.includes('quick') })) console.log(JSON.stringify(row));
}

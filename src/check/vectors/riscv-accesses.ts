/**
 * Accesses of generated RISC-V vectors: for each the path through tables that it takes, whole or broken at one place.
 */
import type { Bus, Context } from './riscv-devices.js';
import type { Workshop } from './riscv-guest.js';
import { type Dice, PAGE, WINDOW_START } from './riscv-image.js';
import type { ModeTraits } from './riscv-modes.js';
import { breaks, PathMaker, type Wish } from './riscv-paths.js';
import type { VectorAccess } from './vector.js';

/** An access without its place in the vector; `page` is the page of the input address. */
type Draft = Omit<VectorAccess, 'id' | 'iova' | 'length'> & { readonly page: bigint };

const ATTEMPTS = 12;

export class AccessMaker {
  readonly #made: Draft[] = [];
  readonly #paths: PathMaker;
  #nextId = 0;

  constructor(
    private readonly workshop: Workshop,
    private readonly bus: Bus,
    private readonly traits: ModeTraits,
    private readonly contexts: readonly Context[],
  ) {
    this.#paths = new PathMaker(workshop, traits);
  }

  private get dice(): Dice {
    return this.workshop.dice;
  }

  /** An access with its id: somewhere in the page, of a stated length at times. */
  place(draft: Draft): VectorAccess {
    const { dice } = this;
    const { page, ...rest } = draft;
    const offset = dice.chance(30) ? 0 : dice.below(512) * 8;
    const length = dice.chance(15) ? dice.between(1, Math.min(64, 4096 - offset)) : null;
    return { id: this.#nextId++, ...rest, iova: page + BigInt(offset), ...(length !== null && { length }) };
  }

  /** An access that is translated; null if no place was found for it. */
  sound(): Draft | null {
    const { dice } = this;
    if (this.#made.length > 0 && dice.chance(18)) return dice.pick(this.#made);
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const context = dice.pick(this.contexts);
      if (context.first === null && context.device.guest === null && dice.chance(65)) continue;
      const { wish, draft } = this.wish(context);
      const page = this.#paths.whole(wish);
      if (page === null) continue;
      const made = { ...draft, page };
      this.#made.push(made);
      return made;
    }
    return null;
  }

  /** An access that its page tables refuse. */
  refusedByTables(): Draft | null {
    const { dice } = this;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { wish, draft } = this.wish(dice.pick(this.contexts));
      const places = breaks(wish);
      if (places.length === 0) continue;
      const page = this.#paths.broken(wish, dice.weighted(places));
      if (page !== null) return { ...draft, page };
    }
    return null;
  }

  /** An access that the directories refuse. */
  refusedByDirectories(): Draft | null {
    const { dice, bus } = this;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { draft, wish } = this.wish(dice.pick(this.contexts));
      const { device } = wish.context;
      const page = this.anyPage();
      const { at: _, privileged: __, ...plain } = draft;
      const refused = (rid: number | null, pasid: number | null): Draft | null =>
        rid === null ? null : { ...plain, rid, pasid, page };
      const withPid = (pasid: number | null): Draft | null => (pasid === null ? null : refused(device.rid, pasid));
      const pasid = dice.chance(20) ? dice.below(1 << 20) : null;
      const made = dice.weighted([
        [() => refused(bus.brokenDevice(), pasid), 36],
        [() => refused(bus.wideRid(), pasid), 14],
        [() => (device.processes === null ? refused(device.rid, dice.between(1, (1 << 20) - 1)) : null), 12],
        [() => withPid(device.processes?.widePid() ?? null), 12],
        [() => withPid(bus.brokenProcess(device)), 30],
        [() => refused(bus.deviceWithoutDefault(), null), 6],
        [() => (this.traits.privilege ? this.withoutSupervisor(wish.context, plain, page) : null), 15],
        [() => (this.traits.ats ? this.withoutAts(wish.context, plain, page) : null), 20],
      ] as const)();
      if (made !== null) return made;
    }
    return null;
  }

  /** A page for accesses whose address does not matter. */
  anyPage(): bigint {
    const { dice } = this;
    return dice.chance(50) ? WINDOW_START + (dice.bits(31) & ~(PAGE - 1n)) : dice.bits(38) & ~(PAGE - 1n);
  }

  private withoutSupervisor(context: Context, plain: Omit<Draft, 'page'>, page: bigint): Draft | null {
    const { pasid, supervisor, device } = context;
    if (pasid === null || supervisor || device.processes === null || device.processes.bare) return null;
    return { ...plain, rid: device.rid, pasid, privileged: true, page };
  }

  private withoutAts(context: Context, plain: Omit<Draft, 'page'>, page: bigint): Draft | null {
    const { device, pasid } = context;
    if (device.ats) return null;
    return { ...plain, rid: device.rid, pasid, at: this.dice.pick(['ats', 'translated'] as const), page };
  }

  private wish(context: Context): { wish: Wish; draft: Omit<Draft, 'page'> } {
    const { dice, traits } = this;
    const { device, pasid } = context;
    const drawn = dice.weighted(traits.kinds);
    const at =
      traits.ats && device.ats
        ? dice.weighted([
            [undefined, 40],
            ['ats', 38],
            ['translated', 22],
          ] as const)
        : undefined;
    // A translated execute-read asks for read too, and for execute with a PASID only: no single permission decides it.
    const kind = at === 'translated' && drawn === 'x' && device.translatedToGpa ? 'r' : drawn;
    const privileged = traits.privilege && pasid !== null && context.supervisor && dice.chance(55);
    const reachesBoth = privileged && context.userMemory && kind !== 'x';
    const user = !privileged || (reachesBoth && dice.chance(50));
    return {
      wish: {
        context,
        kind,
        need: at === 'ats' ? dice.pick(['r', 'w', 'x'] as const) : kind,
        permissionsMatter: at !== 'ats',
        user,
        userMatters: !reachesBoth,
        skipsFirst: at === 'translated',
      },
      draft: { rid: device.rid, pasid, kind, ...(privileged && { privileged }), ...(at !== undefined && { at }) },
    };
  }
}

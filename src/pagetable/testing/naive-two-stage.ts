/** Two-stage translation by plain recursion over the naive formats, with a memory of its own. */
import { Permission } from '../format.js';
import { Fault } from '../walk.js';
import { type NaiveFormat, type NaiveResult, naiveWalk, type Request } from './naive.js';

export interface NaiveStage {
  readonly format: NaiveFormat;
  readonly root: bigint;
  readonly height: number;
  readonly inputLg2: number;
}

export interface NaiveTranslation {
  readonly fault: Fault;
  readonly stage: number;
  readonly out: bigint;
  readonly sizeLg2: number;
  readonly granted: number;
}

/** Thrown through the first stage's walk when the second stage fails. */
class SecondStageFault {
  constructor(readonly fault: Fault) {}
}

const USER_READ = Permission.Read | Permission.User;

export class NaiveTwoStage {
  /** Host addresses read, in order. */
  readonly reads: bigint[] = [];

  constructor(
    readonly memory: Map<bigint, bigint>,
    readonly first: NaiveStage,
    readonly second: NaiveStage,
    /** Reading a first-stage table marks its second-stage page dirty where that is writable. */
    readonly marksTables: boolean,
  ) {}

  translate(request: Request): NaiveTranslation {
    try {
      return this.nested(request);
    } catch (error) {
      if (!(error instanceof SecondStageFault)) throw error;
      return { fault: error.fault, stage: 2, out: 0n, sizeLg2: 0, granted: 0 };
    }
  }

  private nested(request: Request): NaiveTranslation {
    const { format, root, height, inputLg2 } = this.first;
    let page: NaiveResult | undefined;
    const load = (guest: bigint): bigint => {
      page = this.host({ input: guest, need: USER_READ, intent: this.marksTables ? Permission.Write : 0 });
      return this.read(page.out);
    };
    const store = (guest: bigint, word: bigint): void => {
      const { out, granted, clean } = page!;
      if (clean) this.host({ input: guest, need: USER_READ | Permission.Write, intent: 0 });
      else if ((granted & Permission.Write) === 0) throw new SecondStageFault(Fault.WriteDenied);
      this.memory.set(out, word);
    };
    const result = naiveWalk(format, request, root, height, inputLg2, load, store);
    if (result.fault !== Fault.None) return { ...result, stage: 1 };
    const rights = Permission.Read | Permission.Write | Permission.Execute | Permission.SupervisorExecute;
    const need = request.need === 0 ? 0 : (request.need & rights) | Permission.User;
    const final = this.host({ input: result.out, need, intent: request.intent });
    const sizeLg2 = Math.min(result.sizeLg2, final.sizeLg2);
    return { fault: Fault.None, stage: 0, out: final.out, sizeLg2, granted: result.granted & final.granted };
  }

  private host(request: Request): NaiveResult {
    const { format, root, height, inputLg2 } = this.second;
    const load = (address: bigint): bigint => this.read(address);
    const store = (address: bigint, word: bigint): void => void this.memory.set(address, word);
    const result = naiveWalk(format, request, root, height, inputLg2, load, store);
    if (result.fault !== Fault.None) throw new SecondStageFault(result.fault);
    return result;
  }

  private read(address: bigint): bigint {
    this.reads.push(address);
    return this.memory.get(address) ?? 0n;
  }
}

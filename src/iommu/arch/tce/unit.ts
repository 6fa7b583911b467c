/**
 * The lookup of a PHB4: state and window of the endpoint come before the TCE cache. A frozen endpoint is refused at once, an address of a
 * bypass window passes after a range check, without a TCE; everything else goes through caches and walkers as in any unit.
 */
import type { Event } from '../../../kernel/event.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import type { IommuSpec } from '../../spec.js';
import type { Surroundings } from '../../surroundings.js';
import { IommuUnit } from '../../unit.js';
import type { Directory } from './directory.js';
import { BYPASS_MASK, bypasses, WINDOW_MASK } from './format.js';

export class PhbUnit extends IommuUnit {
  constructor(
    index: number,
    name: string,
    spec: IommuSpec,
    surroundings: Surroundings,
    private readonly directory: Directory,
  ) {
    super(index, name, spec, surroundings, directory);
  }

  override lookup(tlp: Event): void {
    const { contexts, tables } = this.directory;
    const space = contexts.find(this.requesters[tlp.source]!, tlp.context, true);
    if (space === null) {
      this.walkers.miss(tlp);
      return;
    }
    if (tables.frozen(space.did)) {
      this.counters.aborted++;
      tlp.flags |= TlpFlag.Aborted;
      this.ready(tlp);
      return;
    }
    const { addressHi: hi, addressLo: lo } = tlp;
    const tve = tables.window(space.did, hi);
    const { translations: t } = this;
    if (tve.kind === 'bypass' && hi >>> 28 === 0 && bypasses(tve, hi & WINDOW_MASK, lo)) {
      tlp.outHi = hi & BYPASS_MASK;
      tlp.outLo = lo;
      this.ready(tlp);
    } else if (t.lookup(space, hi, lo, this.neededBy(tlp.flags))) {
      tlp.outHi = t.outHi;
      tlp.outLo = t.outLo;
      this.ready(tlp);
    } else this.walkers.miss(tlp);
  }
}

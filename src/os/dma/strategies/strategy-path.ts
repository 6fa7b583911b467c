/** What strategies have in common: their own statistics, and scatter lists taken segment by segment. */
import type { Access } from '../../../protocol/access.js';
import type { Domain } from '../../domain.js';
import type { Call, Thread } from '../../thread.js';
import { mapBySegment, unmapBySegment } from '../by-segment.js';
import type { DmaPath } from '../path.js';
import type { ScatterList } from '../scatter-list.js';
import { StrategyStatistics } from './statistics.js';

export abstract class StrategyPath implements DmaPath {
  readonly statistics: StrategyStatistics = new StrategyStatistics();

  abstract map(thread: Thread, domain: Domain, pa: number, bytes: number, access: Access): number | Call<number>;

  abstract unmap(thread: Thread, domain: Domain, address: number, bytes: number, access: Access): Call<void>;

  mapList(thread: Thread, domain: Domain, list: ScatterList, access: Access): Call<boolean> {
    return mapBySegment(this, thread, domain, list, access);
  }

  unmapList(thread: Thread, domain: Domain, list: ScatterList, access: Access): Call<void> {
    return unmapBySegment(this, thread, domain, list, access);
  }
}

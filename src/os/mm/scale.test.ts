import { expect, it } from 'vitest';
import { Access } from '../../protocol/access.js';
import { SvaBench } from '../testing/sva-bench.js';

const PAGE = 4096;
const BASE = 2 ** 40;
const COUNT = 10_000;

/** bench/mm.mjs measures a million of them, objects included. */
it('ten thousand bound processes with a page each take four lines of table memory each', () => {
  const bench = new SvaBench({ bytes: 2 ** 32 });
  const { manager, sva, devices, memory, frames } = bench;
  const before = memory.lines;
  const start = (i: number): number => BASE + i * 2 ** 21;
  bench.thread(function* (thread) {
    const spaces = [];
    for (let i = 0; i < COUNT; i++) {
      const mm = manager.create();
      manager.addRegion(mm, start(i), 16 * PAGE);
      expect((yield* sva.bind(thread, devices[0]!, mm)).pasid).toBe(i + 1);
      yield* manager.touch(thread, mm, start(i), Access.Write);
      spaces.push(mm);
    }
    expect(memory.lines - before).toBe(4 * COUNT);
    expect(memory.bytes / COUNT).toBeLessThan(700);
    expect(frames.inUse).toBe(5 * COUNT + 1);
    for (const [i, mm] of spaces.entries()) {
      yield* bench.report(thread, 0, i + 1, i & 511, start(i) + PAGE, { access: Access.Write });
      if (i % 64 === 63) yield* bench.workqueue.flush(thread);
      if (i === 4000) expect(bench.translate(mm, start(i), Access.Read)).toBeGreaterThan(0);
    }
    yield* bench.workqueue.flush(thread);
    for (const mm of spaces) yield* manager.put(thread, mm);
  });
  bench.run();
  expect(bench.answers.length).toBe(COUNT);
  expect([frames.inUse, memory.lines - before, bench.driver.roots.size]).toEqual([1, 0, 0]);
});

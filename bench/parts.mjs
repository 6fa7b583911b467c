// Runs the tasks of a tinybench suite, each on a batch of operations, and gives nanoseconds per operation.
import { Bench } from 'tinybench';

/** Operations of one call of a task: enough for the clock, few enough for the caches to look as they do in a simulation. */
export const BATCH = 4096;

/** `tasks`: [bench, variant, n, function that does BATCH operations]. Rows {bench, variant, n, value, unit}; the median. */
export async function measureTasks(tasks, quick) {
  const suite = new Bench({ time: quick ? 50 : 400, warmupTime: quick ? 50 : 200 });
  tasks.forEach(([, , , task], i) => {
    suite.add(String(i), task);
  });
  await suite.run();
  return tasks.map(([bench, variant, n], i) => {
    const { result } = suite.tasks[i];
    if (result.error !== undefined) throw result.error;
    return { bench, variant, n, value: (result.latency.p50 * 1e6) / BATCH, unit: 'ns' };
  });
}

// Pool worker for tests, in plain JavaScript because a worker thread cannot load TypeScript.
// seed 666 throws, seed 667 ends the worker, seed 668 never returns; any other spec gives a result that depends on it alone.
export default ({ specs, options }) =>
  specs.map((spec) => {
    if (spec.seed === 666) return { text: null, error: 'no such device', milliseconds: 1 };
    if (spec.seed === 667) process.exit(3);
    while (spec.seed === 668);
    const start = performance.now();
    while (performance.now() - start < (spec.seed % 3) * 2);
    const result = {
      metrics: [{ component: 'nic', metric: 'operations_per_second', value: spec.seed / 3 }],
      warmup: [],
      histograms: [],
      text: [],
      windows: { warmupPs: 0, measuredPs: 1000, warmupOperations: 0, measuredOperations: 1, stoppedBy: 'operations' },
      events: options.everyEvent ? 2 : 1,
      audit: null,
    };
    return { text: JSON.stringify(result), error: '', milliseconds: performance.now() - start };
  });

/**
 * The list of everything a run measures. Components define their metrics (name, unit, sentence, formula) and register how to
 * read them; the run resets them when the warm-up ends and collects them when the window closes. Order of registration is
 * order of output.
 */

import type { Histogram } from './histogram.js';

export interface MetricDef {
  /** Unique name, as in the CSV files. */
  readonly name: string;
  readonly unit: string;
  /** What it is, in one sentence. */
  readonly sentence: string;
  /** How it is computed from counts and times. */
  readonly formula: string;
}

export interface MetricValue {
  readonly component: string;
  readonly metric: string;
  /** NaN: nothing was observed in the window. */
  readonly value: number;
}

export interface RegisteredHistogram {
  readonly component: string;
  readonly metric: string;
  readonly histogram: Histogram;
}

interface Gauge {
  readonly component: string;
  readonly metric: string;
  readonly read: (now: number) => number;
}

export class Registry {
  private readonly defs = new Map<string, MetricDef>();
  private readonly taken = new Set<string>();
  private readonly gauges: Gauge[] = [];
  private readonly registered: RegisteredHistogram[] = [];
  private readonly resets: ((now: number) => void)[] = [];

  /** Declares metrics. Every instance of a component may repeat the same definition; a different one under its name throws. */
  define(defs: readonly MetricDef[]): void {
    for (const def of defs) {
      const known = this.defs.get(def.name);
      if (known === undefined) this.defs.set(def.name, def);
      else if (known.unit !== def.unit || known.sentence !== def.sentence || known.formula !== def.formula) {
        throw new Error(`metric '${def.name}' is defined twice, differently`);
      }
    }
  }

  /** Registers a value that is read when a window closes, as absolute time `now` in picoseconds. */
  gauge(component: string, metric: string, read: (now: number) => number): void {
    this.claim(component, metric);
    this.gauges.push({ component, metric, read });
  }

  /** Registers a histogram; `reset` clears it. */
  histogram(component: string, metric: string, histogram: Histogram): void {
    this.claim(component, metric);
    this.registered.push({ component, metric, histogram });
  }

  /** Registers what else starts afresh with a window. */
  onReset(fn: (now: number) => void): void {
    this.resets.push(fn);
  }

  /** Starts a window: clears histograms, then calls the reset functions, in order of registration. */
  reset(now: number): void {
    for (const { histogram } of this.registered) histogram.reset();
    for (const fn of this.resets) fn(now);
  }

  /** Values of all gauges in order of registration. Throws if one is infinite. */
  collect(now: number): MetricValue[] {
    return this.gauges.map(({ component, metric, read }) => {
      const value = read(now);
      if (value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY) {
        throw new Error(`metric '${metric}' of ${component} is ${value}`);
      }
      return { component, metric, value };
    });
  }

  histograms(): readonly RegisteredHistogram[] {
    return this.registered;
  }

  /** All definitions, in the order they were first made. */
  definitions(): readonly MetricDef[] {
    return [...this.defs.values()];
  }

  private claim(component: string, metric: string): void {
    if (!this.defs.has(metric)) throw new Error(`metric '${metric}' of ${component} is not defined`);
    const key = JSON.stringify([component, metric]);
    if (this.taken.has(key)) throw new Error(`metric '${metric}' of ${component} is registered twice`);
    this.taken.add(key);
  }
}

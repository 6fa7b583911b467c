/**
 * From the text of a workload file to the points of a run: presets are merged with their overrides, each design of the sweep
 * gets its settings, every section is parsed and checked, and every point named by the hash of its content.
 */
import { checkGuest } from './check-guest.js';
import { checkJobs, checkWindows } from './check-jobs.js';
import { checkDevices, checkMachine } from './check-machine.js';
import { checkOs } from './check-os.js';
import { WorkloadDocument } from './document.js';
import { InputError, MAX_PROBLEMS, type Problem } from './errors.js';
import { type Design, formatResolved } from './format.js';
import { readHeader } from './header.js';
import { PointHasher } from './identity.js';
import type { PlannedPoint, RunPlan } from './plan.js';
import { leafPaths } from './introspect.js';
import { expandPresets, presetKind } from './presets.js';
import { type Fault, fault, parseFaults } from './problems.js';
import { type Place, placeFault, readSettings } from './report.js';
import { POINT_SCHEMA, SECTION_NAMES, SECTIONS, type Section } from './schema.js';
import { applySetting, isFault, type Setting } from './settings.js';
import type { PointSpec } from './spec.js';
import { expandSweep, MAX_POINTS, readSweep, type Sweep, sweepSize } from './sweep.js';

/**
 * Expands a workload.
 * @param text content of the file; @param file its name in messages; @param sets texts of `--set PATH=VALUE`; @param seeds text of
 * `--seeds`, or null
 * @throws InputError with up to ten problems.
 */
export function resolveWorkload(
  text: string,
  file: string,
  sets: readonly string[] = [],
  seeds: string | null = null,
): RunPlan {
  return new Resolver(new WorkloadDocument(text, file), readSettings(sets, seeds)).plan();
}

type Sections = Record<string, unknown>;

class Resolver {
  private readonly problems = new Map<string, Problem>();
  /** Merged trees by the presets they were merged with, and parsed sections by their settings: most designs share them. */
  private readonly trees = new Map<string, Sections | null>();
  private readonly sections = new Map<string, unknown>();

  constructor(
    private readonly document: WorkloadDocument,
    private readonly sets: readonly Setting[],
  ) {}

  plan(): RunPlan {
    const problems: Problem[] = [];
    const paths = () => leafPaths(POINT_SCHEMA, this.tree([]) ?? {});
    const header = readHeader(this.document, this.sets, paths, problems);
    const sweep = readSweep(this.document, this.sets, problems);
    if (problems.length > 0) {
      throw new InputError(problems);
    }
    this.checkCount(sweep, header.seeds.length);
    const designs = this.designs(sweep);
    const hasher = new PointHasher();
    const points = designs.flatMap((design) => pointsOf(design, header.seeds, hasher));
    const { name, question } = header;
    let resolved: string | null = null;
    return {
      name,
      question,
      file: this.document.file,
      points,
      get resolved() {
        resolved ??= formatResolved(header, designs, sweep);
        return resolved;
      },
    };
  }

  private checkCount(sweep: Sweep, seeds: number): void {
    const total = sweepSize(sweep) * seeds;
    if (total > MAX_POINTS) {
      const message = `the sweep has ${total} points with ${seeds} seeds; at most ${MAX_POINTS} are possible`;
      throw new InputError([this.document.problem('E405', ['sweep'], message, null, true)]);
    }
  }

  private designs(sweep: Sweep): Design[] {
    const designs: Design[] = [];
    for (const swept of expandSweep(sweep)) {
      const spec = this.design([...swept, ...this.sets.filter(({ path }) => SECTION_SET.has(path[0]!))]);
      if (spec !== null) {
        designs.push({ spec, swept });
      } else if (this.problems.size >= MAX_PROBLEMS) {
        break;
      }
    }
    if (this.problems.size > 0) {
      throw new InputError([...this.problems.values()]);
    }
    return designs;
  }

  /** Null when there are problems, which are noted. */
  private design(settings: readonly Setting[]): Omit<PointSpec, 'seed'> | null {
    const presets = settings.filter(({ path }) => presetKind(path) !== null);
    const values = settings.filter(({ path }) => presetKind(path) === null);
    const tree = this.tree(presets);
    const resolved: Sections = {};
    let complete = tree !== null;
    for (const section of tree === null ? [] : SECTION_NAMES) {
      const own = values.filter(({ path }) => path[0] === section);
      resolved[section] = this.section(section, tree!, presets, own);
      complete &&= resolved[section] !== null;
    }
    if (!complete) {
      return null;
    }
    const spec = resolved as unknown as PointSpec;
    const faults = [
      ...checkMachine(spec.machine),
      ...checkDevices(spec),
      ...checkGuest(spec),
      ...checkWindows(spec.warmup, spec.stop),
    ];
    faults.push(...(faults.length > 0 ? [] : [...checkJobs(spec), ...checkOs(spec)]));
    this.note(faults, settings);
    return faults.length > 0 ? null : spec;
  }

  /** The file's tree with presets chosen and merged, and defaults of absent sections. */
  private tree(presets: readonly Setting[]): Sections | null {
    const key = signature(presets);
    const known = this.trees.get(key);
    if (known !== undefined) {
      return known;
    }
    const faults: Fault[] = [];
    let chosen = this.document.tree;
    for (const setting of presets) {
      chosen = choosePreset(chosen, setting.path, setting.value);
    }
    const merged = expandPresets(chosen, faults);
    this.note(faults, presets);
    const tree = faults.length > 0 ? null : { ...merged, warmup: merged['warmup'] ?? { operations: 0 } };
    this.trees.set(key, tree);
    return tree;
  }

  private section(section: Section, tree: Sections, presets: readonly Setting[], own: readonly Setting[]): unknown {
    const key = `${section} ${signature(presets)} ${signature(own)}`;
    const known = this.sections.get(key);
    if (known !== undefined) {
      return known;
    }
    const parsed = this.parseSection(section, tree, own);
    this.sections.set(key, parsed);
    return parsed;
  }

  private parseSection(section: Section, tree: Sections, own: readonly Setting[]): unknown {
    let sections: Sections = Object.hasOwn(tree, section) ? { [section]: tree[section] } : {};
    for (const setting of own) {
      const changed = applySetting(sections, POINT_SCHEMA, setting);
      if (isFault(changed)) {
        this.note(
          [fault(changed.code, setting.path, changed.message, { suggestion: changed.suggestion, onKey: true })],
          [setting],
        );
        return null;
      }
      sections = changed;
    }
    const result = SECTIONS[section].safeParse(sections[section], { jitless: true });
    if (result.success) {
      return result.data;
    }
    this.note(parseFaults(result.error, SECTIONS[section], sections[section], [section]), own);
    return null;
  }

  private note(faults: readonly Fault[], settings: readonly Setting[]): void {
    const place: Place = { document: this.document, settings };
    for (const each of faults) {
      const problem = placeFault(each, place);
      this.problems.set(
        `${problem.file}:${problem.line}:${problem.column}:${problem.path}:${problem.message}`,
        problem,
      );
    }
  }
}

const SECTION_SET: ReadonlySet<string> = new Set(SECTION_NAMES);

function signature(settings: readonly Setting[]): string {
  return JSON.stringify(settings.map(({ path, value }) => [path, value]));
}

/** Sets a preset name where the file has or may have one; parts that do not exist are reported by the schema. */
function choosePreset(tree: Sections, path: readonly string[], value: unknown): Sections {
  const [key, ...rest] = path as [string, ...string[]];
  if (rest.length === 0) {
    return { ...tree, [key]: value };
  }
  const inner = Object.hasOwn(tree, key) ? tree[key] : {};
  return {
    ...tree,
    [key]: choosePreset(typeof inner === 'object' && inner !== null ? (inner as Sections) : {}, rest, value),
  };
}

function pointsOf({ spec, swept }: Design, seeds: readonly number[], hasher: PointHasher): PlannedPoint[] {
  const labels = Object.fromEntries(swept.map(({ path, value }) => [path.join('.'), label(value)]));
  const design = hasher.id(spec);
  return seeds.map((seed) => {
    const point: PointSpec = { ...spec, seed };
    return { id: hasher.id(point), design, seed, swept: labels, spec: point };
  });
}

function label(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

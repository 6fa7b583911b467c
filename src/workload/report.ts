/** Finds the place a fault is reported at: the setting that caused it, the line of the file, or the preset it came from. */
import type { WorkloadDocument } from './document.js';
import { InputError, inputError, type Problem } from './errors.js';
import type { Fault } from './problems.js';
import { parseSetting, type Setting } from './settings.js';

export interface Place {
  readonly document: WorkloadDocument;
  /** Settings of the design the fault was found in. */
  readonly settings: readonly Setting[];
}

/**
 * Texts of `--set` in order, then the one of `--seeds`.
 * @throws InputError E401, E106, E406.
 */
export function readSettings(texts: readonly string[], seeds: string | null): Setting[] {
  const problems: Problem[] = [];
  const settings: Setting[] = [];
  for (const text of seeds === null ? texts : [...texts, `seeds=${seeds}`]) {
    try {
      const setting = addSetting(text, settings);
      settings.push(settings.length < texts.length ? setting : { ...setting, origin: `--seeds ${seeds}` });
    } catch (error) {
      if (!(error instanceof InputError)) {
        throw error;
      }
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) {
    throw new InputError(problems);
  }
  return settings;
}

function addSetting(text: string, before: readonly Setting[]): Setting {
  const setting = parseSetting(text);
  const path = setting.path.join('.');
  if (before.some((other) => other.path.join('.') === path)) {
    throw inputError('E406', `"${path}" is set twice`, setting.origin as string);
  }
  return setting;
}

/** The fault as a problem of the user's file or command line. */
export function placeFault(fault: Fault, { document, settings }: Place): Problem {
  const candidates = [fault.path, ...fault.related];
  for (const path of candidates) {
    const setting = settings.findLast((each) => covers(each.path, path));
    if (setting !== undefined) {
      return settingProblem(fault, setting, document);
    }
  }
  const { code, message, suggestion } = fault;
  const written = candidates.find((path) => document.locate(path).depth === path.length) ?? fault.path;
  const { line, column } = document.locate(written, fault.onKey);
  return { code, file: document.file, line, column, path: fault.path.join('.'), message, suggestion };
}

function covers(outer: readonly string[], inner: readonly string[]): boolean {
  return outer.length <= inner.length && outer.every((key, index) => key === inner[index]);
}

function settingProblem(fault: Fault, setting: Setting, document: WorkloadDocument): Problem {
  const { code, message, suggestion } = fault;
  const path = fault.path.join('.');
  if (typeof setting.origin === 'string') {
    return { code, file: setting.origin, line: 0, column: 0, path, message, suggestion };
  }
  const origin = fault.code === 'E402' ? setting.origin.slice(0, -1) : setting.origin;
  const { line, column } = document.locate(origin, fault.code === 'E402');
  return { code, file: document.file, line, column, path, message, suggestion };
}

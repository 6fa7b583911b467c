/**
 * What is wrong with a user's input, one line each: where, a stable code, which key, what to do. The codes are a contract:
 * they never change their meaning, and a code that is no longer used is not given to something else.
 */

export const ERROR_CODES = {
  E001: 'the file cannot be read',
  E002: 'the file is not UTF-8 text',
  E003: 'the file is empty or is not a mapping of keys',
  E004: 'the file is not valid YAML',
  E005: 'a key occurs twice in one mapping',
  E006: 'the file nests or repeats aliases beyond reason',
  E007: 'the results folder cannot be used',
  E101: 'unknown key',
  E102: 'a required key is missing',
  E103: 'a value of another kind is expected',
  E104: 'the value is not one of the names allowed here',
  E105: 'unknown preset',
  E106: 'the key is not allowed',
  E201: 'a number without a unit where a quantity is needed',
  E202: 'unknown unit, or a unit of another kind',
  E203: 'a whole number is needed',
  E204: 'the value is outside its range',
  E205: 'not a finite number',
  E301: 'impossible geometry of a cache or table',
  E302: 'a power of two is needed',
  E303: 'a name refers to nothing',
  E304: 'two devices with one requester id',
  E305: 'settings that exclude each other',
  E306: 'more memory than there is',
  E307: 'more threads than cores',
  E308: 'a limit of the device or link is exceeded',
  E309: 'the run would never stop',
  E401: 'a setting that is not PATH=VALUE',
  E402: 'no such path',
  E403: 'zipped lists of unequal length',
  E404: 'a sweep without values',
  E405: 'too many points',
  E406: 'a path is given twice',
  E407: 'the path cannot be swept or set',
  E501: 'unknown command',
  E502: 'unknown option',
  E503: 'wrong arguments of a command',
  E504: 'unknown metric',
  E505: 'unknown model',
  E601: 'not the results folder of a finished run',
  E602: 'a figure without anything to show',
  E603: 'several designs on one point of a figure',
  E604: 'too many series for one figure',
  E605: 'values that a logarithmic axis cannot show',
  E606: 'a figure cannot be written',
  E701: 'not a file of translation vectors',
  E702: 'a vector that cannot be simulated',
  E703: 'a vector and a model of different architectures',
  E704: 'no request to walk',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface Problem {
  readonly code: ErrorCode;
  /** File as the user named it, `--set PATH=VALUE`, or empty for the command line itself. */
  readonly file: string;
  /** 1-based; 0 when there is no position. */
  readonly line: number;
  readonly column: number;
  /** Dotted path of the key; empty when the problem has none. */
  readonly path: string;
  readonly message: string;
  /** Nearest valid name, or null. */
  readonly suggestion: string | null;
}

/** At most so many problems are reported at once. */
export const MAX_PROBLEMS = 10;

/** Bad input: one or more problems. The message is one line for each. */
export class InputError extends Error {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const shown = problems.slice(0, MAX_PROBLEMS);
    super(shown.map(formatProblem).join('\n'));
    this.name = 'InputError';
    this.problems = shown;
  }

  get code(): ErrorCode {
    return this.problems[0]!.code;
  }
}

/** An InputError of one problem without a position in a file. */
export function inputError(code: ErrorCode, message: string, file = '', suggestion: string | null = null): InputError {
  return new InputError([{ code, file, line: 0, column: 0, path: '', message, suggestion }]);
}

/** `FILE:LINE:COL: error E101: key.path: message; did you mean "nearest"?` */
export function formatProblem(problem: Problem): string {
  const { file, line, column, code, path, message, suggestion } = problem;
  const place = line > 0 ? `${file}:${line}:${column}: ` : file === '' ? '' : `${file}: `;
  const key = path === '' ? '' : `${path}: `;
  const hint = suggestion === null ? '' : `; did you mean "${suggestion}"?`;
  return printable(`${place}error ${code}: ${key}${message}${hint}`);
}

/** Control characters of the input must not reach the terminal or break the line. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?');
}

/**
 * A workload file as text: YAML with source positions. Gives the plain tree of its values and finds the line and column of
 * any key again, through anchors and merges too.
 */
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml';
import { type ErrorCode, InputError, inputError, type Problem } from './errors.js';
import { isMapping } from './introspect.js';

const MAX_BYTES = 16 * 1024 * 1024;
const MAX_DEPTH = 40;
const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype']);

export interface Position {
  readonly line: number;
  readonly column: number;
  /** Keys of the path that the file has itself. */
  readonly depth: number;
}

export type Tree = Record<string, unknown>;

/**
 * Text of a file's bytes.
 * @throws InputError E002 when they are not UTF-8 text.
 */
export function decodeText(bytes: Uint8Array, file: string): string {
  if (bytes.length > MAX_BYTES) {
    throw inputError('E002', `larger than ${MAX_BYTES / 1024 / 1024} MiB: not a workload file`, file);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw inputError('E002', 'not UTF-8 text', file);
  }
  if (text.includes('\0')) {
    throw inputError('E002', 'contains NUL bytes: not a text file', file);
  }
  return text;
}

export class WorkloadDocument {
  readonly tree: Tree;
  private readonly lines = new LineCounter();
  private readonly document: Document;

  /** @throws InputError E003 to E006 and E106. */
  constructor(
    text: string,
    readonly file: string,
  ) {
    this.document = this.parse(text);
    this.checkSyntax();
    const tree = this.plain();
    if (!isMapping(tree)) {
      const message = tree === null ? 'the file is empty' : 'expected a mapping of keys at the top of the file';
      throw inputError('E003', message, file);
    }
    this.checkTree(tree, []);
    this.tree = tree;
  }

  /** Where a path is written; of a path the file does not have, its longest part that it has. `onKey`: the key, not its value. */
  locate(path: readonly string[], onKey = false): Position {
    let node: Node | null = this.document.contents as Node | null;
    let at: Node | null = node;
    let depth = 0;
    for (const key of path) {
      const pair = this.find(node, key);
      if (pair === null) {
        at = depth === 0 ? at : this.presetOf(node, at);
        break;
      }
      depth++;
      node = this.resolve(pair.value as Node | null);
      const last = depth === path.length;
      at = (last && onKey) || !isNode(pair.value) ? (pair.key as Node | null) : (pair.value as Node);
    }
    const { line, col } = this.lines.linePos(at?.range?.[0] ?? 0);
    return { line, column: col, depth };
  }

  problem(
    code: ErrorCode,
    path: readonly string[],
    message: string,
    suggestion: string | null = null,
    onKey = false,
  ): Problem {
    const { line, column } = this.locate(path, onKey);
    return { code, file: this.file, line, column, path: path.join('.'), message, suggestion };
  }

  private parse(text: string): Document {
    try {
      return parseDocument(text, { lineCounter: this.lines, merge: true, prettyErrors: false, logLevel: 'silent' });
    } catch {
      throw inputError('E006', 'the file nests too deeply', this.file);
    }
  }

  private checkSyntax(): void {
    const faults = [...this.document.errors, ...this.document.warnings];
    if (faults.length > 0) {
      throw new InputError(
        faults.map((fault) => {
          const { line, col } = this.lines.linePos(fault.pos[0]);
          const code = fault.code === 'DUPLICATE_KEY' ? 'E005' : 'E004';
          const message = fault.message.split('\n')[0]!;
          return { code, file: this.file, line, column: col, path: '', message, suggestion: null };
        }),
      );
    }
  }

  private plain(): unknown {
    try {
      return this.document.toJS({ maxAliasCount: 100 });
    } catch (error) {
      const message = error instanceof RangeError ? 'the file nests too deeply' : (error as Error).message;
      throw inputError('E006', message, this.file);
    }
  }

  private checkTree(value: unknown, path: readonly string[]): void {
    if (path.length > MAX_DEPTH) {
      throw inputError('E006', 'the file nests too deeply, or an alias contains itself', this.file);
    }
    if (typeof value !== 'object' || value === null) {
      return;
    }
    for (const key of Object.keys(value)) {
      const inner = [...path, key];
      if (FORBIDDEN.has(key)) {
        throw new InputError([this.problem('E106', inner, `"${key}" cannot be a key`, null, true)]);
      }
      this.checkTree((value as Tree)[key], inner);
    }
  }

  private resolve(node: Node | null): Node | null {
    return isAlias(node) ? (node.resolve(this.document) ?? null) : node;
  }

  /** The pair of `key` in a mapping or list, looking through merges. */
  private find(node: Node | null, key: string): Pair | null {
    if (isMap(node)) {
      return this.findInMap(node, key);
    }
    if (isSeq(node) && /^\d+$/.test(key)) {
      const item = node.items[Number(key)];
      return item === undefined ? null : ({ key: item, value: item } as Pair);
    }
    return null;
  }

  private findInMap(map: YAMLMap, key: string): Pair | null {
    let merged: Pair | null = null;
    for (const pair of map.items) {
      const name = isScalar(pair.key) ? String(pair.key.value) : String(pair.key);
      if (name === key) {
        return pair;
      }
      if (name === '<<' || name.startsWith('Symbol(<<')) {
        const source = this.resolve(pair.value as Node | null);
        for (const part of isSeq(source) ? source.items : [source]) {
          merged ??= this.find(this.resolve(part as Node | null), key);
        }
      }
    }
    return merged;
  }

  /** A key that is absent here came from the preset, if the mapping names one. */
  private presetOf(node: Node | null, otherwise: Node | null): Node | null {
    const preset = this.find(node, 'preset');
    return preset !== null && isNode(preset.value) ? preset.value : otherwise;
  }
}

/** True when a key would reach the prototype of an object. */
export function isForbiddenKey(key: string): boolean {
  return FORBIDDEN.has(key);
}

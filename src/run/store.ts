/**
 * A results folder on disk. Every file appears under its final name by renaming a complete temporary file, so nothing
 * half-written is ever found there; temporary files of a run that was killed are removed by the next one.
 * Point files are not synced to the device (their checksum finds a torn one); the final files are.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { decodePointFile, decodeResult, encodePointFile, type PointKey, sha256 } from './encoding.js';
import { errorCode, OutputError, outputError } from './errors.js';
import type { PointResult } from './result.js';

/** A file of text in pieces, so that a large table need not be one string. */
export interface ReportFile {
  readonly name: string;
  readonly chunks: readonly string[];
}

/** The operations a results folder needs; tests inject failing ones. */
export interface FileSystem {
  /** Creates a folder and those above it; nothing to do when it is there. */
  mkdir(path: string): Promise<void>;
  list(path: string): Promise<string[]>;
  read(path: string): Promise<string>;
  /** Creates or replaces a file. `sync`: it is on the device when the promise resolves. */
  write(path: string, chunks: readonly string[], sync: boolean): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
}

export const nodeFileSystem: FileSystem = {
  mkdir: makeFolder,
  list: (path) => readdir(path),
  read: (path) => readFile(path, 'utf8'),
  async write(path, chunks, sync) {
    const handle = await open(path, 'w');
    try {
      for (const chunk of chunks) await handle.writeFile(chunk);
      if (sync) await handle.sync();
    } finally {
      await handle.close();
    }
  },
  rename,
  remove: (path) => rm(path, { force: true }),
};

/** Not mkdir's own recursive mode, which never returns where a file system (such as /proc) refuses with ENOENT. */
async function makeFolder(path: string): Promise<void> {
  const create = async (): Promise<void> => {
    try {
      await mkdir(path);
    } catch (error) {
      if (errorCode(error) !== 'EEXIST' || !(await stat(path)).isDirectory()) throw error;
    }
  };
  try {
    await create();
  } catch (error) {
    if (errorCode(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await create();
  }
}

export const MANIFEST = 'manifest.json';
const POINTS = 'points';
const TEMPORARY = /^\.tmp-(\d+)-/;

export class ResultsFolder {
  private stored = new Set<string>();

  private constructor(
    readonly path: string,
    private readonly files: FileSystem,
  ) {}

  /**
   * Opens `path` for the run with this plan hash: creates it, or checks that what is there belongs to the same run.
   * @throws OutputError when it holds something else or cannot be used.
   */
  static async open(path: string, plan: string, files: FileSystem = nodeFileSystem): Promise<ResultsFolder> {
    const folder = new ResultsFolder(path, files);
    try {
      await files.mkdir(path);
      const names = await folder.sweep(path);
      if (names.includes(MANIFEST)) await folder.checkOwner(plan);
      else if (names.some((name) => name !== POINTS)) {
        throw new OutputError(
          'output-not-empty',
          `${path} is not empty and holds no ${MANIFEST} of a run: choose a new folder`,
          path,
        );
      }
      await files.mkdir(join(path, POINTS));
      folder.stored = new Set(await folder.sweep(join(path, POINTS)));
      return folder;
    } catch (error) {
      throw outputError('use', path, error);
    }
  }

  /** Whether a valid result that matches `key` is stored. */
  async has(key: PointKey): Promise<boolean> {
    return (await this.read(key)) !== null;
  }

  /** Stored result that matches `key`, with the SHA-256 of its file, or null. */
  async load(key: PointKey): Promise<{ result: PointResult; sha256: string } | null> {
    const stored = await this.read(key);
    return stored === null ? null : { result: decodeResult(stored.resultText), sha256: sha256(stored.text) };
  }

  /** Stores the encoded result of a finished point. */
  async save(key: PointKey, resultText: string): Promise<void> {
    await this.place(this.pointPath(key.id), [encodePointFile(key, resultText)], false);
    this.stored.add(`${key.id}.json`);
  }

  /** Writes one final file and returns its SHA-256. */
  async write(file: ReportFile): Promise<string> {
    await this.place(join(this.path, file.name), file.chunks, true);
    const hash = createHash('sha256');
    for (const chunk of file.chunks) hash.update(chunk);
    return hash.digest('hex');
  }

  /** Removes what an earlier run of the same plan concluded; its points stay. */
  async removeReports(): Promise<void> {
    try {
      for (const name of await this.files.list(this.path)) {
        if (name !== POINTS && name !== MANIFEST) await this.files.remove(join(this.path, name));
      }
    } catch (error) {
      throw outputError('clear', this.path, error);
    }
  }

  private async read(key: PointKey): Promise<{ text: string; resultText: string } | null> {
    if (!this.stored.has(`${key.id}.json`)) return null;
    const path = this.pointPath(key.id);
    try {
      const text = await this.files.read(path);
      const resultText = decodePointFile(key, text);
      return resultText === null ? null : { text, resultText };
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null;
      throw outputError('read', path, error);
    }
  }

  private pointPath(id: string): string {
    return join(this.path, POINTS, `${id}.json`);
  }

  private async place(path: string, chunks: readonly string[], sync: boolean): Promise<void> {
    const temporary = join(dirname(path), `.tmp-${process.pid}-${basename(path)}`);
    try {
      await this.files.write(temporary, chunks, sync);
      await this.files.rename(temporary, path);
    } catch (error) {
      await this.files.remove(temporary).catch(() => undefined);
      throw outputError('write', path, error);
    }
  }

  /** Names in a folder after temporary files of dead processes are gone. */
  private async sweep(path: string): Promise<string[]> {
    const kept: string[] = [];
    for (const name of await this.files.list(path)) {
      const owner = TEMPORARY.exec(name)?.[1];
      if (owner === undefined) kept.push(name);
      else if (!isAlive(Number(owner))) await this.files.remove(join(path, name));
    }
    return kept;
  }

  private async checkOwner(plan: string): Promise<void> {
    const path = join(this.path, MANIFEST);
    let manifest: { plan?: unknown; name?: unknown } | null;
    try {
      manifest = JSON.parse(await this.files.read(path)) as typeof manifest;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw new OutputError('output-other-run', `${path} is not a manifest of a run: choose another folder`, path);
    }
    if (manifest?.plan !== plan) {
      const name = typeof manifest?.name === 'string' ? `"${manifest.name}"` : 'unknown';
      throw new OutputError(
        'output-other-run',
        `${this.path} holds the results of another run (${name}, other points): choose another folder or remove it`,
        this.path,
      );
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return pid !== process.pid;
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

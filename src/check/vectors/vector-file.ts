/** Reads a file of vectors one vector at a time, so that memory does not grow with its size. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseVectors } from './text.js';
import type { ParsedVector } from './text-reader.js';

/** @throws VectorSyntaxError with the line of the file; errors of the file system */
export async function* readVectorFile(path: string): AsyncIterable<ParsedVector> {
  const lines = createInterface({ input: createReadStream(path, 'utf8'), crlfDelay: Number.POSITIVE_INFINITY });
  let block: string[] = [];
  let first = 1;
  let started = false;
  for await (const line of lines) {
    if (/^\s*ovec\b/.test(line)) {
      if (started) {
        yield* parseVectors(block.join('\n'), first);
        first += block.length;
        block = [];
      }
      started = true;
    }
    block.push(line);
  }
  yield* parseVectors(block.join('\n'), first);
}

/** Builds a DART from its parts. */
import type { IommuSpec } from '../../spec.js';
import type { Surroundings } from '../../surroundings.js';
import { IommuUnit } from '../../unit.js';
import { Dart } from './dart.js';
import { Directory } from './directory.js';
import { layoutOf } from './format.js';
import { Streams } from './streams.js';

export function buildDart(
  name: string,
  index: number,
  spec: IommuSpec,
  s: Surroundings,
): { unit: IommuUnit; hardware: Dart } {
  const streams = new Streams(layoutOf(spec.levels, spec.hostAddressWidth));
  const directory = new Directory(spec, s.seed, name, streams);
  const unit = new IommuUnit(index, name, spec, s, directory);
  const hardware = new Dart(s.kernel, unit, spec.invalidation, streams, directory, (event) => s.recycle(event));
  return { unit, hardware };
}

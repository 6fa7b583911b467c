/** Builds a PHB4 from its parts. */
import type { IommuSpec } from '../../spec.js';
import type { Surroundings } from '../../surroundings.js';
import { Directory } from './directory.js';
import { Kills } from './kills.js';
import { Phb } from './phb.js';
import { IodaTables } from './tables.js';
import { PhbUnit } from './unit.js';

export function buildTce(
  name: string,
  index: number,
  spec: IommuSpec,
  s: Surroundings,
): { unit: PhbUnit; hardware: Phb } {
  const directory = new Directory(spec, s.seed, name, new IodaTables(), s.physical, s.memory);
  const unit = new PhbUnit(index, name, spec, s, directory);
  const kills = new Kills(s.kernel, unit, spec.invalidation);
  return { unit, hardware: new Phb(unit, directory, kills, (event) => s.recycle(event)) };
}

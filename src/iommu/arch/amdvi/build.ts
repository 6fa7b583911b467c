/** Builds an AMD-Vi unit from its parts. */
import type { Event } from '../../../kernel/event.js';
import { CommandCounters } from '../../command-counters.js';
import { CommandQueue } from '../../command-queue.js';
import type { IommuSpec } from '../../spec.js';
import type { Surroundings } from '../../surroundings.js';
import { IommuUnit } from '../../unit.js';
import { Amdvi } from './amdvi.js';
import { Commands } from './commands.js';
import { Directory } from './directory.js';
import { EventLog } from './event-log.js';
import { PageRequests } from './page-requests.js';
import { PageRequestQueue } from '../../page-request-queue.js';
import { Registers } from './registers.js';
import { formatsOf } from './tables.js';

export function buildAmdvi(
  name: string,
  index: number,
  spec: IommuSpec,
  s: Surroundings,
): { unit: IommuUnit; hardware: Amdvi } {
  const { kernel, memory, physical } = s;
  const socket = memory.indexOf(spec.socket);
  const registers = new Registers();
  const log = new EventLog(memory, physical, socket);
  const directory = new Directory(spec, s.seed, name, physical, registers, log, formatsOf(spec));
  const unit = new IommuUnit(index, name, spec, s, directory);
  const counters = new CommandCounters(unit.translations);
  const pages = new PageRequestQueue(unit, memory, physical, socket);
  const pageRequests = new PageRequests(index, pages, directory, registers, log, memory, physical, socket);
  const commands = new Commands(unit, spec.invalidation, directory.contexts, physical, counters, log, pages);
  const { start } = spec.invalidation;
  const queue = new CommandQueue(kernel, unit, start, memory, physical, socket, commands, counters);
  commands.connect(queue.ring);
  unit.onDeviceTimeout = (device) => commands.deviceTimedOut(device);
  const recycle = (event: Event): void => s.recycle(event);
  return { unit, hardware: new Amdvi(registers, directory, queue, counters, log, pageRequests, recycle) };
}

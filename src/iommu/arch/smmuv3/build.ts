/** Builds an SMMUv3 unit from its parts. */
import type { Event } from '../../../kernel/event.js';
import { CommandCounters } from '../../command-counters.js';
import { CommandQueue } from '../../command-queue.js';
import { PageRequestQueue } from '../../page-request-queue.js';
import type { IommuSpec } from '../../spec.js';
import type { Surroundings } from '../../surroundings.js';
import { IommuUnit } from '../../unit.js';
import { Commands } from './commands.js';
import { Directory } from './directory.js';
import { EventQueue } from './event-queue.js';
import { featuresOf } from './features.js';
import { PageRequests } from './page-requests.js';
import { Registers } from './registers.js';
import { Smmuv3 } from './smmuv3.js';
import { Stalls } from './stalls.js';

export function buildSmmuv3(
  name: string,
  index: number,
  spec: IommuSpec,
  s: Surroundings,
): { unit: IommuUnit; hardware: Smmuv3 } {
  const { kernel, memory, physical } = s;
  const socket = memory.indexOf(spec.socket);
  const registers = new Registers();
  const events = new EventQueue(index, kernel, memory, physical, socket);
  const stalls = new Stalls(spec.faults.stalls, events);
  const directory = new Directory(spec, s.seed, name, physical, registers, events, stalls, featuresOf(spec));
  const unit = new IommuUnit(index, name, spec, s, directory);
  stalls.connect(unit);
  const counters = new CommandCounters(unit.translations);
  const pages = new PageRequestQueue(unit, memory, physical, socket);
  const commands = new Commands(unit, spec.invalidation, registers, directory, physical, counters, pages);
  const { start } = spec.invalidation;
  const queue = new CommandQueue(kernel, unit, start, memory, physical, socket, commands, counters);
  unit.onDeviceTimeout = () => commands.deviceTimedOut();
  const recycle = (event: Event): void => s.recycle(event);
  return {
    unit,
    hardware: new Smmuv3(
      registers,
      directory,
      queue,
      counters,
      commands,
      new PageRequests(index, pages),
      recycle,
      spec.invalidation.queues,
    ),
  };
}

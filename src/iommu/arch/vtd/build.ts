/** Builds a VT-d unit from its parts. */
import type { Event } from '../../../kernel/event.js';
import { CommandCounters } from '../../command-counters.js';
import { CommandQueue } from '../../command-queue.js';
import type { IommuSpec } from '../../spec.js';
import type { Surroundings } from '../../surroundings.js';
import { IommuUnit } from '../../unit.js';
import { Commands } from './commands.js';
import { Directory } from './directory.js';
import { FaultLog } from './fault-log.js';
import { PageRequests } from './page-requests.js';
import { PageRequestQueue } from '../../page-request-queue.js';
import { Registers } from './registers.js';
import { Tables } from './tables.js';
import { Vtd } from './vtd.js';

export function buildVtd(
  name: string,
  index: number,
  spec: IommuSpec,
  s: Surroundings,
): { unit: IommuUnit; hardware: Vtd } {
  const { kernel, memory, physical } = s;
  const socket = memory.indexOf(spec.socket);
  const registers = new Registers();
  const log = new FaultLog(spec.faults.records);
  const directory = new Directory(spec, s.seed, name, physical, registers, log, new Tables(spec));
  const unit = new IommuUnit(index, name, spec, s, directory);
  const counters = new CommandCounters(unit.translations);
  const pages = new PageRequestQueue(unit, memory, physical, socket);
  const pageRequests = new PageRequests(index, pages, directory, registers, log, memory, physical, socket);
  const commands = new Commands(unit, spec.invalidation, registers, directory, physical, counters, pages);
  const { start } = spec.invalidation;
  const queue = new CommandQueue(kernel, unit, start, memory, physical, socket, commands, counters);
  const recycle = (event: Event): void => s.recycle(event);
  const hardware = new Vtd(registers, directory, queue, counters, log, pageRequests, recycle);
  unit.onDeviceTimeout = () => hardware.deviceTimedOut(index, commands.waiting);
  return { unit, hardware };
}

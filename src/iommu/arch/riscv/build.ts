/** Builds a RISC-V unit from its parts. */
import type { Event } from '../../../kernel/event.js';
import { CommandCounters } from '../../command-counters.js';
import { CommandQueue } from '../../command-queue.js';
import type { IommuSpec } from '../../spec.js';
import type { Surroundings } from '../../surroundings.js';
import { IommuUnit } from '../../unit.js';
import { Commands } from './commands.js';
import { Directory } from './directory.js';
import { FaultQueue } from './fault-queue.js';
import { PageRequests } from './page-requests.js';
import { PageRequestQueue } from '../../page-request-queue.js';
import { Registers } from './registers.js';
import { Riscv } from './riscv.js';

export function buildRiscv(
  name: string,
  index: number,
  spec: IommuSpec,
  s: Surroundings,
): { unit: IommuUnit; hardware: Riscv } {
  const { kernel, memory, physical } = s;
  const socket = memory.indexOf(spec.socket);
  const registers = Registers.of(spec);
  const faults = new FaultQueue(memory, physical, socket);
  const directory = new Directory(spec, s.seed, name, physical, registers, faults);
  const unit = new IommuUnit(index, name, spec, s, directory);
  const counters = new CommandCounters(unit.translations);
  const pages = new PageRequestQueue(unit, memory, physical, socket);
  const pageRequests = new PageRequests(index, pages, directory, registers, memory, socket);
  const commands = new Commands(unit, spec.invalidation, registers, directory, physical, counters, pages);
  const { start } = spec.invalidation;
  const queue = new CommandQueue(kernel, unit, start, memory, physical, socket, commands, counters);
  unit.onDeviceTimeout = () => commands.deviceTimedOut();
  const recycle = (event: Event): void => s.recycle(event);
  return { unit, hardware: new Riscv(registers, directory, queue, commands, counters, faults, pageRequests, recycle) };
}

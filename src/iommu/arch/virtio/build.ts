/** Builds a virtio-iommu device, the host behind it and the unit that translates for it. */
import type { IommuSpec } from '../../spec.js';
import type { HostSurroundings } from '../../surroundings.js';
import { IommuUnit } from '../../unit.js';
import { VirtioIommu } from './device.js';
import { Endpoints, largestOf } from './endpoints.js';
import { Host } from './host.js';
import { UnitCaches } from './invalidation.js';
import { Requests } from './requests.js';
import { Virtqueue } from './virtqueue.js';

export function buildVirtio(
  name: string,
  index: number,
  spec: IommuSpec,
  s: HostSurroundings,
): { unit: IommuUnit; hardware: VirtioIommu } {
  const { kernel, memory, physical } = s;
  const socket = memory.indexOf(spec.socket);
  const endpoints = new Endpoints(spec, s.seed, name);
  const unit = new IommuUnit(index, name, spec, s, endpoints);
  const { invalidation } = spec;
  const caches = new UnitCaches(unit, invalidation);
  const largestLg2 = largestOf(spec.largestPage);
  const host = new Host(endpoints.formats[0]!, spec.levels, largestLg2, physical, s.frames[socket]!, caches);
  const requests = new Requests(new Virtqueue(physical), kernel, unit, invalidation, host, memory, physical, socket);
  const recycle = (event: Parameters<typeof s.recycle>[0]): void => s.recycle(event);
  const buffers = spec.faults.records;
  const hardware = new VirtioIommu(endpoints, host, requests, physical, memory, socket, buffers, recycle);
  endpoints.host = host;
  endpoints.report = (...fault) => hardware.report(...fault);
  return { unit, hardware };
}

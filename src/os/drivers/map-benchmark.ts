/**
 * The kernel's DMA mapping benchmark (kernel/dma/map_benchmark.c, tools/testing/selftests/dma/dma_map_benchmark.c): every thread
 * writes its buffer unless the device only writes, maps it, pauses, unmaps it: as one piece, or as a scatter list with a segment for each
 * page. No device is involved. The report repeats the tool's
 * integer arithmetic in units of 100 ns.
 */
import { Access } from '../../protocol/access.js';
import type { DmaStatus } from '../../protocol/queue.js';
import { Turn } from '../step.js';
import type { Cpu, Thread } from '../thread.js';
import { DEFAULT_LIMITS } from '../dma/limits.js';
import { ScatterList } from '../dma/scatter-list.js';
import { Driver, type DriverEnvironment } from './driver.js';
import { MapLoop } from './map-loop.js';
import { type Placement, placeSegments } from './segments.js';

const PAGE = 4096;
const LINE = 64;
const PS_PER_100NS = 100_000;
const PS_PER_SECOND = 1e12;

export const MAP_MODES = ['single', 'sg'] as const;

/** Shape of a map-benchmark job of a workload; times in ps. */
export interface MapBenchmarkSpec {
  readonly threads: number;
  /** map_mode: dma_map_single, or dma_map_sg. */
  readonly mode: (typeof MAP_MODES)[number];
  /** Pages per mapping; segments in mode sg. */
  readonly granule: number;
  /** Of the segments of a list; the tool's lie in one block. */
  readonly placement: Placement;
  readonly direction: 'bidirectional' | 'to-device' | 'from-device';
  /** Pause between map and unmap. */
  readonly transfer: number;
  /** Bytes that the thread copies after each unmap. */
  readonly copy: number;
}

const DIRECTIONS: Readonly<Record<MapBenchmarkSpec['direction'], string>> = {
  bidirectional: 'BIDIRECTIONAL',
  'to-device': 'TO_DEVICE',
  'from-device': 'FROM_DEVICE',
};

/** dma_info_to_prot: what the device may do. */
export function accessOf(direction: MapBenchmarkSpec['direction']): Access {
  if (direction === 'to-device') return Access.Read;
  if (direction === 'from-device') return Access.Write;
  return Access.Read | Access.Write;
}

const enum Sum {
  Map,
  Unmap,
  MapSquares,
  UnmapSquares,
  Count,
}

export class MapBenchmark extends Driver {
  readonly tags = 0;
  /** Bytes of a mapping, and what the device may do with them. */
  readonly bytes: number;
  readonly access: Access;
  /** Threads that ended because no address space was left. */
  failed = 0;
  /** In 100 ns, and their squares, as the kernel sums them. */
  private readonly sums = new Float64Array(Sum.Count);
  private loops = 0;

  constructor(
    name: string,
    readonly spec: MapBenchmarkSpec,
    cpus: readonly Cpu[],
    environment: DriverEnvironment,
  ) {
    super(name, environment);
    this.bytes = spec.granule * PAGE;
    this.access = accessOf(spec.direction);
    for (const [i, cpu] of cpus.entries()) {
      const list = spec.mode === 'sg';
      const [count, bytes] = list ? [spec.granule, PAGE] : [1, spec.granule * PAGE];
      const segments = placeSegments(count, bytes, spec.placement, (size) => environment.buffer(size));
      const buffer = list ? new ScatterList(segments, DEFAULT_LIMITS) : segments[0]![0];
      const thread = environment.scheduler.spawn(`${name}/${i}`, cpu, (self) => new MapLoop(this, self, buffer));
      this.threads.push(thread);
    }
  }

  completed(tag: number, _status: DmaStatus): void {
    throw new Error(`${this.name}: completion of tag ${tag}, but the benchmark posts nothing`);
  }

  override resetStatistics(): void {
    super.resetStatistics();
    this.sums.fill(0);
    this.loops = 0;
  }

  /** The CPU writes the buffer. */
  dirty(thread: Thread, buffer: number | ScatterList): void {
    const { bytes } = this;
    const { costs, memory } = this.environment;
    thread.charge(Turn.Dirty, (bytes / LINE) * costs.dirtyLine);
    if (memory === null) return;
    if (typeof buffer === 'number') memory.warmFromHost(buffer, bytes);
    else for (const page of buffer.physical) memory.warmFromHost(page, PAGE);
  }

  /** A map and an unmap have taken so long, ps. */
  count(mapPs: number, unmapPs: number): void {
    const sums = this.sums;
    const map = Math.floor(mapPs / PS_PER_100NS);
    const unmap = Math.floor(unmapPs / PS_PER_100NS);
    sums[Sum.Map] = sums[Sum.Map]! + map;
    sums[Sum.Unmap] = sums[Sum.Unmap]! + unmap;
    sums[Sum.MapSquares] = sums[Sum.MapSquares]! + map * map;
    sums[Sum.UnmapSquares] = sums[Sum.UnmapSquares]! + unmap * unmap;
    this.loops++;
  }

  /** The lines that the tool prints for a window of `windowPs`; `node` is the socket's number. Seconds below 1 keep their decimals. */
  report(windowPs: number, node: number): string[] {
    const { mode, threads, direction, granule } = this.spec;
    const seconds = windowPs / PS_PER_SECOND;
    const map = this.average(Sum.Map, Sum.MapSquares);
    const unmap = this.average(Sum.Unmap, Sum.UnmapSquares);
    return [
      `dma mapping benchmark(${mode.toUpperCase()}_MODE): threads:${threads} seconds:${seconds} node:${node} dir:${DIRECTIONS[direction]} granule:${granule}`,
      `average map latency(us):${tenths(map.mean)} standard deviation:${tenths(map.deviation)}`,
      `average unmap latency(us):${tenths(unmap.mean)} standard deviation:${tenths(unmap.deviation)}`,
    ];
  }

  /** Mean and standard deviation in 100 ns, by integer divisions and int_sqrt64 as in do_map_benchmark. */
  private average(sum: Sum, squares: Sum): { mean: number; deviation: number } {
    if (this.loops === 0) return { mean: 0, deviation: 0 };
    const mean = Math.floor(this.sums[sum]! / this.loops);
    const variance = Math.floor(this.sums[squares]! / this.loops) - mean * mean;
    return { mean, deviation: Math.floor(Math.sqrt(variance)) };
  }
}

/** A count of 100 ns as microseconds, printf's %.1f. */
function tenths(hundredNs: number): string {
  return `${Math.floor(hundredNs / 10)}.${hundredNs % 10}`;
}

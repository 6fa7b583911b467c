/** A virtio-iommu device as its driver sees it: virtio registers and two queues. Writes take effect when they arrive. */
import type { Event } from '../../../kernel/event.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { MemorySystem } from '../../../memory/system.js';
import { writeDwords } from '../../../memory/words.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { Hardware } from '../../architecture.js';
import type { CommandCounters } from '../../command-counters.js';
import type { FaultCounters } from '../../fault-counters.js';
import type { Endpoints } from './endpoints.js';
import { encodeFault, FAULT_BYTES, type FaultReason, Queue, Register } from './format.js';
import type { Host } from './host.js';
import type { Requests } from './requests.js';
import { Virtqueue } from './virtqueue.js';

export class VirtioIommu implements Hardware {
  readonly commands: CommandCounters;
  readonly faults: FaultCounters;
  private readonly events: Virtqueue;
  private selected: Virtqueue;
  private reported = 0;
  private readonly fault = new Int32Array(FAULT_BYTES / 4);

  /** `eventBuffers`: events that the device sends before the driver must have taken some. */
  constructor(
    readonly endpoints: Endpoints,
    readonly host: Host,
    readonly requests: Requests,
    private readonly physical: PhysicalMemory,
    private readonly memory: MemorySystem,
    private readonly socket: number,
    private readonly eventBuffers: number,
    private readonly recycle: (event: Event) => void,
  ) {
    this.commands = requests.counters;
    this.faults = endpoints.faults;
    this.events = new Virtqueue(physical);
    this.selected = requests.queue;
  }

  connect(watch: StoreWatch): void {
    this.requests.connect(watch);
  }

  step(): void {
    this.requests.step();
  }

  registerWrite(event: Event): void {
    this.write(event.addressLo, event.outHi, event.outLo);
    this.recycle(event);
  }

  /** A write of `hi:lo` to the register at `offset`; registers that are not modelled ignore it. */
  write(offset: number, hi: number, lo: number): void {
    const address = (hi >>> 0) * 2 ** 32 + (lo >>> 0);
    const { selected } = this;
    switch (offset as Register) {
      case Register.QueueSelect:
        this.selected = (lo as Queue) === Queue.Event ? this.events : this.requests.queue;
        break;
      case Register.QueueSize:
        selected.size = lo;
        break;
      case Register.QueueDescriptors:
        selected.descriptors = address;
        break;
      case Register.QueueDriver:
        selected.available = address;
        break;
      case Register.QueueDevice:
        selected.used = address;
        break;
      case Register.QueueEnable:
        selected.enabled = lo !== 0;
        break;
      case Register.Bypass:
        this.host.bypass = (lo & 1) !== 0;
        this.endpoints.contexts.dropDevices();
        break;
      case Register.Notify:
        if ((lo as Queue) === Queue.Request) this.requests.notify();
        break;
      case Register.Boot:
        this.requests.executeNow(address);
        break;
      default:
        break;
    }
  }

  /** Puts a fault into the next buffer of the event queue; false if there is none. */
  report(reason: FaultReason, write: boolean, endpoint: number, hi: number, lo: number): boolean {
    const { events, physical } = this;
    if (events.empty || this.reported >= this.eventBuffers) return false;
    events.take();
    if (events.writeBytes < FAULT_BYTES) return false;
    encodeFault(this.fault, reason, write, endpoint, hi, lo);
    writeDwords(physical, events.writeAddress, this.fault, FAULT_BYTES / 4);
    const { writeAddress } = events;
    this.memory.hardwareWrite(this.socket, Math.floor(writeAddress / 2 ** 32), writeAddress | 0, FAULT_BYTES);
    events.give(FAULT_BYTES);
    this.reported++;
    return true;
  }
}

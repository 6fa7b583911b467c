/**
 * A command queue of a guest that hardware executes (NVIDIA CMDQV, drivers/iommu/arm/arm-smmu-v3/tegra241-cmdqv.c): its doorbell is a page of
 * the guest, and CMD_SYNC completes by CMDQ_CONS only (CS_NONE). Hardware puts the machine's VMID into each command; here they
 * carry it from the start. Its memory is contiguous host memory: the fetch is not translated. One ring a unit: the host's own
 * commands use it too.
 */
import { Register } from '../../iommu/arch/smmuv3/format.js';
import { Step } from '../step.js';
import { type Call, type Thread, Wait } from '../thread.js';
import type { UnitDriverEnvironment } from '../unit-environment.js';
import type { QueuePort } from './port.js';
import { pollEnd } from './register-poll.js';

interface Poller {
  readonly thread: Thread;
  readonly position: number;
}

export class HardwareQueue implements QueuePort {
  /** Position that CMDQ_CONS stands for. */
  private consumer = 0;
  private pollers: Poller[] = [];

  constructor(
    private readonly unit: number,
    private readonly slots: number,
    private readonly environment: UnitDriverEnvironment,
  ) {}

  *publish(thread: Thread, until: number): Call<void> {
    const { costs, distance, registers } = this.environment;
    thread.charge(Step.Doorbell, costs.mmioWrite);
    yield Wait.Run;
    const flight = distance.flight(thread, this.unit);
    registers.write(this.unit, Register.CommandQueueProducer, 0, until % (2 * this.slots), flight);
  }

  *consumed(thread: Thread, position: number): Call<void> {
    this.pollers.push({ thread, position });
    this.environment.scheduler.block(thread, Step.Completion);
    yield Wait.Block;
  }

  /** CMDQ_CONS reads `value` from now on: pollers see it at their next look. */
  moved(value: number): void {
    const wrap = 2 * this.slots;
    this.consumer += (value - (this.consumer % wrap) + wrap) % wrap;
    const { scheduler, costs, distance } = this.environment;
    const done = this.pollers.filter(({ position }) => position < this.consumer);
    if (done.length === 0) return;
    this.pollers = this.pollers.filter(({ position }) => position >= this.consumer);
    for (const { thread } of done) {
      const waited = scheduler.blockedFor(thread);
      scheduler.wake(thread, pollEnd(waited, costs.mmioRead + distance.access(thread, this.unit)) - waited);
    }
  }
}

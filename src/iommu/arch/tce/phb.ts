/** A PHB4 as firmware sees it: registers, and the parts behind them. Writes take effect when they arrive. */
import type { Event } from '../../../kernel/event.js';
import type { StoreWatch } from '../../../protocol/watch.js';
import type { Hardware } from '../../architecture.js';
import type { CommandCounters } from '../../command-counters.js';
import type { FaultCounters } from '../../fault-counters.js';
import type { IommuUnit } from '../../unit.js';
import type { Directory } from './directory.js';
import { Register, TOP } from './format.js';
import type { Kills } from './kills.js';

export class Phb implements Hardware {
  readonly commands: CommandCounters;
  readonly faults: FaultCounters;

  constructor(
    private readonly unit: IommuUnit,
    readonly directory: Directory,
    readonly kills: Kills,
    private readonly recycle: (event: Event) => void,
  ) {
    this.commands = kills.counters;
    this.faults = directory.faults;
  }

  connect(watch: StoreWatch): void {
    this.kills.connect(watch);
  }

  step(): void {
    this.kills.step();
  }

  registerWrite(event: Event): void {
    this.write(event.addressLo, event.outHi, event.outLo);
    this.recycle(event);
  }

  /** A write of `hi:lo` to the register at `offset`; registers that are not modelled ignore it. */
  write(offset: number, hi: number, lo: number): void {
    const { directory, kills } = this;
    switch (offset as Register) {
      case Register.RttBar:
        directory.rttEnabled = (hi & TOP) !== 0;
        directory.rttHi = hi & 0x00ff_ffff;
        directory.rttLo = lo & ~0x1_ffff;
        break;
      case Register.PestBar:
        directory.pestEnabled = (hi & TOP) !== 0;
        directory.pestHi = hi & 0x00ff_ffff;
        directory.pestLo = lo & ~0xfff;
        break;
      case Register.RtcInvalidate:
        this.invalidateRequesters(hi);
        break;
      case Register.IodaAddress:
        directory.tables.select(hi, lo);
        break;
      case Register.IodaData0:
        directory.tables.write(hi, lo);
        break;
      case Register.TceKill:
        kills.kill(hi, lo);
        break;
      case Register.DmaReadSync:
        if ((hi & TOP) !== 0) kills.sync();
        break;
      default:
        break;
    }
  }

  /** RTC_INVALIDATE: cached RTT entries of one requester, or all; at once. */
  private invalidateRequesters(hi: number): void {
    const { contexts } = this.directory;
    const all = (hi & TOP) !== 0;
    this.commands.context++;
    if (all) contexts.dropDevices();
    else contexts.dropDevice(hi & 0xffff);
    this.unit.walkers.overtake(-1, null);
  }
}

/**
 * From requester id to endpoint (PE) and window of a PHB4: the RTT entry, two bytes in memory, is read once and cached; the window follows
 * from address bit 59 and is on the chip (QEMU hw/pci-host/pnv_phb4.c, pnv_phb4_translate_iommu). TCEs are tagged as a first stage, whose
 * tags tell the two windows apart. A fault freezes the endpoint (EEH):
 * DMA is refused until software resets it. Not modelled: the firmware and driver that do so, interrupts, MSI windows.
 */
import type { Event } from '../../../kernel/event.js';
import type { PhysicalMemory } from '../../../memory/physical.js';
import type { MemorySystem } from '../../../memory/system.js';
import { compileFormat, type Format, Permission } from '../../../pagetable/format.js';
import { tce } from '../../../pagetable/formats/tce.js';
import { Fault, resumeWalk, Step, stepWalk } from '../../../pagetable/walk.js';
import { Access } from '../../../protocol/access.js';
import { TlpFlag } from '../../../protocol/tlp.js';
import { Stage } from '../../address-space.js';
import { type Architecture, Found } from '../../architecture.js';
import { ContextCaches, OwnProcess } from '../../contexts.js';
import { FaultCounters } from '../../fault-counters.js';
import { Miss } from '../../miss.js';
import type { IommuSpec } from '../../spec.js';
import type { Translations } from '../../translations.js';
import {
  BYPASS_MASK,
  bypasses,
  encodePest,
  FaultCode,
  PES,
  PEST_ENTRY,
  rteOf,
  rteWord,
  type Tve,
  WINDOW_MASK,
  windowOf,
} from './format.js';
import type { IodaTables } from './tables.js';

/** TCEs of one 128-byte line: what a read of the PHB brings. */
const LINE_TCES = 16;
const LINE_BYTES = 8 * LINE_TCES;

export class Directory implements Architecture {
  readonly contexts: ContextCaches;
  /** Grows with each page and table size that a TVE names. */
  readonly formats: Format[] = [];
  readonly pageSizes: readonly number[] = [12, 16, 21, 30];
  readonly faults = new FaultCounters();
  rttEnabled = false;
  rttHi = 0;
  rttLo = 0;
  pestEnabled = false;
  pestHi = 0;
  pestLo = 0;
  private readonly neighbour = new Miss(0);
  private readonly record = new Int32Array(4);
  private readonly socket: number;
  private readonly hostAddressWidth: number;

  constructor(
    spec: IommuSpec,
    seed: number,
    name: string,
    readonly tables: IodaTables,
    private readonly physical: PhysicalMemory,
    private readonly memory: MemorySystem,
  ) {
    this.contexts = new ContextCaches(spec, seed, name, 0);
    this.contexts.bypass = false;
    this.socket = memory.indexOf(spec.socket);
    this.hostAddressWidth = spec.hostAddressWidth;
  }

  start(m: Miss): Found {
    m.space.did = PES;
    if (m.pasid >= 0 || !this.rttEnabled) return refuse(m);
    m.readHi = this.rttHi;
    m.readLo = this.rttLo | rteWord(m.requester);
    return Found.Read;
  }

  step(m: Miss): Found {
    const { physical, contexts } = this;
    physical.read(m.readHi, m.readLo);
    const pe = rteOf(m.requester, physical.wordHi, physical.wordLo);
    if (pe >= PES) return refuse(m);
    m.space.did = pe;
    m.space.pasid = 0;
    m.space.stage = Stage.First;
    if (!m.stale) contexts.fillDevice(m.requester, m.space, OwnProcess.None, false);
    return Found.Located;
  }

  /** Chooses the window. The walk sees the address within it; caches are tagged with the whole address. */
  admit(m: Miss): FaultCode | 0 {
    const { space, walk } = m;
    if (this.tables.frozen(space.did)) return FaultCode.Frozen;
    if (m.inputHi >>> 28 !== 0) return FaultCode.Ioda;
    const tve = this.tables.window(space.did, m.inputHi);
    walk.inputHi = m.inputHi & WINDOW_MASK;
    space.tableNumber = windowOf(m.inputHi);
    if (tve.kind === 'invalid') return FaultCode.Ioda;
    if (tve.kind === 'bypass') {
      if (!bypasses(tve, walk.inputHi, walk.inputLo)) return FaultCode.Ioda;
      walk.inputHi &= BYPASS_MASK;
      space.stage = Stage.PassThrough;
      return 0;
    }
    space.stage = Stage.First;
    space.format = this.formatOf(tve);
    space.levels = tve.levels;
    space.inputLg2 = Math.min(tve.pageLg2 + tve.levels * tve.indexBits, 59);
    space.rootHi = tve.rootHi;
    space.rootLo = tve.rootLo;
    return 0;
  }

  required(flags: number): number {
    const access = (flags & TlpFlag.Write) !== 0 ? Access.Write : Access.Read;
    return access | ((flags & TlpFlag.Atomic) !== 0 ? Access.Read : 0);
  }

  translationFault({ walk }: Miss): FaultCode {
    if (walk.fault === Fault.ReadDenied || walk.fault === Fault.WriteDenied) return FaultCode.TceAccess;
    return walk.fault === Fault.AddressWidth ? FaultCode.Ioda : FaultCode.TcePage;
  }

  accessFault(): FaultCode {
    return FaultCode.Ioda;
  }

  /** The read of one TCE brings its line: the valid ones of it are cached as well. */
  alsoCached(m: Miss, translations: Translations): void {
    const format = this.formats[m.space.format]!;
    const { entryHi, entryLo } = m.walk;
    const first = entryLo & -LINE_BYTES;
    const { neighbour, physical } = this;
    neighbour.space.copy(m.space);
    const own = (entryLo - first) >> 3;
    const page = 2 ** format.granuleLg2;
    for (let i = 0; i < LINE_TCES; i++) {
      if (i === own) continue;
      const input = m.inputHi * 4294967296 + (m.inputLo >>> 0) + (i - own) * page;
      const { walk } = neighbour;
      neighbour.inputHi = Math.floor(input / 4294967296) | 0;
      neighbour.inputLo = input | 0;
      walk.inputHi = neighbour.inputHi & WINDOW_MASK;
      walk.inputLo = neighbour.inputLo;
      walk.access = 0;
      resumeWalk(format, walk, m.walk.tableHi, m.walk.tableLo, 1, Permission.All);
      physical.read(entryHi, first + 8 * i);
      if (stepWalk(format, walk, physical.wordHi, physical.wordLo) === Step.Done) translations.fill(neighbour);
    }
  }

  /** Freezes the endpoint and writes its PEST entry; requests of an endpoint that is frozen already leave no trace. */
  refused(tlp: Event, requester: number, m: Miss): void {
    if (m.fault === FaultCode.Frozen) return;
    this.faults.count(m.fault);
    const pe = m.space.did;
    if (pe >= PES) {
      this.faults.lost++;
      return;
    }
    this.tables.freeze(pe);
    if (!this.pestEnabled) {
      this.faults.lost++;
      return;
    }
    const write = (tlp.flags & TlpFlag.Write) !== 0;
    encodePest(this.record, m.fault, write, requester, tlp.addressHi, tlp.addressLo);
    const lo = this.pestLo + PEST_ENTRY * pe;
    this.physical.write(this.pestHi, lo, this.record[0]!, this.record[1]!);
    this.physical.write(this.pestHi, lo + 8, this.record[2]!, this.record[3]!);
    this.memory.hardwareWrite(this.socket, this.pestHi, lo, PEST_ENTRY);
  }

  private formatOf({ pageLg2, indexBits }: Tve): number {
    const { formats, hostAddressWidth } = this;
    const known = formats.findIndex((f) => f.granuleLg2 === pageLg2 && f.tableBytes === 8 << indexBits);
    if (known >= 0) return known;
    return formats.push(compileFormat(tce({ hostAddressWidth, pageLg2, indexBits }))) - 1;
  }
}

function refuse(m: Miss): Found {
  m.fault = FaultCode.Ioda;
  return Found.Refused;
}

/**
 * A plain VT-d walker written from the Intel VT-d specification rev. 5.10 (3.4, 7.1.3, chapter 9): root table, context table, PASID
 * directory, PASID table, then the stages of `vtd-paging.ts`. Untimed and uncached; shares no code with the simulated unit, which is
 * compared against it. `vtd-unit.ts` says which unit a vector speaks about.
 *
 * Without `cfg rules specification` the fault reasons are those of QEMU 10's intel-iommu, which keeps the legacy reasons for root
 * entry, context entry and second stage in scalable mode (1, 2, 4, 5, 6, 0xA, 0xB, 0xC for 39h, 41h, 84h, 79h/85h/86h, 3Ah, 42h, 7Ah).
 * Translation requests (4.2) are told what the tables permit, and set the dirty flag of what may be written if the device means to. Translated requests pass the
 * context entry and, in scalable mode, the PASID entry. How a request ends that a structure is wrong for is taken to be decided by the structure: see `Blocked`.
 * Not modelled: page requests, interrupt requests.
 */
import type { Answer, Responder, Vector, VectorAccess } from '../vectors/vector.js';
import { Blocked, LEGACY_CONDITIONS, SCALABLE_CONDITIONS, type StageConditions } from './vtd-faults.js';
import {
  pointer,
  type Rights,
  type SecondStage,
  type Translation,
  type Wanted,
  translateFirstStage,
  translateSecondStage,
} from './vtd-paging.js';
import { field, Unit } from './vtd-unit.js';

/** The outcome of a granted request; no size when nothing was translated. */
interface Granted {
  readonly address: bigint;
  readonly sizeLg2: number | null;
  readonly rights: Rights;
}

const ALL: Rights = { read: true, write: true };

/** One request on its way. `faultsOff`: an FPD bit was set in a structure it went through. */
class Request {
  faultsOff = false;
  readonly rights: Wanted;

  constructor(
    readonly unit: Unit,
    readonly access: VectorAccess,
    readonly conditions: StageConditions,
  ) {
    const { kind, at } = access;
    if (at === 'ats') this.rights = { read: false, write: false, asks: { toWrite: kind === 'w' } };
    else this.rights = { read: kind !== 'w', write: kind === 'w' || kind === 'rw' };
  }

  /** 9.1, 9.2: table pointer for the requester. */
  contextTable(scalable: boolean): bigint {
    const { unit, access, conditions } = this;
    const root = pointer(unit.rootTable) + 16n * BigInt(access.rid >> 8);
    const [lower, upper] = unit.memory.read(root, 2) as [bigint, bigint];
    const used = scalable && (access.rid & 0x80) !== 0 ? upper : lower;
    if ((used & 1n) === 0n) throw new Blocked(conditions.rootAbsent);
    const reserved = unit.aboveHost(63) | 0xffen;
    const halves = scalable ? [lower, upper].filter((half) => (half & 1n) !== 0n) : [lower];
    if (halves.some((half) => (half & reserved) !== 0n) || (!scalable && upper !== 0n)) {
      throw new Blocked(conditions.rootReserved);
    }
    return pointer(used);
  }

  /** Requests without PASID, 9.3. */
  legacy(): Granted {
    const { unit, access, conditions } = this;
    const [lo, hi] = unit.memory.read(this.contextTable(false) + 16n * BigInt(access.rid & 0xff), 2) as [
      bigint,
      bigint,
    ];
    if ((lo & 2n) !== 0n) this.faultsOff = true;
    if ((lo & 1n) === 0n) throw new Blocked('LCT.2');
    if ((lo & (unit.aboveHost(63) | 0xff0n)) !== 0n || field(hi, 7, 7) !== 0n || hi >> 24n !== 0n) {
      throw new Blocked('LCT.3');
    }
    const width = unit.adjustedWidth(field(hi, 2, 0));
    const type = field(lo, 3, 2);
    // Type 1 needs device TLBs (ECAP.DT), which the emulated unit has only on request.
    if (width === null || type === 3n || (type === 1n && !unit.strict)) throw new Blocked('LCT.4');
    if (access.at !== undefined && type !== 1n) throw new Blocked('LCT.5');
    if (access.at === 'translated') return { address: access.iova, sizeLg2: null, rights: ALL };
    if (type === 2n) return this.passThrough('LGN.1');
    const stage: SecondStage = {
      root: pointer(lo),
      levels: (width - 12) / 9,
      flags: false,
      coherent: true,
      snoopBit: unit.strict || unit.scalableModeSupport,
    };
    return this.outside('LGN.4', translateSecondStage(unit, stage, access.iova, this.rights, conditions));
  }

  /** 9.4 to 9.6. */
  scalable(): Granted {
    const { unit, access, conditions } = this;
    const at = this.contextTable(true) + 32n * BigInt(access.rid & 0x7f);
    const context = unit.memory.read(at, 4) as [bigint, bigint, bigint, bigint];
    if ((context[0] & 2n) !== 0n) this.faultsOff = true;
    if ((context[0] & 1n) === 0n) throw new Blocked(conditions.contextAbsent);
    const reserved = (context[0] & (unit.aboveHost(63) | 0x1e0n)) | (context[1] >> 21n) | context[2] | context[3];
    if (reserved !== 0n) throw new Blocked(conditions.contextReserved);

    const requesterPasid = unit.strict ? field(context[1], 19, 0) : 0n;
    const limit = 1n << (field(context[0], 11, 9) + 13n);
    const pageRequestsOnly = field(context[0], 4, 4) !== 0n && field(context[0], 2, 2) === 0n;
    if (pageRequestsOnly || requesterPasid >= limit) throw new Blocked('SCT.4');
    if (access.at !== undefined && field(context[0], 2, 2) === 0n) throw new Blocked('SCT.5');
    let pasid = requesterPasid;
    let privileged = unit.strict && field(context[1], 20, 20) !== 0n;
    if (access.pasid !== null) {
      pasid = BigInt(access.pasid);
      privileged = access.privileged === true;
      if (field(context[0], 3, 3) === 0n) throw new Blocked('SCT.6');
      if (pasid >= limit) throw new Blocked('SCT.7');
      if (unit.strict && pasid === requesterPasid) throw new Blocked('SCT.9');
    }

    const [directory] = unit.memory.read(pointer(context[0]) + 8n * (pasid >> 6n), 1) as [bigint];
    if ((directory & 2n) !== 0n) this.faultsOff = true;
    if ((directory & 1n) === 0n) throw new Blocked('SPD.2');
    if ((directory & (unit.aboveHost(63) | 0xffcn)) !== 0n) throw new Blocked('SPD.3');
    return this.throughPasidEntry(unit.memory.read(pointer(directory) + 64n * (pasid & 63n), 8), privileged);
  }

  private throughPasidEntry(entry: readonly bigint[], supervisor: boolean): Granted {
    const { unit, access, conditions } = this;
    const [word0, word1, word2] = entry as [bigint, bigint, bigint];
    if ((word0 & 2n) !== 0n) this.faultsOff = true;
    if ((word0 & 1n) === 0n) throw new Blocked('SPT.2');
    const reserved =
      (word0 & (unit.aboveHost(63) | 0xc20n)) |
      field(word1, 22, 16) |
      field(word1, 31, 27) |
      (word2 & (unit.aboveHost(63) | 0xf02n)) |
      entry.slice(3).reduce((all, word) => all | word, 0n);
    if (reserved !== 0n) throw new Blocked('SPT.3');

    const type = field(word0, 8, 6);
    const usesFirst = type === 1n || (type === 3n && unit.strict);
    const usesSecond = type === 2n || (type === 3n && unit.strict);
    if (!usesFirst && !usesSecond && type !== 4n) throw new Blocked('SPT.4');
    const width = unit.adjustedWidth(field(word0, 4, 2));
    if (usesSecond && width === null) throw new Blocked('SPT.4');
    const mode = field(word2, 3, 2);
    if (usesFirst && (unit.guestAddressWidth < 48 || mode > (unit.guestAddressWidth === 57 ? 1n : 0n))) {
      throw new Blocked('SPT.4');
    }
    if (type === 3n && pointer(word2) >> BigInt(width!) !== 0n) throw new Blocked('SPT.4');
    if (access.at === 'translated') return { address: access.iova, sizeLg2: null, rights: ALL };
    // Only a PASID prefix can ask to execute, and this unit does not support it (ERS = 0).
    if (access.kind === 'x' && access.pasid !== null) throw new Blocked('SPT.5');
    if (supervisor && (word2 & 1n) === 0n) throw new Blocked('SPT.6');
    if (type === 4n) return this.passThrough('SGN.4');

    const coherent = !unit.strict || field(word1, 23, 23) !== 0n;
    const second: SecondStage | null = usesSecond
      ? { root: pointer(word0), levels: (width! - 12) / 9, flags: field(word0, 9, 9) !== 0n, coherent, snoopBit: true }
      : null;
    if (!usesFirst) {
      return this.outside('SGN.8', translateSecondStage(unit, second!, access.iova, this.rights, conditions));
    }
    const first = {
      root: pointer(word2),
      levels: 4 + Number(mode),
      supervisor,
      writeProtect: field(word2, 4, 4) !== 0n,
      extendedAccessed: field(word2, 7, 7) !== 0n,
      coherent,
    };
    return this.outside('SGN.8', translateFirstStage(unit, first, second, access.iova, this.rights));
  }

  /** 3.9. */
  private passThrough(beyondHost: 'LGN.1' | 'SGN.4'): Granted {
    const { unit, access } = this;
    if (access.iova >> BigInt(unit.hostAddressWidth) !== 0n) throw new Blocked(beyondHost);
    return this.outside(beyondHost === 'LGN.1' ? 'LGN.4' : 'SGN.8', {
      address: access.iova,
      sizeLg2: null,
      rights: ALL,
    });
  }

  /** Output in the interrupt address range FEEx_xxxxh is blocked (3.15). */
  private outside(condition: 'LGN.4' | 'SGN.8', result: Translation | Granted): Granted {
    if (result.address >> 20n === 0xfeen) throw new Blocked(condition);
    return result;
  }
}

function resolve(request: Request): Granted {
  const { unit, access } = request;
  if (!unit.translationEnabled) {
    if (access.at !== undefined)
      throw new Error('vtd: requests of devices with ATS while translation is off are not modelled');
    return { address: access.iova, sizeLg2: null, rights: ALL };
  }
  const mode = field(unit.rootTable, 11, 10);
  if (mode > 1n || (mode === 1n && !unit.scalableModeSupport)) throw new Blocked('RTA.1');
  if (mode === 1n) return request.scalable();
  if (access.pasid !== null) throw new Blocked('RTA.2');
  return request.legacy();
}

function answer(unit: Unit, access: VectorAccess): Answer {
  const scalable = field(unit.rootTable, 11, 10) === 1n;
  const request = new Request(unit, access, scalable && unit.strict ? SCALABLE_CONDITIONS : LEGACY_CONDITIONS);
  unit.memory.log = [];
  try {
    const { address, sizeLg2, rights } = resolve(request);
    const accesses = unit.memory.log;
    const size = sizeLg2 === null ? {} : { size: 1n << BigInt(sizeLg2) };
    if (access.at !== 'ats') return { ok: true, pa: address, ...size, accesses };
    if (!rights.read && !rights.write) throw new Blocked(request.conditions.notReadable);
    return { ok: true, pa: address, ...size, permissions: rights.read ? (rights.write ? 'rw' : 'r') : 'w', accesses };
  } catch (error) {
    if (!(error instanceof Blocked)) throw error;
    const accesses = unit.memory.log;
    const status = access.at === 'ats' ? { status: error.completion } : {};
    const fault = { ok: false, code: error.reason, accesses, ...status } as const;
    if (fault.status === 'success') return { ...fault, silent: true };
    return error.qualified && request.faultsOff ? { ...fault, silent: true } : fault;
  }
}

/** Throws on configurations and registers that vectors do not have. */
export const VTD_REFERENCE: Responder = {
  answer(vector: Vector): Answer[] {
    const unit = new Unit(vector);
    return vector.accesses.map((access) => answer(unit, access));
  },
};

/** Privilege of requests: SRE, RID_PRIV, WPE and execute requests, cold and when caches hold the page. */
import { describe, expect, it } from 'vitest';
import { TlpFlag } from '../../../protocol/tlp.js';
import { countsOf } from '../../testing/arch-contract.js';
import { REQUESTERS, type Request, Rig } from '../../testing/rig.js';
import { encodePasidCacheInvalidation, FaultReason, PasidCacheGranularity, PasidType } from './format.js';

const IOVA = 0x7_4020_3000;
const RID = REQUESTERS[0]!;
const PASID = 9;
const SRE = 1;
const WPE = 0x10;
const RID_PRIV = 0x100000;

const user: Request = { address: IOVA, pasid: PASID };
const privileged: Request = { ...user, flags: TlpFlag.Privileged };
const execute: Request = { ...user, flags: TlpFlag.Execute };
const plain: Request = { address: IOVA };

/** One page for PASID 9 and for requests without PASID; `leaf` bits of its first-stage entry are cleared, the others say how. */
function machine({ entry = 0, context = 0, clear = 0, type = PasidType.FirstStage } = {}): Rig {
  const rig = new Rig({ mode: 'scalable', stage: 'first' });
  const first = type === PasidType.FirstStage;
  const { table } = rig.mapped(IOVA, 4096, { first });
  rig.tables.context(RID);
  rig.tables.poke(rig.tables.contextAt(RID), 2, (word) => word | context);
  for (const pasid of [0, PASID]) {
    const root = { firstRoot: first ? table.root : 0, secondRoot: first ? 0 : table.root };
    rig.tables.pasid(RID, pasid, { type, domain: 7, ...root });
    rig.tables.poke(rig.tables.pasidEntryAt(RID, pasid), 4, (word) => word | entry);
  }
  let at = table.root;
  for (let level = 4; level > 1; level--) {
    const entryAt = at + 8 * (Math.floor(IOVA / 2 ** (3 + 9 * level)) % 512);
    rig.physical.read(Math.floor(entryAt / 2 ** 32), entryAt | 0);
    at = rig.physical.wordHi * 2 ** 32 + ((rig.physical.wordLo & ~0xfff) >>> 0);
  }
  rig.tables.poke(at + 8 * (Math.floor(IOVA / 4096) % 512), 0, (word) => word & ~clear);
  return rig;
}

/** Which of the requests are granted, one after the other. */
function granted(rig: Rig, ...requests: Request[]): boolean[] {
  return requests.map((request) => !rig.translate(request).aborted);
}

const SUPERVISOR_PAGE = 4;
const READ_ONLY = 2;

describe('privileged requests', () => {
  it('need SRE, also when the caches hold the page, in first and second stage and pass-through', () => {
    for (const type of [PasidType.FirstStage, PasidType.SecondStage, PasidType.PassThrough]) {
      const off = machine({ type });
      expect(granted(off, user, privileged, user, privileged)).toEqual([true, false, true, false]);
      expect(countsOf(off)).toEqual({ [FaultReason.SupervisorRequestDisabled]: 2 });
      expect(granted(machine({ type, entry: SRE }), user, privileged, privileged)).toEqual([true, true, true]);
    }
  });

  it('reach pages that users do not', () => {
    const rig = machine({ entry: SRE, clear: SUPERVISOR_PAGE });
    expect(granted(rig, privileged, user, privileged, user)).toEqual([true, false, true, false]);
    expect(countsOf(rig)).toEqual({ [FaultReason.Privilege]: 2 });
  });

  it('write read-only pages unless WPE is set; users never do, whatever was cached for others', () => {
    const [write, userWrite] = [
      { ...privileged, write: true },
      { ...user, write: true },
    ];
    const open = machine({ entry: SRE, clear: READ_ONLY });
    expect(granted(open, write, userWrite, write, user, privileged)).toEqual([true, false, true, true, true]);
    const closed = machine({ entry: SRE | WPE, clear: READ_ONLY });
    expect(granted(closed, privileged, write, userWrite)).toEqual([true, false, false]);
    expect(countsOf(closed)).toEqual({ [FaultReason.ScalableWriteDenied]: 2 });
  });
});

describe('requests without PASID', () => {
  it('are privileged with RID_PRIV, which needs SRE; their translations are their own', () => {
    const rig = machine({ entry: SRE, context: RID_PRIV, clear: SUPERVISOR_PAGE | READ_ONLY });
    expect(granted(rig, plain, plain, { ...plain, write: true }, user)).toEqual([true, true, true, false]);
    expect(rig.unit.translations.iotlb.hits).toBe(2);
    const off = machine({ context: RID_PRIV });
    expect(granted(off, plain, plain, user)).toEqual([false, false, true]);
    expect(countsOf(off)).toEqual({ [FaultReason.SupervisorRequestDisabled]: 2 });
  });

  it('are users without it', () => {
    const rig = machine({ entry: SRE, clear: SUPERVISOR_PAGE });
    expect(granted(rig, plain)).toEqual([false]);
    expect(countsOf(rig)).toEqual({ [FaultReason.Privilege]: 1 });
  });

  it('have a PASID cache entry of their own, which commands that name RID_PASID remove', () => {
    const rig = machine();
    const entries = (): number => rig.directory.contexts.process.occupancy;
    granted(rig, plain, user);
    expect(entries()).toBe(2);
    rig.submit((words) => encodePasidCacheInvalidation(words, 0, PasidCacheGranularity.Pasid, 7, 0));
    rig.run();
    expect(entries()).toBe(1);
    expect(granted(rig, { ...plain, pasid: 0 })).toEqual([false]);
    expect(countsOf(rig)).toEqual({ [FaultReason.RequesterPasid]: 1 });
  });
});

describe('execute requests', () => {
  it('are refused, also when the caches hold the page', () => {
    for (const type of [PasidType.FirstStage, PasidType.SecondStage, PasidType.PassThrough]) {
      const rig = machine({ type });
      expect(granted(rig, execute, user, execute)).toEqual([false, true, false]);
      expect(countsOf(rig)).toEqual({ [FaultReason.ExecuteRequestDisabled]: 2 });
    }
  });
});

describe('pass-through', () => {
  it('stops at the host address width and at the interrupt range', () => {
    const rig = machine({ type: PasidType.PassThrough });
    // Cold, and when the caches hold the entry.
    expect(granted(rig, { address: 2 ** 46 }, { address: 2 ** 46 })).toEqual([false, false]);
    expect(granted(rig, { ...user, address: 0xfee0_1000 }, { ...user, address: 2 ** 46 - 4096 })).toEqual([
      false,
      true,
    ]);
    expect(countsOf(rig)).toEqual({ [FaultReason.AddressBeyondMaximum]: 2, [FaultReason.ScalableInterruptAddress]: 1 });
  });
});

/** Commands that invalidate device TLBs: bits as the specifications have them, and every region reads back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as amdvi from './amdvi/format.js';
import * as riscv from './riscv/format.js';
import * as smmuv3 from './smmuv3/format.js';

const words = new Int32Array(4);
const qwords = (): bigint[] => [0, 2].map((i) => BigInt(words[i]! >>> 0) | (BigInt(words[i + 1]! >>> 0) << 32n));

/** An aligned region: address below 2^52, log2 of its 4 KiB pages. */
const regions = fc
  .tuple(fc.bigInt(0n, 2n ** 40n - 1n), fc.integer({ min: 0, max: 39 }))
  .map(([page, mask]) => ({ address: Number((page >> BigInt(mask)) << BigInt(mask + 12)), mask }));
const requesters = fc.nat(0xffff);
const pasids = fc.constantFrom(-1, 1, 0xabc, 0xfffff);

const addressOf = ({ addressHi, addressLo }: { readonly addressHi: number; readonly addressLo: number }): number =>
  (addressHi >>> 0) * 2 ** 32 + (addressLo >>> 0);

describe('SMMUv3 CMD_ATC_INV', () => {
  const command = new smmuv3.Command();

  it('opcode, SSV, SubstreamID and StreamID; address and size', () => {
    smmuv3.encodeDeviceTlbInvalidation(words, 0, 0x208, 0x12345, 0x7_1234_5000, 3);
    expect(qwords()).toEqual([0x40n | (1n << 11n) | (0x12345n << 12n) | (0x208n << 32n), 0x7_1234_5003n]);
    smmuv3.encodeDeviceTlbInvalidation(words, 0, 0x208, -1, 0, smmuv3.ATC_INV_ALL);
    expect(qwords()).toEqual([0x40n | (0x208n << 32n), 52n]);
    expect(smmuv3.decodeCommand(words, true, command)).toBe(true);
    expect(command.sizeLg2).toBe(64);
  });

  it('reads back', () => {
    fc.assert(
      fc.property(regions, requesters, pasids, ({ address, mask }, sid, ssid) => {
        smmuv3.encodeDeviceTlbInvalidation(words, 0, sid, ssid, address, mask);
        expect(smmuv3.decodeCommand(words, false, command)).toBe(true);
        expect([command.sid, command.substreamValid ? command.ssid : -1]).toEqual([sid, ssid]);
        expect([addressOf(command), command.sizeLg2, command.global]).toEqual([address, 12 + mask, false]);
      }),
    );
  });
});

describe('AMD-Vi INVALIDATE_IOTLB_PAGES', () => {
  const command = new amdvi.Command();

  it('device id, PASID in three places, MaxPend, QueueID, GN', () => {
    amdvi.encodeInvalidateDeviceTlb(words, 0, 0x208, 32, 0xacdef, 0x7, 0x1234_5000, 0);
    const low = 0x208n | (0xcdn << 16n) | (32n << 24n) | (0x208n << 32n) | (0xefn << 48n) | (0xan << 56n) | (4n << 60n);
    expect(qwords()).toEqual([low, 0x7_1234_5004n]);
  });

  it('reads back', () => {
    fc.assert(
      fc.property(regions, requesters, pasids, fc.nat(32), ({ address, mask }, device, pasid, most) => {
        const [hi, lo] = [Math.floor(address / 2 ** 32), address | 0];
        amdvi.encodeInvalidateDeviceTlb(words, 0, device, most, pasid, hi, lo, mask);
        expect(amdvi.decodeCommand(words, command)).toBe(true);
        expect([command.device, command.maxPending]).toEqual([device, most]);
        expect(command.guest ? command.pasid : -1).toBe(pasid);
        expect([addressOf(command), command.addressMask]).toEqual([address, mask]);
      }),
    );
  });
});

describe('RISC-V ATS.INVAL', () => {
  const command = new riscv.DecodedCommand();
  const rules = { nonLeaf: false, ranges: false, wiredFences: false };

  it('opcode, PID, PV, RID; payload of an Invalidate Request', () => {
    riscv.encodeAtsInvalidate(words, 0, 0x208, 0x12345, 0x7_1234_5000, 12);
    expect(qwords()).toEqual([4n | (0x12345n << 12n) | (1n << 32n) | (0x208n << 40n), 0x7_1234_5000n]);
    // 8 KiB: S, and the lowest address bit is the zero.
    riscv.encodeAtsInvalidate(words, 0, 0x208, -1, 0x4000, 13);
    expect(qwords()).toEqual([4n | (0x208n << 40n), 0x4800n]);
    riscv.encodeAtsInvalidate(words, 0, 0x208, -1, 0, 64);
    expect(qwords()[1]).toBe(0x7fff_ffff_ffff_f800n);
    expect(riscv.decodeCommand(words, rules, command)).toBe(true);
    expect(command.sizeLg2).toBe(64);
  });

  it('reads back', () => {
    fc.assert(
      fc.property(regions, requesters, pasids, ({ address, mask }, deviceId, processId) => {
        riscv.encodeAtsInvalidate(words, 0, deviceId, processId, address, 12 + mask);
        expect(riscv.decodeCommand(words, rules, command)).toBe(true);
        expect([command.deviceId, command.byProcess ? command.processId : -1]).toEqual([deviceId, processId]);
        expect([addressOf(command), command.sizeLg2, command.global]).toEqual([address, 12 + mask, false]);
      }),
    );
  });
});

/** The entry formats once more, procedurally and in BigInt, from the specifications named in formats/. */
import { Permission } from '../format.js';
import { Fault } from '../walk.js';
import { bit, bits, dirties, type NaiveFormat, refusal, setBits, type Verdict, within } from './naive.js';

const { Read, Write, Execute } = { Read: Permission.Read, Write: Permission.Write, Execute: Permission.Execute };
const { User, Supervisor, SupervisorExecute } = {
  User: Permission.User,
  Supervisor: Permission.Supervisor,
  SupervisorExecute: Permission.SupervisorExecute,
};
const fault = (kind: Fault): Verdict => ({ fault: kind });

/** VT-d specification 9.8; QEMU's reserved bits. */
export function naiveVtdSecond(o: {
  hostAddressWidth: number;
  largestPageLg2: number;
  scalable: boolean;
  snoopControl: boolean;
  accessedDirty: boolean;
  executeEnable: boolean;
}): NaiveFormat {
  return {
    ...{ granuleLg2: 12, indexBits: 9, signExtended: false },
    entry: (word, level, request, above) => {
      const [r, w, x] = [bit(word, 0), bit(word, 1), bit(word, 2)];
      if (!r && !w && !(x && o.executeEnable)) return fault(Fault.NotPresent);
      const executable = x || !o.executeEnable;
      const own = setBits([Read, r], [Write, w], [Execute, executable], [SupervisorExecute, executable]);
      const granted = above & (own | User | Supervisor);
      const refused = refusal(request.need, granted);
      if (refused !== null) return fault(refused);
      const large =
        bit(word, 7) && ((level === 2 && o.largestPageLg2 >= 21) || (level === 3 && o.largestPageLg2 >= 30));
      const leaf = level === 1 || large;
      if (bits(word, 51, 12) >> BigInt(o.hostAddressWidth - 12) !== 0n || bit(word, 62)) return fault(Fault.Reserved);
      if (bit(word, 11) && !(leaf && (o.scalable || o.snoopControl))) return fault(Fault.Reserved);
      if (bit(word, 7) && !leaf) return fault(Fault.Reserved);
      if (large && bits(word, level === 2 ? 20 : 29, 12) !== 0n) return fault(Fault.Reserved);
      const address = bits(word, 51, 12) << 12n;
      let after = o.accessedDirty ? word | 0x100n : word;
      if (!leaf) return { table: address, level: level - 1, granted, word: after };
      if (o.accessedDirty && dirties(request, granted)) after |= 0x200n;
      const sizeLg2 = 12 + 9 * (level - 1);
      const clean = o.accessedDirty && !bit(after, 9) && (granted & Write) !== 0;
      return { out: within(address, sizeLg2, request.input), sizeLg2, granted, word: after, clean, global: false };
    },
  };
}

/** Intel SDM 4.5, VT-d specification 9.7. */
export function naiveX86(o: {
  hostAddressWidth: number;
  largestPageLg2: number;
  executeDisable: boolean;
  signExtended: boolean;
  extendedAccessed?: boolean;
  privileged?: 'protected' | 'unprotected';
  updates?: 'hardware' | 'fault';
  guestAddressWidth?: number;
}): NaiveFormat {
  return {
    ...{ granuleLg2: 12, indexBits: 9, signExtended: o.signExtended },
    entry: (word, level, request, above) => {
      if (!bit(word, 0)) return fault(Fault.NotPresent);
      const executable = !(o.executeDisable && bit(word, 63));
      const writable = bit(word, 1) || o.privileged === 'unprotected';
      const own = setBits([Write, writable], [User, bit(word, 2) || o.privileged !== undefined], [Execute, executable]);
      const granted = above & (own | Read | Supervisor | (executable ? SupervisorExecute : 0));
      const refused = refusal(request.need, granted);
      if (refused !== null) return fault(refused);
      const large =
        bit(word, 7) && ((level === 2 && o.largestPageLg2 >= 21) || (level === 3 && o.largestPageLg2 >= 30));
      const leaf = level === 1 || large;
      if (bits(word, 51, 12) >> BigInt(o.hostAddressWidth - 12) !== 0n) return fault(Fault.Reserved);
      if (bit(word, 7) && !leaf) return fault(Fault.Reserved);
      // Bit 12 of a large page is PAT.
      if (large && bits(word, level === 2 ? 20 : 29, 13) !== 0n) return fault(Fault.Reserved);
      const address = bits(word, 51, 12) << 12n;
      const guest = o.guestAddressWidth;
      if (guest !== undefined && address >> BigInt(guest) !== 0n) return fault(Fault.OutputSize);
      const used = word | (o.extendedAccessed === true ? 0x420n : 0x20n);
      const after = leaf && dirties(request, granted) ? used | 0x40n : used;
      if (o.updates === 'fault' && after !== word) return fault(Fault.AccessFlag);
      if (!leaf) return { table: address, level: level - 1, granted, word: used };
      const sizeLg2 = 12 + 9 * (level - 1);
      const clean = !bit(after, 6) && (granted & Write) !== 0;
      const out = within(address, sizeLg2, request.input);
      return { out, sizeLg2, granted, word: after, clean, global: bit(word, 8) };
    },
  };
}

/** AMD IOMMU specification 2.2.3, tables 14 and 15. */
export function naiveAmdHost(o: { hostAddressWidth: number; hostAccessDirty: 0 | 1 | 3 }): NaiveFormat {
  return {
    ...{ granuleLg2: 12, indexBits: 9, signExtended: false },
    entry: (word, level, request, above) => {
      if (!bit(word, 0)) return fault(Fault.NotPresent);
      const next = Number(bits(word, 11, 9));
      const leaf = next === 0 || next === 7;
      if (leaf ? level === 6 : false) return fault(Fault.Reserved);
      if (!leaf && next >= level) return fault(Fault.Level);
      const own = setBits([Read, bit(word, 61)], [Write, bit(word, 62)]);
      const granted = above & (own | Execute | User | Supervisor | SupervisorExecute);
      const refused = refusal(request.need, granted);
      if (refused !== null) return fault(refused);
      if (bits(word, leaf ? 56 : 60, 52) !== 0n) return fault(Fault.Reserved);
      if (bits(word, 51, 12) >> BigInt(o.hostAddressWidth - 12) !== 0n) return fault(Fault.Reserved);
      const address = bits(word, 51, 12) << 12n;
      let after = o.hostAccessDirty === 0 ? word : word | 0x20n;
      if (!leaf) {
        for (let skipped = next + 1; skipped < level; skipped++) {
          const low = 12 + 9 * (skipped - 1);
          if (bits(request.input, low + 8, low) !== 0n) return fault(Fault.SkippedBits);
        }
        return { table: address, level: next, granted, word: after };
      }
      const natural = 12 + 9 * (level - 1);
      let sizeLg2 = natural;
      if (next === 7) {
        let ones = 0;
        while (ones < 40 && bit(word, 12 + ones)) ones++;
        sizeLg2 = 13 + ones;
        if (sizeLg2 <= natural || sizeLg2 >= natural + 9 || sizeLg2 > 51) return fault(Fault.Reserved);
      }
      if (o.hostAccessDirty === 3 && dirties(request, granted)) after |= 0x40n;
      const clean = o.hostAccessDirty === 3 && !bit(after, 6) && (granted & Write) !== 0;
      return { out: within(address, sizeLg2, request.input), sizeLg2, granted, word: after, clean, global: false };
    },
  };
}

/** RISC-V privileged specification, "Virtual Address Translation Process", and the IOMMU specification's additions. */
export function naiveRiscv(o: {
  secondStage: boolean;
  hardwareUpdates: boolean;
  napot: boolean;
  pageTypes: boolean;
}): NaiveFormat {
  return {
    ...{ granuleLg2: 12, indexBits: 9, signExtended: !o.secondStage },
    entry: (word, level, request, above) => {
      const [v, r, w, x, u] = [0, 1, 2, 3, 4].map((at) => bit(word, at)) as [
        boolean,
        boolean,
        boolean,
        boolean,
        boolean,
      ];
      const [accessed, dirty, n] = [bit(word, 6), bit(word, 7), bit(word, 63)];
      const type = bits(word, 62, 61);
      if (!v) return fault(Fault.NotPresent);
      // Everything here is one and the same page fault; its order matters to the kinds only.
      if ((w && !r) || (o.pageTypes && type === 3n)) return fault(Fault.Reserved);
      const pointer = !r && !x;
      if (pointer && level === 1) return fault(Fault.NotPresent);
      if (bits(word, 60, 54) !== 0n || (type !== 0n && (!o.pageTypes || pointer))) return fault(Fault.Reserved);
      if (n && (!o.napot || pointer || level > 1)) return fault(Fault.Reserved);
      const address = bits(word, 53, 10) << 12n;
      if (pointer) {
        if (accessed || dirty || u) return fault(Fault.Reserved);
        return { table: address, level: level - 1, granted: above, word };
      }
      let sizeLg2 = 12 + 9 * (level - 1);
      if (address % (1n << BigInt(sizeLg2)) !== 0n) return fault(Fault.Reserved);
      if (n) {
        if (bits(word, 13, 10) !== 8n) return fault(Fault.Reserved);
        sizeLg2 = 16;
      }
      const supervisor = o.secondStage ? u : !u;
      const own = setBits([Read, r], [Write, w], [Execute, x], [User, u], [Supervisor, supervisor]);
      const granted = above & (own | (x && (o.secondStage || !u) ? SupervisorExecute : 0));
      if (!o.hardwareUpdates && !accessed && refusal(request.need, granted) !== null) return fault(Fault.AccessFlag);
      const refused = refusal(request.need, granted);
      if (refused !== null) return fault(refused);
      const after = word | 0x40n | (dirties(request, granted) ? 0x80n : 0n);
      if (after !== word && !o.hardwareUpdates) return fault(Fault.AccessFlag);
      const clean = !bit(after, 7) && (granted & Write) !== 0;
      const global = !o.secondStage && bit(word, 5);
      return { out: within(address, sizeLg2, request.input), sizeLg2, granted, word: after, clean, global };
    },
  };
}

/** Arm ARM D8.3 (descriptors), D8.4 (permissions), D8.5 (hardware updates), D8.7.1 (contiguous bit). */
export function naiveArm(o: {
  stage: 1 | 2;
  granuleLg2: 12 | 14 | 16;
  hostAddressWidth: number;
  wideAddresses: boolean;
  updates: 'none' | 'ignore' | 'access' | 'dirty';
  contiguous: boolean;
  ignoreTableAttributes: boolean;
}): NaiveFormat {
  const indexBits = o.granuleLg2 - 3;
  return {
    ...{ granuleLg2: o.granuleLg2, indexBits, signExtended: false, upperHalf: o.stage === 1 },
    entry: (word, level, request, above) => {
      if (!bit(word, 0)) return fault(Fault.NotPresent);
      const lookup = 4 - level;
      const table = bit(word, 1) && lookup < 3;
      if (!bit(word, 1)) {
        const blocks = o.granuleLg2 === 12 || o.wideAddresses ? [1, 2] : [2];
        if (!blocks.includes(lookup)) return fault(Fault.NotPresent);
      }
      let address = bits(word, 47, o.granuleLg2) << BigInt(o.granuleLg2);
      if (o.wideAddresses) address |= bits(word, 15, 12) << 48n;
      // What does not fit the output size, in bits that a block ignores too.
      if (address >> BigInt(o.hostAddressWidth) !== 0n) return fault(Fault.OutputSize);
      if (table) {
        let granted = above;
        if (o.stage === 1 && !o.ignoreTableAttributes) {
          if (bit(word, 59)) granted &= ~SupervisorExecute;
          if (bit(word, 60)) granted &= ~Execute;
          if (bit(word, 61)) granted &= ~User;
          if (bit(word, 62)) granted &= ~Write;
        }
        return { table: address, level: level - 1, granted, word };
      }
      const modifiable = o.updates === 'dirty' && bit(word, 51);
      let own: number;
      if (o.stage === 1) {
        const readOnly = bit(word, 7);
        const user = bit(word, 6);
        own = setBits([Write, !readOnly || modifiable], [User, user], [Execute, !bit(word, 54)]);
        own |= Read | Supervisor | (bit(word, 53) ? 0 : SupervisorExecute);
      } else {
        own = setBits([Read, bit(word, 6)], [Write, bit(word, 7) || modifiable], [Execute, !bit(word, 54)]);
        own |= User | Supervisor | ([0n, 3n].includes(bits(word, 54, 53)) ? SupervisorExecute : 0);
      }
      const granted = above & own;
      if (!bit(word, 10) && o.updates === 'none') return fault(Fault.AccessFlag);
      const refused = refusal(request.need, granted);
      if (refused !== null) return fault(refused);
      let after = o.updates === 'access' || o.updates === 'dirty' ? word | 0x400n : word;
      const clean = (now: bigint): boolean => modifiable && bit(now, 7) === (o.stage === 1) && (granted & Write) !== 0;
      if (clean(after) && dirties(request, granted)) after ^= 0x80n;
      let sizeLg2 = o.granuleLg2 + indexBits * (level - 1);
      const out = within(address, sizeLg2, request.input);
      if (o.contiguous && bit(word, 52)) {
        const entries = { 12: [16, 16, 16], 14: [128, 32, 0], 16: [32, 32, 0] }[o.granuleLg2][level - 1]!;
        if (entries > 0) sizeLg2 += Math.log2(entries);
      }
      return { out, sizeLg2, granted, word: after, clean: clean(after), global: o.stage === 1 && !bit(word, 11) };
    },
  };
}

/** QEMU hw/pci-host/pnv_phb4.c and Linux pci-ioda-tce.c. */
export function naiveTce(o: { hostAddressWidth: number; pageLg2: number; indexBits: number }): NaiveFormat {
  return {
    ...{ granuleLg2: o.pageLg2, indexBits: o.indexBits, signExtended: false },
    entry: (word, level, request, above) => {
      const [r, w] = [bit(word, 0), bit(word, 1)];
      if (!r && !w) return fault(Fault.NotPresent);
      const address = bits(word, o.hostAddressWidth - 1, 12) << 12n;
      if (level > 1) return { table: address, level: level - 1, granted: above, word };
      const granted = above & (setBits([Read, r], [Write, w]) | Execute | User | Supervisor | SupervisorExecute);
      const refused = refusal(request.need, granted);
      if (refused !== null) return fault(refused);
      const out = within(address, o.pageLg2, request.input);
      return { out, sizeLg2: o.pageLg2, granted, word, clean: false, global: false };
    },
  };
}

/** Linux drivers/iommu/io-pgtable-dart.c. */
export function naiveDart(o: { type: 'DART1' | 'DART2'; granuleLg2: 12 | 14 }): NaiveFormat {
  const old = o.type === 'DART1';
  return {
    ...{ granuleLg2: o.granuleLg2, indexBits: o.granuleLg2 - 3, signExtended: false },
    entry: (word, level, request, above) => {
      if (!bit(word, 0)) return fault(Fault.NotPresent);
      const address = old ? bits(word, 35, 12) << 12n : bits(word, 37, 10) << 14n;
      if (level > 1) return { table: address, level: level - 1, granted: above, word };
      const own = setBits([Read, !bit(word, old ? 8 : 3)], [Write, !bit(word, old ? 7 : 2)]);
      const granted = above & (own | Execute | User | Supervisor | SupervisorExecute);
      const refused = refusal(request.need, granted);
      if (refused !== null) return fault(refused);
      const out = within(address, o.granuleLg2, request.input);
      return { out, sizeLg2: o.granuleLg2, granted, word, clean: false, global: false };
    },
  };
}

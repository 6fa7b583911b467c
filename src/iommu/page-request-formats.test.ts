/** Bit positions of page requests and of their answers, dword by dword, as the specifications give them. */
import { expect, it } from 'vitest';
import { PageRequestBit } from '../protocol/page-request.js';
import * as amdvi from './arch/amdvi/format.js';
import * as riscv from './arch/riscv/format.js';
import * as smmuv3 from './arch/smmuv3/format.js';
import * as vtd from './arch/vtd/format.js';

const RID = 0x1234;
const PASID = 0x5a5a5;
const BITS = PageRequestBit.Write | PageRequestBit.Execute | PageRequestBit.Last;
const GROUP = 0x155;
const [HI, LO] = [0x1f, 0x89abc000 | 0];

function hex(words: Int32Array): string[] {
  return Array.from(words, (word) => (word >>> 0).toString(16).padStart(8, '0'));
}

const request = (size: number, encode: typeof vtd.encodePageRequest): string[] => {
  const words = new Int32Array(size);
  encode(words, RID, PASID, BITS, GROUP, HI, LO);
  return hex(words);
};

function answer(encode: (words: Int32Array) => void): string[] {
  const words = new Int32Array(8);
  encode(words);
  return hex(words.subarray(0, 4));
}

it('VT-d: type 1, PP 8, RID 31:16; PASID 51:32, EXE 52; W 65, LPIG 66, PRGI 75:67, address', () => {
  expect(request(8, vtd.encodePageRequest).slice(0, 4)).toEqual(['12340101', '0015a5a5', '89abcaae', '0000001f']);
  expect(answer((words) => vtd.encodePageGroupResponse(words, 0, RID, PASID, true, 1, GROUP))).toEqual([
    '12341019',
    '0005a5a5',
    '00000aa8',
    '00000000',
  ]);
});

it('SMMUv3: StreamID; SubstreamID, Xn 59, uW 61, Last 62, SSV 63; index and address', () => {
  expect(request(4, smmuv3.encodePageRequest)).toEqual(['00001234', 'e805a5a5', '89abc155', '0000001f']);
  const { Invalid } = { Invalid: smmuv3.PriResponse.Invalid };
  expect(answer((words) => smmuv3.encodePriResponse(words, 0, RID, PASID, GROUP, Invalid))).toEqual([
    '5a5a5841',
    '00001234',
    '00001155',
    '00000000',
  ]);
});

it('AMD-Vi: DeviceID, PASID 15:0; tag with last in bit 41, PASID 19:16 in 45:42, EXEC, WRITE, US, GN, type 1', () => {
  expect(request(4, amdvi.encodePageRequest)).toEqual(['a5a51234', '11621755', '89abc000', '0000001f']);
  expect(answer((words) => amdvi.encodeCompletePageRequest(words, 0, RID, PASID, GROUP, 1))).toEqual([
    '00001234',
    '7005a5a5',
    '00000004',
    '00001155',
  ]);
});

it('RISC-V: PID 31:12; PV 32, EXEC 34, DID 63:40; W 65, L 66, PRGI 75:67, address', () => {
  expect(request(4, riscv.encodePageRequest)).toEqual(['5a5a5000', '00123405', '89abcaae', '0000001f']);
  expect(answer((words) => riscv.encodePageGroupResponse(words, 0, RID, PASID, GROUP, 1))).toEqual([
    '5a5a5084',
    '00123401',
    '00000000',
    '00001155',
  ]);
});

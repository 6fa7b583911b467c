/** Fields of SMMUv3 configuration structures (Arm IHI 0070G chapter 5) for people. Memory attributes and overrides are left out. */
import { type EntryField, type EntryLayout, field, pointer } from '../../entry-layout.js';
import { Entry } from './directory.js';

const STREAM_POINTER: EntryLayout = {
  title: 'level 1 stream table descriptor',
  source: 'IHI 0070G 5.1',
  fields: [field('Span', 4, 0, '2^(Span - 1) entries below, 0: none'), pointer('L2Ptr', 55, 6, 'stream table')],
};

const GRANULES = { 0: '4 KiB', 1: '64 KiB', 2: '16 KiB' };
const SIZES = { 0: '32 bits', 1: '36 bits', 2: '40 bits', 3: '42 bits', 4: '44 bits', 5: '48 bits', 6: '52 bits' };

const STREAM: EntryLayout = {
  title: 'stream table entry',
  source: 'IHI 0070G 5.2',
  fields: [
    field('V', 0, 0, 'valid'),
    field('Config', 3, 1, 'what translates', {
      0: 'abort',
      4: 'bypass',
      5: 'stage 1',
      6: 'stage 2',
      7: 'stage 1 and stage 2',
    }),
    field('S1Fmt', 5, 4, 'context descriptor table', { 0: 'linear', 1: 'two levels, 4 KiB', 2: 'two levels, 64 KiB' }),
    pointer('S1ContextPtr', 55, 6, 'context descriptor table, guest-physical with stage 2'),
    field('S1CDMax', 63, 59, 'log2 of the context descriptors, 0: no SubstreamIDs'),
    field('S1DSS', 65, 64, 'requests without SubstreamID', { 0: 'terminate', 1: 'bypass stage 1', 2: 'use context 0' }),
    field('S1STALLD', 91, 91, 'stalls disabled'),
    field('STRW', 95, 94, 'StreamWorld', { 0: 'NS-EL1', 2: 'EL2' }),
    field('S2VMID', 143, 128, 'virtual machine'),
    field('S2T0SZ', 165, 160, '64 - input address bits of stage 2'),
    field('S2SL0', 167, 166, 'start level of stage 2'),
    field('S2TG', 175, 174, 'granule of stage 2', GRANULES),
    field('S2PS', 178, 176, 'output address size of stage 2', SIZES),
    field('S2AA64', 179, 179, 'AArch64 tables'),
    field('S2AFFD', 181, 181, 'access flag faults disabled'),
    field('S2HD', 183, 183, 'hardware updates dirty state'),
    field('S2HA', 184, 184, 'hardware sets access flags'),
    field('S2S', 185, 185, 'stage 2 faults stall'),
    field('S2R', 186, 186, 'stage 2 faults are recorded'),
    pointer('S2TTB', 243, 196, 'root of stage 2'),
  ],
};

const CONTEXT_POINTER: EntryLayout = {
  title: 'level 1 context descriptor',
  source: 'IHI 0070G 5.3',
  fields: [field('V', 0, 0, 'valid'), pointer('L2Ptr', 55, 12, 'context descriptor table')],
};

/** Fields of one half of the input space; TG1 numbers the granules differently. */
function half(number: 0 | 1): EntryField[] {
  const low = 16 * number;
  const granules = number === 0 ? GRANULES : { 1: '16 KiB', 2: '4 KiB', 3: '64 KiB' };
  const root = 64 * (number + 1);
  return [
    field(`T${number}SZ`, low + 5, low, `64 - input address bits of TTB${number}`),
    field(`TG${number}`, low + 7, low + 6, `granule of TTB${number}`, granules),
    field(`EPD${number}`, low + 14, low + 14, `no walks of TTB${number}`),
    field(`TBI${number}`, 38 + number, 38 + number, 'top byte ignored'),
    field(`HAD${number}`, root + 1, root + 1, 'attributes of table descriptors ignored'),
    pointer(`TTB${number}`, root + 51, root + 4, `root of the ${number === 0 ? 'lower' : 'upper'} half`),
  ];
}

const CONTEXT: EntryLayout = {
  title: 'context descriptor',
  source: 'IHI 0070G 5.4',
  fields: [
    ...half(0),
    ...half(1),
    field('V', 31, 31, 'valid'),
    field('IPS', 34, 32, 'output address size', SIZES),
    field('AFFD', 35, 35, 'access flag faults disabled'),
    field('WXN', 36, 36, 'what is writable is not executable'),
    field('PAN', 40, 40, 'privileged requests keep out of user pages'),
    field('AA64', 41, 41, 'AArch64 tables'),
    field('HD', 42, 42, 'hardware updates dirty state'),
    field('HA', 43, 43, 'hardware sets access flags'),
    field('S', 44, 44, 'faults stall'),
    field('R', 45, 45, 'faults are recorded'),
    field('A', 46, 46, 'faults abort'),
    field('ASET', 47, 47, 'ASID not shared with processors'),
    field('ASID', 63, 48, 'address space'),
  ].sort((a, b) => a.low - b.low),
};

/** Layout of a directory entry. */
export function directoryLayout(entry: Entry): EntryLayout {
  switch (entry) {
    case Entry.StreamPointer:
      return STREAM_POINTER;
    case Entry.Stream:
      return STREAM;
    case Entry.ContextPointer:
      return CONTEXT_POINTER;
    case Entry.Context:
      return CONTEXT;
  }
}

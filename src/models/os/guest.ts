/**
 * Costs of a virtual machine whose IOMMU is emulated (QEMU on KVM), by kind of host. Where the fit of `iommusim fit --stage 8` finds a
 * published row it decides; the rest is estimated. The mode is none: a workload switches it on.
 */
import { assumed, type Quantity, spec } from '../quantity.js';
import { type Parameters, withFitted } from '../sheet.js';

/** Names of these parameters among the fitted tables. */
export const GUEST_X86 = 'guest-x86';
export const GUEST_ARM = 'guest-arm64';

const START = 'where the fit starts';
const SLEEP = 'order of a wake-up through a futex: the lock sleeps';
const MUTEX = 'order of a pthread mutex that is free';
const CALL = 'order of an ioctl that looks objects up and copies its arguments';
const RESIDENT = 'order of pin_user_pages for a page that is present, with its accounting; 1 to 2 us a map in all';

const common: Parameters = {
  mode: spec('none', '', 'the operating system runs on the machine itself'),
  lock: assumed(40, 'ns', MUTEX),
  lockHandOver: assumed(4, 'us', SLEEP),
  call: assumed(600, 'ns', CALL),
  pin: assumed(500, 'ns', RESIDENT),
  stage2Change: assumed(0, 'ns', 'the memory of the guest stays as it is'),
  unpin: assumed(200, 'ns', 'order of unpinning one page, with its accounting'),
};

function guest(exit: Quantity, emulation: Quantity, batch: Quantity): Parameters {
  return { ...common, exit, emulation, batch };
}

/** Before the fit. */
export const GUEST_START: Readonly<Record<string, Parameters>> = {
  [GUEST_X86]: guest(
    assumed(4, 'us', START),
    assumed(250, 'ns', 'order of reading one descriptor from guest memory and decoding it'),
    spec(
      1,
      'commands',
      'QEMU hw/i386/intel_iommu.c with drivers/iommu/intel/nested.c: each entry is invalidated by itself',
    ),
  ),
  [GUEST_ARM]: guest(
    assumed(10, 'us', START),
    assumed(1, 'us', START),
    assumed(
      64,
      'commands',
      'QEMU hw/arm/smmuv3-accel.c as posted in July 2025 collects commands up to the next CMD_SYNC; later versions send each by itself',
    ),
  ),
};

export const guestX86: Parameters = withFitted(GUEST_X86, GUEST_START[GUEST_X86]!);
export const guestArm: Parameters = withFitted(GUEST_ARM, GUEST_START[GUEST_ARM]!);

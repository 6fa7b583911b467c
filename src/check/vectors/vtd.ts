/**
 * Vectors for Intel VT-d, from a stream of random numbers: several devices, several address spaces each of its own kind, tables with
 * flaws in known proportion, 16 to 64 accesses of which about 60 % are granted. The answers are left to whoever answers.
 *
 * `common` is what QEMU 10's intel-iommu (hw/i386/intel_iommu.c) and the specification (rev. 5.10) agree on, except that QEMU has the
 * legacy fault reasons for root entry, context entry and second stage in scalable mode. So it avoids, with QEMU's behaviour:
 * - requests with PASID in legacy mode (translated), with PASID 0 or PASIDE clear (accepted), above 255 (ECAP.PSS is 8 bits);
 * - RID_PASID other than 0 (used although ECAP.RPS is clear; later releases ignore it), DTE, PRE, RID_PRIV;
 * - requests with PASID of a device whose PASID 0 is not usable (they fault with PASID 0's reason);
 * - a PASID entry that is not present: as PASID 0 it faults with 59h only if its type is valid (else 5Bh), elsewhere it is used;
 * - FPD in directory or PASID entries that are not usable, and in a context entry whose PASIDs are not all usable (ignored, or the
 *   walk goes on with what it has);
 * - reserved bits in directory and PASID entries (not checked), second-stage flags SSADE (not done), EAFE, SRE, PGSNP;
 * - first stage with AW below 2 in the PASID entry (limits the canonical check), or together with second stage in one vector (a
 *   property of the device: x-flts), or with a 39-bit address width;
 * - a snoop bit in a scalable unit's second-stage leaf (ignored although ECAP.SC is clear), TT = 1 (depends on device-iotlb);
 * - pass-through addresses above the host address width (not checked) and pass-through with an AW that is not the largest;
 * - words of all ones (taken for a failed read), TTM reserved values, reserved bits in an absent half of a root entry;
 * - output in the interrupt range: such pages are not in the window of vectors.
 */
import { withAts } from './ats-accesses.js';
import type { AccessKind, Generator, Random, Vector, VectorAccess } from './vector.js';
import { legacyDevice, scalableDevice } from './vtd-devices.js';
import { Directory } from './vtd-directory.js';
import { Fleet, type Site } from './vtd-fleet.js';
import { Image } from './vtd-image.js';
import { allowedKind, chooseInput, inputWidth, isInterrupt, type Page, type Space } from './vtd-space.js';
import { strictDevice } from './vtd-strict-devices.js';
import { chooseTraits, type Traits, VTD_MODES } from './vtd-traits.js';

const RTADDR = 0x20;
const GCMD = 0x18;

function input(image: Image, space: Space): bigint {
  const { type } = space.options;
  const near = space.pages.length === 0 ? null : image.pick(space.pages).input;
  return type === 'pass'
    ? image.target()
    : chooseInput(image, inputWidth(space.options), type !== 'second', near, 0n, 12);
}

/** An address that the input check refuses: above the width, or not sign-extended. */
function outside(image: Image, traits: Traits, space: Space): bigint {
  const { options } = space;
  const passes = options.type === 'pass';
  const width = BigInt(passes ? options.hostAddressWidth : inputWidth(options));
  const inside = passes ? image.target() : input(image, space) & ((1n << width) - 1n);
  const address = image.pick([
    (1n << width) | inside,
    inside | (image.bits(63) & ~((1n << width) - 1n)) | (1n << image.pick([63n, width])),
    1n << width,
    options.type === 'first' || options.type === 'nested' ? 1n << (width - 1n) : inside | (1n << 63n),
  ]);
  return isInterrupt(address) || (passes && !traits.strict) ? inside : address & ~0xfffn;
}

function offset(image: Image): bigint {
  return image.chance(20) ? 0n : BigInt(8 * image.random.below(512));
}

interface Plan {
  readonly site: Site;
  readonly iova: bigint;
  readonly kind: AccessKind;
}

/** An access that ought to be granted; null where the drawn page allows none. */
function granted(image: Image, site: Site, kinds: readonly AccessKind[]): Plan | null {
  const { space } = site;
  if (space.options.type === 'pass') return { site, iova: image.target(), kind: image.pick(kinds) };
  const pages = space.pages.filter((page) => !page.flawed && (page.rights.user || site.supervisor));
  if (pages.length === 0) return null;
  const page = image.pick(pages);
  // A PASID prefix can ask to execute, which is refused; without one it is a read.
  const offered = site.pasid === null ? kinds : kinds.filter((kind) => kind !== 'x');
  const kind = allowedKind(image, page.rights, offered);
  return kind === null ? null : { site, iova: page.input, kind };
}

/** An access that probably is refused. */
function refused(image: Image, traits: Traits, site: Site, kinds: readonly AccessKind[]): Plan {
  const { space } = site;
  const kind = image.pick(kinds);
  const flawed = space.pages.filter((page) => page.flawed);
  const limited = space.pages.filter(
    (page) => !page.flawed && !(page.rights.read && page.rights.write && page.rights.user),
  );
  const die = image.random.below(100);
  const from = (pages: readonly Page[]): bigint => (pages.length === 0 ? input(image, space) : image.pick(pages).input);
  if (die < 55) return { site, iova: from(flawed), kind };
  if (die < 70 && limited.length > 0) {
    const page = image.pick(limited);
    const wrong: AccessKind = page.rights.write ? (page.rights.read ? kind : 'r') : 'w';
    return { site, iova: page.input, kind: kinds.includes(wrong) ? wrong : kind };
  }
  return { site, iova: die < 85 ? outside(image, traits, space) : input(image, space), kind };
}

function accesses(image: Image, traits: Traits, sites: readonly Site[]): VectorAccess[] {
  const good = sites.filter((site) => site.usable);
  const bad = sites.filter((site) => !site.usable);
  const draw = (): Plan => {
    if (good.length > 0 && image.chance(traits.soundShare)) {
      for (let attempt = 0; attempt < 8; attempt++) {
        const site = image.pick(good);
        const plan = granted(image, site, site.kinds);
        if (plan !== null) return plan;
      }
    }
    const broken = bad.length > 0 && (good.length === 0 || image.chance(traits.directoryShare));
    const site = image.pick(broken ? bad : good);
    if (broken && image.chance(70)) return { site, iova: input(image, site.space), kind: image.pick(site.kinds) };
    return refused(image, traits, site, site.kinds);
  };
  // The first request of a common scalable vector is translated by PASID 0 of a device without flaws, so that whoever replays the
  // vector can see there whether it is about the first stage or the second.
  const first = good.length > 0 && good[0] === sites[0] ? granted(image, sites[0]!, sites[0]!.kinds) : null;
  return Array.from({ length: 16 + image.random.below(49) }, (_, id) => {
    const { site, iova, kind } = (id === 0 ? first : null) ?? draw();
    const access = { id, rid: site.rid, pasid: site.pasid, iova: iova + offset(image), kind };
    if (traits.ats) return withAts(image.random, access, () => image.target() + offset(image));
    return site.supervisor && site.pasid !== null ? { ...access, privileged: true } : access;
  });
}

function generate(random: Random, mode: string): Vector {
  const image = new Image(random);
  const traits = chooseTraits(image, mode);
  const directory = new Directory(image, traits.rootMode === 1);
  const fleet = new Fleet(image, traits, directory);
  const build = !directory.scalable ? legacyDevice : traits.strict ? strictDevice : scalableDevice;
  const devices = 3 + random.below(5);
  const sites = Array.from({ length: devices }, (_, i) => build(fleet, i === 0)).flat();
  const config: [string, string][] = [
    ['aw', String(traits.width)],
    ['scalable', traits.scalableUnit ? '1' : '0'],
  ];
  if (traits.strict) config.push(['rules', 'specification']);
  return {
    architecture: 'vtd',
    config,
    words: image.words,
    tables: image.tables,
    registers: [
      { offset: RTADDR, bytes: 8, value: directory.root | (BigInt(traits.rootMode) << 10n) },
      // Set Root Table Pointer latches RTADDR; Translation Enable follows in a write of its own.
      { offset: GCMD, bytes: 4, value: 0x4000_0000n },
      { offset: GCMD, bytes: 4, value: 0x8000_0000n },
    ],
    accesses: accesses(image, traits, sites),
  };
}

/** Throws on a mode that `modes` does not name. */
export const VTD_GENERATOR: Generator = { architecture: 'vtd', modes: VTD_MODES, generate };

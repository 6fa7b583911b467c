/**
 * How a range of addresses becomes TLBI commands (arm_smmu_cmdq_batch_add_range and arm_smmu_inv_size_too_big in
 * drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c). With range invalidation every five bits of the number of pages, from the low end, are
 * one command; without it every granule is one, and from one table's worth of granules on the whole address space is invalidated.
 * Unlike Linux the driver does not know which leaf sizes were mapped: it names a level only for ranges shorter than a block.
 */

/** Bits of NUM. */
const NUM_MASK = 31;

export interface RangeCommand {
  /** Start, bytes. */
  readonly address: number;
  /** (number + 1) * 2^scale granules. */
  readonly number: number;
  readonly scale: number;
  /** Level of the leaves, 0: not known. */
  readonly ttl: number;
}

/** Too many commands without ranges. */
export function isTooLarge(bytes: number, granule: number): boolean {
  return bytes >= (granule / 8) * granule;
}

/** The commands for a range. `leaf`: only leaf entries were changed. */
export function splitRange(iova: number, bytes: number, granuleLg2: number, leaf: boolean): RangeCommand[] {
  const granule = 2 ** granuleLg2;
  const block = 2 ** (2 * granuleLg2 - 3);
  const ttl = leaf && bytes < block ? 3 : 0;
  let pages = bytes / granule;
  // NUM, SCALE and TTL all zero is reserved: one page more, where a single one would be left over.
  if (ttl === 0 && pages % (NUM_MASK + 1) === 1) pages++;
  const commands: RangeCommand[] = [];
  let address = iova;
  while (pages > 0) {
    let scale = 0;
    let left = pages;
    while (left % 2 === 0) {
      left /= 2;
      scale++;
    }
    const number = left % (NUM_MASK + 1);
    commands.push({ address, number: number - 1, scale, ttl });
    const covered = number * 2 ** scale;
    address += covered * granule;
    pages -= covered;
  }
  return commands;
}

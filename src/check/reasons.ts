/** Published points that no curve is bent to meet, each with the reason that the data themselves give. */

const REASONS: Readonly<Record<string, string>> = {
  'PCIB-BDW-LAT64-Cold-off 256KiB': 'outlier in the data: 500 ns between neighbours of 488 and 487 ns',
};

/** Reason for a missed point, or an empty text. */
export function missReason(row: string, window: string): string {
  return REASONS[`${row} ${window}`] ?? '';
}

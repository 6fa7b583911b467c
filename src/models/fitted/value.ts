/** What the fit writes: the values of a sheet that published rows have decided. */

/** One value found by the fit: keyed by dotted path inside the sheet. */
export interface FittedValue {
  readonly value: number | string | boolean;
  readonly unit: string;
  /** The published rows that decided it. */
  readonly rows: string;
  /** `assumed` for a value that the rows leave open; default `fitted`. */
  readonly confidence?: 'fitted' | 'assumed';
}

export type FittedTable = Readonly<Record<string, FittedValue>>;

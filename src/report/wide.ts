/** A wide table: one row per point, one column per metric in order of first appearance; a metric a point lacks is empty. */
import type { Column } from './metrics.js';

export class WideTable {
  readonly columns: Column[] = [];
  private readonly indexOf = new Map<string, number>();
  private readonly rows: (number | undefined)[][] = [];

  /** Adds a row and returns its number. */
  add(values: readonly (readonly [Column, number])[]): number {
    const row: (number | undefined)[] = [];
    for (const [column, value] of values) {
      let index = this.indexOf.get(column.name);
      if (index === undefined) {
        index = this.columns.push(column) - 1;
        this.indexOf.set(column.name, index);
      }
      row[index] = value;
    }
    return this.rows.push(row) - 1;
  }

  /** undefined = the point has no such metric; NaN = it has, without a value. */
  value(row: number, column: number): number | undefined {
    return this.rows[row]?.[column];
  }

  /** Cells of one row, one for each column. */
  cells(row: number): number[] {
    return this.columns.map((_, index) => this.value(row, index) ?? Number.NaN);
  }
}

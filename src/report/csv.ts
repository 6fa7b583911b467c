/**
 * CSV text by RFC 4180: comma, CRLF after every record, double quotes around a field that holds a comma, a quote or a line
 * break. Cells are text already; the empty text is a missing value.
 */
import { stringify } from 'csv-stringify/sync';

export function csvText(records: readonly (readonly string[])[]): string {
  return stringify(records as string[][], { record_delimiter: '\r\n', quoted_match: /[\r\n]/ });
}

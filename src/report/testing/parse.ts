/** A strict RFC 4180 reader for tests: CRLF after every record, quotes only around whole fields, equal field counts. */
export function parseCsv(text: string): string[][] {
  const records: string[][] = [];
  let record: string[] = [];
  let at = 0;
  while (at < text.length) {
    let field = '';
    if (text[at] === '"') {
      for (at++; text[at] !== '"' || text[at + 1] === '"'; at++) {
        if (at >= text.length) throw new Error('a quoted field does not end');
        if (text[at] === '"') at++;
        field += text[at];
      }
      at++;
    } else {
      const end = /[",\r\n]|$/g;
      end.lastIndex = at;
      const stop = end.exec(text)!.index;
      field = text.slice(at, stop);
      at = stop;
    }
    record.push(field);
    if (text[at] === ',') at++;
    else if (text.startsWith('\r\n', at)) {
      at += 2;
      if (record.length !== (records[0] ?? record).length)
        throw new Error(`record ${records.length} has another length`);
      records.push(record);
      record = [];
    } else throw new Error(`a field ends with ${JSON.stringify(text[at])} at ${at}`);
    if (at === text.length && record.length > 0) throw new Error('the last record does not end with CRLF');
  }
  return records;
}

/** Fitted values as the source text of a file of src/models/fitted, formatted as the project formats its sources. */
import { fittedTables, type Values } from './parameters.js';

/** A file of fitted values. */
export interface FitTarget {
  readonly file: string;
  /** Name of its constant. */
  readonly constant: string;
  /** First lines of its header: what decided the values, and what the keys are. */
  readonly title: string;
}

export const PCIE_BENCH_TARGET: FitTarget = {
  file: 'src/models/fitted/pcie-bench.ts',
  constant: 'PCIE_BENCH_FIT',
  title: ` * Parameters decided by the published pcie-bench measurements (github.com/pcie-bench/data @ b2abf2f, Neugebauer et al.,
 * SIGCOMM 2018): sheet name, dotted path, value.`,
};

export const TABLE_CODE_TARGET: FitTarget = {
  file: 'src/models/fitted/table-code.ts',
  constant: 'TABLE_CODE_FIT',
  title: ` * Costs of page-table code decided by the published micro-benchmarks of the generic_pt series (J. Gunthorpe, linux-iommu 2025,
 * Core i7-12700): sheet name, dotted path, value.`,
};

export const INVALIDATION_TARGET: FitTarget = {
  file: 'src/models/fitted/invalidation.ts',
  constant: 'INVALIDATION_FIT',
  title: ` * Costs of invalidations decided by published measurements on bare metal (workloads/validation/published/invalidation.csv): sheet name,
 * dotted path, value.`,
};

export const WORKLOAD_TARGETS: Readonly<Record<number, FitTarget>> = {
  8: {
    file: 'src/models/fitted/guest.ts',
    constant: 'GUEST_FIT',
    title: ` * What virtual machines with an emulated IOMMU cost, decided by published latencies in guests: sheet name, dotted path,
 * value.`,
  },
  9: {
    file: 'src/models/fitted/user-map.ts',
    constant: 'USER_MAP_FIT',
    title: ` * What mapping memory of a process for a device costs, decided by a published benchmark: sheet name, dotted path, value.`,
  },
  10: {
    file: 'src/models/fitted/page-fault.ts',
    constant: 'PAGE_FAULT_FIT',
    title: ` * What a recoverable page fault of a device costs, decided by a published time of the whole: sheet name, dotted path, value.`,
  },
};

/** `command`: the command line that found the values. */
export function fittedSource(values: Values, command: string, { constant, title }: FitTarget): string {
  const tables = Object.entries(fittedTables(values)).map(([sheet, table]) => {
    const lines = Object.entries(table).map(([path, { value, unit, rows, confidence }]) => {
      const extra = confidence === undefined ? '' : `, confidence: '${confidence}'`;
      return entryText(path, `value: ${value}, unit: '${unit}', rows: '${rows}'${extra}`);
    });
    return `  ${key(sheet)}: {\n${lines.join('')}  },\n`;
  });
  return `/**
${title} Written by \`${command}\`; do not edit.
 */
import type { FittedTable } from './value.js';

export const ${constant}: Readonly<Record<string, FittedTable>> = {
${tables.join('')}};
`;
}

const LINE_WIDTH = 120;

function entryText(path: string, fields: string): string {
  const name = key(path);
  const line = `    ${name}: { ${fields} },\n`;
  if (line.length <= LINE_WIDTH + 1) return line;
  const spread = fields.split(/, (?=unit:|rows:|confidence:)/).map((field) => `      ${field},\n`);
  return `    ${name}: {\n${spread.join('')}    },\n`;
}

/** Quotes only what must be quoted. */
function key(text: string): string {
  return /^[a-z][a-z0-9]*$/i.test(text) ? text : `'${text}'`;
}

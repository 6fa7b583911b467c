import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LARGE, SMALL, vtdVector } from '../check/vectors/testing/vtd-vector.js';
import { writeVector } from '../check/vectors/text.js';
import { runProgram } from './program.js';

let folder = '';
let tables = '';
let request = '';
let two = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'iommusim-walk-'));
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  tables = file('tables.ovec', writeVector(vtdVector([]), []));
  request = file('request.ovec', writeVector(vtdVector([{ iova: SMALL + 0x345n }]), []));
  const second = writeVector(
    { ...vtdVector([]), accesses: [{ ...vtdVector([{}]).accesses[0]!, id: 8, kind: 'w' }] },
    [],
  );
  two = file('two.ovec', writeVector(vtdVector([{}]), []) + second);
});

afterAll(() => rmSync(folder, { recursive: true }));

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const code = await runProgram(['walk', ...argv], { out: (text) => out.push(text), err: (text) => err.push(text) });
  return { code, out: out.join(''), err: err.join('') };
}

describe('iommusim walk', () => {
  test('shows every step of a request of the file, its result and the caches of the model', async () => {
    const { code, out } = await run('--tables', request, '--model', 'vtd-skx');
    expect(code).toBe(0);
    expect(out).toBe(`vtd: vtd-skx
read at 0x3654_3345 by 00:01.0 without PASID

1.   root entry (VT-d 9.1)
     16 bytes at 0x1_0000_0000
     0x0000000100001001 0x0000000000000000
     P    0      1              present
     CTP  63:12  0x1_0000_1000  context table

2.   context entry (VT-d 9.3)
     16 bytes at 0x1_0000_1080
     0x0000000100002001 0x0000000000000501
     P        0      1                      present
     FPD      1      0                      faults are not recorded
     TT       3:2    0 (second stage)       translation type
     SSPTPTR  63:12  0x1_0000_2000          second-stage root
     AW       66:64  1 (3 levels, 39 bits)  address width
     DID      87:72  5                      domain

3.   second-stage table, level 3 (Intel VT-d specification, sections 3.7 and 9.8)
     entry 0: bits 38:30 of input 0x3654_3345
     8 bytes at 0x1_0000_2000
     0x0000000100003003
     R=1 W=1 X=0 PS=0 A=0 D=0 SNP=0 ADDRESS=0x1_0000_3000
     points to a level 2 table at 0x1_0000_3000; grants read write execute user supervisor supervisor-execute

4.   second-stage table, level 2 (Intel VT-d specification, sections 3.7 and 9.8)
     entry 434: bits 29:21 of input 0x3654_3345
     8 bytes at 0x1_0000_3d90
     0x0000000100004003
     R=1 W=1 X=0 PS=0 A=0 D=0 SNP=0 ADDRESS=0x1_0000_4000
     points to a level 1 table at 0x1_0000_4000; grants read write execute user supervisor supervisor-execute

5.   second-stage table, level 1 (Intel VT-d specification, sections 3.7 and 9.8)
     entry 323: bits 20:12 of input 0x3654_3345
     8 bytes at 0x1_0000_4a18
     0x0000000100100001
     R=1 W=0 X=0 PS=0 A=0 D=0 SNP=0 ADDRESS=0x1_0010_0000
     maps a page; grants read execute user supervisor supervisor-execute

translated to 0x1_0010_0345
     second stage, domain 5, root 0x1_0000_2000, 3 levels
     page of 4 KiB, grants read execute user supervisor supervisor-execute; 5 memory reads, 0 updates

caches afterwards
     context cache               00:01.0                       second stage, domain 5, root 0x1_0000_2000, 3 levels
     PASID cache                 -                             empty
     paging structures, level 2  0x3640_0000, 2 MiB, domain 5  level 1 table at 0x1_0000_4000; grants so far read write execute user supervisor supervisor-execute
     paging structures, level 3  0x0, 1 GiB, domain 5          level 2 table at 0x1_0000_3000; grants so far read write execute user supervisor supervisor-execute
     paging structures, level 4  -                             empty
     paging structures, level 5  -                             empty
     second-stage TLB            -                             absent in this unit
     IOTLB                       0x3654_3000, 4 KiB, domain 5  0x1_0010_0000; grants read execute user supervisor supervisor-execute
`);
  });

  test('takes the request from options, and shows faults with what was needed', async () => {
    const large = await run(
      '--tables',
      tables,
      '--iova',
      `0x${(LARGE + 5n).toString(16)}`,
      '--rid',
      '0:1.0',
      '--write',
    );
    expect(large.out).toContain('translated to 0x1_0020_0005\n');
    const denied = await run('--tables', tables, '--iova', String(SMALL), '--write');
    expect(denied.out).toMatch(
      /\nfault 5 \(0x5\): no write permission\n {5}the request needs write user\n {5}recorded; 5 memory reads, 0 updates\n/,
    );
    const wide = await run('--tables', tables, '--iova', '0x1_0000_0000_0000');
    expect(wide.out).toMatch(/\nfault 4 \(0x4\): address beyond the guest address width\n/);
    expect(wide.code).toBe(0);
    const other = await run('--tables', tables, '--iova', '0', '--rid', '1:0.0', '--privileged');
    expect(other.out).toMatch(/^.*\nprivileged read at 0x0 by 01:00.0 without PASID\n/);
    expect(other.out).toMatch(/\nfault 1 \(0x1\): root entry not present\n {5}recorded; 1 memory reads/);
  });

  test('picks an access of a file of several vectors', async () => {
    const { out } = await run('--tables', two, '--access', '8');
    expect(out).toMatch(/\nwrite at 0x3654_3000 by /);
    expect(out).toMatch(/\nfault 5 /);
  });

  test.each([
    [['--iova', '0'], "error E503: required option '--tables <file>' not specified\n"],
    [['--tables', 'TABLES'], 'TABLES: error E704: the file has no x line: give the request with --iova\n'],
    [['--tables', 'TWO'], 'TWO: error E704: the file holds several vectors: choose a request with --access\n'],
    [['--tables', 'TWO', '--access', '3'], 'TWO: error E704: the file has no access 3\n'],
    [
      ['--tables', 'TABLES', '--iova', '0x1g'],
      'error E503: --iova expects a number of at most 64 bits such as 0x7f001000, got "0x1g"\n',
    ],
    [
      ['--tables', 'TABLES', '--iova', '0x1ffffffffffffffff'],
      'error E503: --iova expects a number of at most 64 bits such as 0x7f001000, got "0x1ffffffffffffffff"\n',
    ],
    [
      ['--tables', 'TABLES', '--iova', '0', '--pasid', '0x100000'],
      'error E503: --pasid expects a number of at most 20 bits such as 0x7f001000, got "0x100000"\n',
    ],
    [
      ['--tables', 'TABLES', '--iova', '0', '--rid', '1:20.0'],
      'error E503: --rid expects bus:device.function such as "3:00.0", got "1:20.0"\n',
    ],
    [
      ['--tables', 'TABLES', '--iova', '0', '--write', '--execute'],
      'error E503: --write and --execute exclude each other\n',
    ],
    [['--tables', 'TABLES', '--pasid', '0'], 'error E503: --pasid needs --iova\n'],
    [['--tables', 'TABLES', '--iova', '0', '--access', '0'], 'error E503: --access and --iova exclude each other\n'],
    [
      ['--tables', 'TABLES', '--iova', '0', '--model', 'ideal'],
      'TABLES: error E703: the tables are for vtd, model ideal is a unit of ideal\n',
    ],
  ])('%j ends with status 2', async (argv, message) => {
    const real = (text: string): string => text.replace('TABLES', tables).replace('TWO', two);
    const { code, out, err } = await run(...argv.map(real));
    expect(err).toBe(real(message));
    expect(out).toBe('');
    expect(code).toBe(2);
  });

  test('an unknown model is answered with the nearest', async () => {
    const { err, code } = await run('--tables', tables, '--iova', '0', '--model', 'vtd-skk');
    expect(err).toMatch(/^error E505: there is no IOMMU model "vtd-skk"; there are .*; did you mean "vtd-skx"\?\n$/);
    expect(code).toBe(2);
  });
});

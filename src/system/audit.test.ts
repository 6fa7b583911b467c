import { describe, expect, it } from 'vitest';
import { Access } from '../protocol/access.js';
import { Audit } from './audit.js';

const PAGE = 4096;
const IOVA = 0x10000;
const READ_WRITE = Access.Read | Access.Write;

/** Domain 1 attached to requester 8 of unit 0, two pages mapped at IOVA to 2^33. */
function mapped(access: Access = READ_WRITE): Audit {
  const audit = new Audit();
  audit.attached(1, 0, 8, -1, false);
  audit.iovaAllocated(1, IOVA, 2 * PAGE);
  audit.mapped(1, IOVA, 2 ** 33, 2 * PAGE, access);
  return audit;
}
const touch = (audit: Audit, now: number, iova = IOVA, output = 2 ** 33 + iova - IOVA, access: Access = Access.Read) =>
  audit.translated(0, 8, -1, iova, output, 64, access, now);

describe('audit', () => {
  it('finds nothing wrong with a mapping used as granted', () => {
    const audit = mapped();
    touch(audit, 1);
    touch(audit, 2, IOVA + PAGE + 64);
    audit.unmapping(1, IOVA, 2 * PAGE, 3);
    touch(audit, 4);
    audit.unmapped(1, IOVA, 2 * PAGE, true, 5);
    audit.iovaFreed(1, IOVA, 2 * PAGE);
    audit.iovaAllocated(1, IOVA, PAGE);
    audit.mapped(1, IOVA, 2 ** 34, PAGE, Access.Read);
    touch(audit, 6, IOVA, 2 ** 34);
    expect([audit.violations, audit.translations, audit.staleAccesses]).toEqual([[], 4, 0]);
  });

  it.each<[string, RegExp, (audit: Audit) => void]>([
    [
      'a DMA after a strict unmap',
      /translated after its unmap/,
      (a) => {
        a.unmapping(1, IOVA, 2 * PAGE, 1);
        a.unmapped(1, IOVA, 2 * PAGE, true, 2);
        touch(a, 2);
      },
    ],
    ['a page nobody mapped', /translated after its unmap/, (a) => touch(a, 1, IOVA + 2 * PAGE)],
    ['another page than the one mapped', /translated to .*, mapped to/, (a) => touch(a, 1, IOVA, 2 ** 33 + PAGE)],
    ['an access beyond the grant', /used for access 2, granted 1/, () => {}],
    [
      'a requester attached to nothing',
      /attached to nothing/,
      (a) => a.translated(0, 9, -1, IOVA, 2 ** 33, 64, Access.Read, 1),
    ],
    ['another unit', /attached to nothing/, (a) => a.translated(1, 8, -1, IOVA, 2 ** 33, 64, Access.Read, 1)],
    [
      'a DMA after detach',
      /attached to nothing/,
      (a) => {
        a.detached(1, 0, 8, -1);
        touch(a, 1);
      },
    ],
    ['a second owner of a PASID', /attached twice/, (a) => a.attached(2, 0, 8, -1, false)],
    ['a detach of somebody else', /not its owner/, (a) => a.detached(2, 0, 8, -1)],
    ['an IOVA mapped twice', /mapped twice/, (a) => a.mapped(1, IOVA + PAGE, 2 ** 34, PAGE, Access.Read)],
    ['an IOVA handed out while mapped', /handed out while mapped/, (a) => a.iovaAllocated(1, IOVA + PAGE, PAGE)],
    ['an unmap of nothing', /unmapped but not mapped/, (a) => a.unmapping(1, IOVA + 2 * PAGE, PAGE, 1)],
    ['a return from an unmap that cleared nothing', /never cleared/, (a) => a.unmapped(1, IOVA, PAGE, true, 1)],
    [
      'an IOVA freed before its flush',
      /freed while a device can still reach it/,
      (a) => {
        a.unmapping(1, IOVA, 2 * PAGE, 1);
        a.unmapped(1, IOVA, 2 * PAGE, false, 2);
        a.iovaFreed(1, IOVA, 2 * PAGE);
      },
    ],
    [
      'an IOVA handed out before its flush',
      /handed out while its flush is pending/,
      (a) => {
        a.unmapping(1, IOVA, 2 * PAGE, 1);
        a.unmapped(1, IOVA, 2 * PAGE, false, 2);
        a.iovaAllocated(1, IOVA, PAGE);
      },
    ],
    [
      'pass-through that changes an address',
      /pass-through turned/,
      (a) => {
        a.attached(3, 0, 9, -1, true);
        a.translated(0, 9, -1, IOVA, IOVA + 64, 64, Access.Read, 1);
      },
    ],
  ])('catches %s', (name, pattern, act) => {
    const audit = mapped(name.includes('grant') ? Access.Read : READ_WRITE);
    act(audit);
    if (name.includes('grant')) touch(audit, 1, IOVA, 2 ** 33, Access.Write);
    expect(audit.violations.length).toBeGreaterThan(0);
    for (const violation of audit.violations) expect(violation).toMatch(pattern);
  });

  it('lazy: counts accesses between unmap and flush, and the exposure', () => {
    const audit = mapped();
    audit.unmapping(1, IOVA, 2 * PAGE, 100);
    touch(audit, 110);
    audit.unmapped(1, IOVA, 2 * PAGE, false, 120);
    touch(audit, 130);
    touch(audit, 140, IOVA + PAGE);
    audit.flushed(1, 99, 150); // started before the entries were cleared: covers nothing
    touch(audit, 160);
    audit.flushed(1, 105, 500);
    touch(audit, 510);
    expect([audit.staleAccesses, audit.staleBytes, audit.exposure.count, audit.exposure.max]).toEqual([3, 192, 1, 380]);
    expect(audit.staleAge.count).toBe(3);
    expect(audit.staleAge.max).toBeLessThan(380);
    expect(audit.violations).toEqual([expect.stringMatching(/translated after/)]);
  });

  it('lazy: a flush may cover entries whose unmap has not returned yet', () => {
    const audit = mapped();
    audit.unmapping(1, IOVA, 2 * PAGE, 100);
    audit.flushed(1, 110, 200);
    audit.iovaFreed(1, IOVA, 2 * PAGE);
    audit.iovaAllocated(1, IOVA, PAGE);
    audit.mapped(1, IOVA, 2 ** 34, PAGE, Access.Read);
    audit.unmapped(1, IOVA, 2 * PAGE, false, 210);
    touch(audit, 220, IOVA, 2 ** 34);
    expect([audit.violations, audit.staleAccesses, audit.exposure.max]).toEqual([[], 0, 0]);
  });

  it('keeps large mappings whole', () => {
    const audit = new Audit();
    audit.attached(1, 0, 8, -1, false);
    audit.mapped(1, 2 ** 40, 2 ** 33, 2 ** 40, READ_WRITE);
    audit.translated(0, 8, -1, 2 ** 40 + 0x12_3456_7040, 2 ** 33 + 0x12_3456_7040, 64, Access.Read, 1);
    expect(audit.violations).toEqual([]);
    audit.unmapping(1, 2 ** 40, 2 ** 40, 2);
    audit.unmapped(1, 2 ** 40, 2 ** 40, true, 3);
    audit.translated(0, 8, -1, 2 ** 40 + 0x12_3456_7040, 2 ** 33 + 0x12_3456_7040, 64, Access.Read, 4);
    expect(audit.violationCount).toBe(1);
  });
});

it('a page request group has one answer', () => {
  const audit = new Audit();
  audit.groupAsked(0, 5, 10);
  audit.groupAsked(1, 5, 10);
  audit.groupAnswered(0, 5, 20);
  audit.groupAsked(0, 5, 30);
  audit.groupAnswered(0, 5, 40);
  expect(audit.violations).toEqual([]);
  audit.groupAnswered(0, 5, 50);
  audit.groupAsked(1, 5, 60);
  expect(audit.violations).toEqual([
    '50 ps: page request group 5 of device 0 is answered, but not asked or answered already',
    '60 ps: device 1 uses page request group 5 twice at a time',
  ]);
});

import { expect, it } from 'vitest';
import { codeFingerprint, defaultFolder, packageVersion, planHash } from './identity.js';
import { fakePlan } from './testing/fake.js';

it('hashes what a run consists of, not how it is described', () => {
  const plan = fakePlan(2, 2);
  expect(planHash(plan)).toMatch(/^[0-9a-f]{16}$/);
  expect(planHash({ ...plan, question: 'other', file: '/elsewhere.yaml' })).toBe(planHash(plan));
  expect(planHash({ ...plan, name: 'other' })).not.toBe(planHash(plan));
  expect(planHash({ ...plan, points: plan.points.slice(1) })).not.toBe(planHash(plan));
});

it('derives a folder that is a single safe name', () => {
  expect(defaultFolder(fakePlan(1, 1))).toMatch(/^results\/runs\/fake-[0-9a-f]{8}$/);
  expect(defaultFolder(fakePlan(1, 1, '../a b/c'))).toMatch(/^results\/runs\/a-b-c-[0-9a-f]{8}$/);
  expect(defaultFolder(fakePlan(1, 1, '..'))).toMatch(/^results\/runs\/run-[0-9a-f]{8}$/);
});

it('knows its version and a stable fingerprint of its code', () => {
  expect(packageVersion()).toMatch(/^\d+\.\d+\.\d+/);
  expect(codeFingerprint()).toMatch(/^[0-9a-f]{16}$/);
  expect(codeFingerprint()).toBe(codeFingerprint());
});

import { describe, expect, it } from 'vitest';
import { Exclusion, exclude } from './exclusion.js';
import { Permission } from './row.js';

const { All, Read, Write, Execute, User, Supervisor, SupervisorExecute } = {
  All: Permission.All,
  Read: Permission.Read,
  Write: Permission.Write,
  Execute: Permission.Execute,
  User: Permission.User,
  Supervisor: Permission.Supervisor,
  SupervisorExecute: Permission.SupervisorExecute,
};
const NO_USER = All & ~User;
const NO_WRITE = All & ~Write;

describe('permissions that others take away', () => {
  it.each([
    [0, All, All],
    [Exclusion.UserWritableCode, All, All & ~SupervisorExecute],
    [Exclusion.UserWritableCode, NO_USER, NO_USER],
    [Exclusion.UserWritableCode, NO_WRITE, NO_WRITE],
    [Exclusion.WritableCode, All, All & ~(SupervisorExecute | Execute)],
    [Exclusion.WritableCode, NO_USER, NO_USER & ~SupervisorExecute],
    [Exclusion.WritableCode, NO_WRITE, NO_WRITE],
    [Exclusion.UserData, All, All & ~Supervisor],
    [Exclusion.UserData, NO_USER, NO_USER],
    [Exclusion.UserData | Exclusion.WritableCode, Read | User | Supervisor, Read | User],
  ])('%i of %i leaves %i', (exclusions, permissions, left) => {
    expect(exclude(exclusions, permissions)).toBe(left);
  });
});

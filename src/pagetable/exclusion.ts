/**
 * Permissions that a first stage takes away because of others that its entries grant (Arm D8.4: WXN, PAN, and privileged execution of
 * what unprivileged software can write). They depend on all entries of a walk together, so they apply at the leaf.
 */
import { Permission } from './row.js';

export const enum Exclusion {
  /** What users may write is not executed with privilege. */
  UserWritableCode = 1,
  /** What a request's own privilege may write is not executed (WXN). */
  WritableCode = 2,
  /** What users may access is not accessed with privilege (PAN). */
  UserData = 4,
}

/** The permissions that are left. */
export function exclude(exclusions: number, permissions: number): number {
  const writable = (permissions & Permission.Write) !== 0;
  const user = (permissions & Permission.User) !== 0;
  let taken = 0;
  if ((exclusions & Exclusion.UserWritableCode) !== 0 && writable && user) taken |= Permission.SupervisorExecute;
  if ((exclusions & Exclusion.WritableCode) !== 0 && writable) {
    taken |= user ? Permission.SupervisorExecute | Permission.Execute : Permission.SupervisorExecute;
  }
  if ((exclusions & Exclusion.UserData) !== 0 && user) taken |= Permission.Supervisor;
  return permissions & ~taken;
}

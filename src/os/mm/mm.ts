/**
 * One process address space (struct mm_struct). Small, as there may be a million: the page table is in simulated memory, and what only
 * address spaces shared with devices need is there only in those. Lists of one element are literals: an array that `push` has grown from
 * nothing has room for seventeen.
 */
import { RwSemaphore } from '../rw-semaphore.js';
import type { MmuNotifier } from './notifier.js';
import type { Vma } from './vma.js';

export class Mm {
  /** mmap_lock. */
  readonly lock = new RwSemaphore();
  regions: Vma[] = [];
  /** mm_users: the process and threads that look at its pages. 0: it is going or gone. */
  users = 1;
  /** PASID of the address space, kept until it dies; -1: none yet. */
  pasid = -1;
  notifiers: MmuNotifier[] | null = null;
  /** mm_count: holds the object, not its pages; all users together are one. */
  references = 1;
  /** Pointers carry tag bits (x86 LAM), which devices do not mask: the address space cannot be shared with them. */
  tagged = false;

  constructor(
    readonly id: number,
    /** Byte address of the root table; -1 when it has been freed. */
    public root: number,
  ) {}

  /** mmget_not_zero: false when the address space is dying. */
  get(): boolean {
    if (this.users === 0) return false;
    this.users++;
    return true;
  }

  register(notifier: MmuNotifier): void {
    if (this.notifiers === null) this.notifiers = [notifier];
    else this.notifiers.push(notifier);
  }

  /** A dead address space has forgotten its notifiers already. */
  unregister(notifier: MmuNotifier): void {
    const { notifiers } = this;
    if (notifiers === null) return;
    notifiers.splice(notifiers.indexOf(notifier), 1);
    if (notifiers.length === 0) this.notifiers = null;
  }
}

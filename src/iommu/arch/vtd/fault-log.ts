/**
 * Primary fault logging (VT-d specification, chapter 7 and the fault recording registers of chapter 11): a ring of NFR records in
 * the unit's registers. A fault that finds its record still in use is lost and sets the overflow bit. The software that reads and
 * clears records is not modelled (deviation 4): after NFR faults the log stays full, and what tells are the counts.
 */
import { Access } from '../../../protocol/access.js';
import { FaultCounters } from '../../fault-counters.js';
import { type AddressType, encodeFaultRecord, type FaultReason, faultRecorded, RequestType } from './format.js';

export class FaultLog {
  /** Four dwords a record, as encodeFaultRecord writes them. */
  readonly records: Int32Array;
  /** Fault recording register that the next fault goes to. */
  private next = 0;
  overflow = false;
  readonly counters = new FaultCounters();
  private readonly scratch = new Int32Array(4);

  /** `capacity`: fault recording registers (CAP.NFR + 1). */
  constructor(private readonly capacity: number) {
    this.records = new Int32Array(4 * capacity);
  }

  record(
    reason: FaultReason,
    source: number,
    pasid: number,
    hi: number,
    lo: number,
    access: Access,
    type: AddressType,
    request: RequestType = access === Access.Write ? RequestType.Write : RequestType.Read,
  ): void {
    this.counters.count(reason);
    const at = 4 * this.next;
    if (faultRecorded(this.records[at + 3]!)) {
      this.overflow = true;
      this.counters.lost++;
      return;
    }
    encodeFaultRecord(this.scratch, reason, source, pasid, hi, lo, request, type);
    this.records.set(this.scratch, at);
    this.next = (this.next + 1) % this.capacity;
  }
}

/**
 * The one record that is ever scheduled. A DMA, a TLP, a page-table walk, a queued command, a CPU thread and a timer are
 * all instances of this class: one constructor, fixed int32 fields, so that V8 keeps every call site monomorphic.
 * The due time lives in the event queue; whoever currently holds the event owns its fields.
 * Hot path: see bench/ (event queue, end to end).
 */
export class Event {
  /** Its node in the event queue, 0 before it is scheduled for the first time. Owned by the queue. */
  node = 0;
  /** Stage that handles the event next; an `Op` of protocol/op. */
  op = 0;
  /** Which instance of the handling component (index into the system's table of that kind). */
  unit = 0;
  /** Index of the bulk state in the owner's typed arrays (TLP slot, walk slot, thread number). */
  id = 0;
  /** Index of the record this one is part of (the DMA of a TLP). */
  parent = 0;
  /** Index of the issuer (device, CPU). */
  source = 0;
  /** Intrusive list while parked (FIFO, waiter list). Owned by whoever parked the event. */
  next: Event | null = null;

  /** Bit set, declared by the protocol in use. */
  flags = 0;
  /** Payload size in bytes. */
  bytes = 0;
  /** Input address, byte address as an int32 pair. */
  addressLo = 0;
  addressHi = 0;
  /** Output (translated) address, or the value carried, as an int32 pair. */
  outLo = 0;
  outHi = 0;
  /** Address space: PASID, or -1 for a request without PASID. */
  context = -1;
  /** Position inside a multi-step job. */
  state = 0;
  level = 0;
  value = 0;

  /** Second step of `Kernel.relay`: its stage and its delay, picoseconds below 2^31. */
  opAfter = 0;
  delayAfter = 0;
}

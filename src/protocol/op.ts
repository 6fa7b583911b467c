/**
 * Every stage an event can be due for. The kernel carries the number, system/dispatch switches over it, components name it.
 * Declared here, once, so that no component needs to import another to hand work on.
 */
export const enum Op {
  /** Device: the issue gate opens (interval elapsed, open-loop arrival). */
  DeviceIssue,
  /** Device: a flow-control credit or tag has become available. */
  DeviceCredit,
  /** Device: last byte of the completion of a read TLP has arrived, or a posted write is globally visible. */
  DeviceDone,
  /** Root port: a TLP has arrived from the link. */
  PortArrive,
  /** IOMMU: result of the lookup pipeline. */
  IommuLookup,
  /** IOMMU: one word of a directory or table arrived at a walker. */
  WalkRead,
  /** IOMMU: a walk has ended and its waiting transactions are replayed. */
  WalkReplay,
  /** IOMMU: invalidation queue engine, next step. */
  InvalidationStep,
  /** IOMMU: a register write has arrived. */
  MmioWrite,
  /** Memory has served the TLP. */
  MemoryServed,
  /** OS: a thread's current step is over. */
  ThreadStep,
  /** OS: a timer is due. */
  Timer,
  /** Run control: end of a window. */
  WindowEnd,
  /** IOMMU: memory has taken a record of the event queue. */
  EventRecorded,
  /** Device TLB: result of the lookup. */
  AtcLookup,
  /** Device TLB: the answer of a translation request has arrived. */
  AtcAnswer,
  /** Device TLB: the data of a read are complete. */
  AtcDone,
  /** Device TLB: an Invalidate Request has arrived. */
  AtcInvalidate,
  /** Device TLB: the invalidation takes effect. */
  AtcForget,
  /** Device TLB: a flow-control credit has become available. */
  AtcCredit,
  /** IOMMU: the check of a translated request. */
  AtsCheck,
  /** IOMMU: a device should have answered an invalidation by now. */
  AtsTimeout,
  /** Root port: a translation request has its answer. */
  AtsAnswer,
  /** Device: pages have been gathered long enough. */
  PageGroupDue,
  /** Root port: a Page Request Message has arrived. */
  PageRequestArrive,
  /** IOMMU: memory has taken a record of the page request queue. */
  PageRecorded,
  /** Device: a Page Request Group Response has arrived. */
  PageResponse,
  /** Accelerator: a write to a portal leaves the root complex, reaches the device, and its answer the core. */
  PortalEnter,
  PortalArrive,
  PortalReturn,
  PortalAnswer,
  /** Accelerator: a descriptor goes from its queue to an engine. */
  AcceleratorDispatch,
  /** Kernel: second half of a stage that was not elided (`--every-event`). */
  Relay,
}

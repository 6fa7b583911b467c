/** What drivers of IOMMUs know of a device (struct device, struct device_domain_info). */

/** A device as its driver and its group know it. */
export interface Endpoint {
  readonly id: number;
  readonly name: string;
  /** Index of the IOMMU unit, -1 when DMA reaches memory directly. */
  readonly unit: number;
  readonly requester: number;
  /** Address Translation Services are enabled in the device; null: they are not, or it has none. */
  readonly ats: AtsCapability | null;
}

/** What the ATS capability of a device tells its IOMMU's driver. */
export interface AtsCapability {
  /** Invalidations that the device accepts at a time (Invalidate Queue Depth), 1 to 32. */
  readonly queueDepth: number;
  /** The device asks for pages without a translation (Page Request Interface). */
  readonly pageRequests: boolean;
}

/** What a device can take in one segment of a scatter list (struct device_dma_parameters, include/linux/dma-mapping.h). */
export interface DmaLimits {
  /** Most bytes of a segment (dma_get_max_seg_size). */
  readonly maxSegment: number;
  /** No segment crosses a multiple of this many bytes, a power of two (dma_get_seg_boundary + 1). */
  readonly boundary: number;
}

/** A driver that says nothing gets these. */
export const DEFAULT_LIMITS: DmaLimits = { maxSegment: 65536, boundary: 2 ** 32 };

import type { Access } from './access.js';

/** Descriptor ring between a driver and its device, reduced to what matters here: order, one DMA a descriptor. */
export interface DeviceQueue {
  /** Hands a buffer to device number `device`, which performs one DMA over it, in the order posted. `tag` comes back. Requests carry `pasid`, by default none. */
  post(
    device: number,
    tag: number,
    addressHi: number,
    addressLo: number,
    bytes: number,
    access: Access,
    pasid?: number,
  ): void;
}

export const enum DmaStatus {
  Ok = 0,
  /** At least one transaction of the DMA was not translated. */
  Fault = 1,
}

export interface DeviceClient {
  /** The device has finished the DMA of `tag` and software can see it. */
  completed(device: number, tag: number, status: DmaStatus): void;
}

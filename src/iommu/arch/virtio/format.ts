/**
 * virtio-iommu on the wire: requests and fault reports (virtio specification 1.2, 5.13; Linux include/uapi/linux/virtio_iommu.h), split
 * virtqueues (2.7; virtio_ring.h) and the registers of virtio over PCI (4.1.4; offsets of the parts as QEMU lays them out). All
 * little-endian: dword i of a structure is at byte 4 * i, the lower half of a 64-bit word first.
 */

/** Registers: common configuration at 0, device configuration at 0x2000, notification at 0x3000. */
export const enum Register {
  DeviceStatus = 0x14,
  QueueSelect = 0x16,
  QueueSize = 0x18,
  QueueEnable = 0x1c,
  QueueDescriptors = 0x20,
  QueueDriver = 0x28,
  QueueDevice = 0x30,
  /** struct virtio_iommu_config: bypass. */
  Bypass = 0x2024,
  /** The value is the number of the queue. */
  Notify = 0x3000,
  /**
   * The simulator's own: the request at this address is executed in no time. Boot, which takes none, uses it instead of the queue.
   */
  Boot = 0x3ff8,
}

export const enum Queue {
  Request = 0,
  Event = 1,
}

export const enum RequestType {
  Attach = 1,
  Detach = 2,
  Map = 3,
  Unmap = 4,
  Probe = 5,
}

/** Bytes that the device reads of a request: all but its tail, which it writes. */
export const enum RequestBytes {
  AttachDetach = 20,
  Map = 36,
  Unmap = 28,
  Tail = 4,
}

/** Offset of the tail of a request whose tail the device finds by itself. */
export function tailOffset(type: number): number {
  if ((type as RequestType) === RequestType.Map) return RequestBytes.Map;
  return (type as RequestType) === RequestType.Unmap ? RequestBytes.Unmap : RequestBytes.AttachDetach;
}

export const enum Status {
  Ok = 0,
  IoError = 1,
  Unsupported = 2,
  DeviceError = 3,
  Invalid = 4,
  Range = 5,
  NoEntry = 6,
  Fault = 7,
  NoMemory = 8,
}

export const ATTACH_BYPASS = 1;

export const enum MapFlag {
  Read = 1,
  Write = 2,
  Mmio = 4,
  All = 7,
}

/** Dword of each field. */
const enum At {
  Type = 0,
  Domain = 1,
  Endpoint = 2,
  AttachFlags = 3,
}

/** Of MAP and UNMAP, after the domain. */
const enum RangeAt {
  StartLo = 2,
  StartHi = 3,
  EndLo = 4,
  EndHi = 5,
  PhysicalLo = 6,
  PhysicalHi = 7,
  MapFlags = 8,
}

/** A request without its tail. Addresses are doubles; `end` is the last byte, as in the structure. */
export class Request {
  type = 0;
  domain = 0;
  endpoint = 0;
  flags = 0;
  start = 0;
  end = 0;
  physical = 0;
}

const wide = (hi: number, lo: number): number => (hi >>> 0) * 2 ** 32 + (lo >>> 0);

/** Decodes the first `bytes` bytes of a request; false if they are fewer than its type has. */
export function decodeRequest(words: Int32Array, bytes: number, request: Request): boolean {
  request.type = words[At.Type]! & 0xff;
  request.domain = words[At.Domain]!;
  switch (request.type as RequestType) {
    case RequestType.Attach:
    case RequestType.Detach:
      request.endpoint = words[At.Endpoint]!;
      request.flags = words[At.AttachFlags]!;
      return bytes >= RequestBytes.AttachDetach;
    case RequestType.Map:
    case RequestType.Unmap:
      request.start = wide(words[RangeAt.StartHi]!, words[RangeAt.StartLo]!);
      request.end = wide(words[RangeAt.EndHi]!, words[RangeAt.EndLo]!);
      request.physical = wide(words[RangeAt.PhysicalHi]!, words[RangeAt.PhysicalLo]!);
      request.flags = words[RangeAt.MapFlags]!;
      return bytes >= (request.type === RequestType.Map ? RequestBytes.Map : RequestBytes.Unmap);
    default:
      return true;
  }
}

export function encodeAttach(words: Int32Array, domain: number, endpoint: number, bypass: boolean): RequestBytes {
  begin(words, RequestType.Attach, domain);
  words[At.Endpoint] = endpoint;
  words[At.AttachFlags] = bypass ? ATTACH_BYPASS : 0;
  return RequestBytes.AttachDetach;
}

export function encodeDetach(words: Int32Array, domain: number, endpoint: number): RequestBytes {
  begin(words, RequestType.Detach, domain);
  words[At.Endpoint] = endpoint;
  return RequestBytes.AttachDetach;
}

/** Maps [start, start + bytes) to `physical`; `flags` MapFlag bits. */
export function encodeMap(
  words: Int32Array,
  domain: number,
  start: number,
  bytes: number,
  physical: number,
  flags: number,
): RequestBytes {
  begin(words, RequestType.Map, domain);
  putAddress(words, RangeAt.StartLo, start);
  putAddress(words, RangeAt.EndLo, start + bytes - 1);
  putAddress(words, RangeAt.PhysicalLo, physical);
  words[RangeAt.MapFlags] = flags;
  return RequestBytes.Map;
}

export function encodeUnmap(words: Int32Array, domain: number, start: number, bytes: number): RequestBytes {
  begin(words, RequestType.Unmap, domain);
  putAddress(words, RangeAt.StartLo, start);
  putAddress(words, RangeAt.EndLo, start + bytes - 1);
  return RequestBytes.Unmap;
}

function begin(words: Int32Array, type: RequestType, domain: number): void {
  words.fill(0);
  words[At.Type] = type;
  words[At.Domain] = domain;
}

function putAddress(words: Int32Array, at: number, address: number): void {
  words[at] = address | 0;
  words[at + 1] = Math.floor(address / 2 ** 32);
}

/** Dwords that hold any request. */
export const REQUEST_WORDS = 16;

/** Why a DMA was refused. */
export const enum FaultReason {
  Unknown = 0,
  /** The endpoint is attached to no domain. */
  Domain = 1,
  /** No mapping, or not for this kind of access. */
  Mapping = 2,
}

const enum FaultFlag {
  Read = 1,
  Write = 2,
  Address = 0x100,
}

export const FAULT_BYTES = 24;

/** struct virtio_iommu_fault. */
export function encodeFault(
  words: Int32Array,
  reason: FaultReason,
  write: boolean,
  endpoint: number,
  hi: number,
  lo: number,
): void {
  words[0] = reason;
  words[1] = (write ? FaultFlag.Write : FaultFlag.Read) | FaultFlag.Address;
  words[2] = endpoint;
  words[3] = 0;
  words[4] = lo;
  words[5] = hi;
}

/** A split virtqueue: descriptors, then in other areas the rings of what is available and what was used. */
export const enum Ring {
  DescriptorBytes = 16,
  /** flags and idx come before the entries of both rings. */
  HeaderBytes = 4,
  AvailableEntry = 2,
  UsedEntry = 8,
}

export const enum DescriptorFlag {
  Next = 1,
  Write = 2,
}

/** avail->flags: the driver polls. */
export const NO_INTERRUPT = 1;

/** Bytes of each area for a queue of `size` entries, without the event index fields at their ends. */
export function ringBytes(size: number): {
  readonly descriptors: number;
  readonly available: number;
  readonly used: number;
} {
  return {
    descriptors: Ring.DescriptorBytes * size,
    available: Ring.HeaderBytes + Ring.AvailableEntry * size,
    used: Ring.HeaderBytes + Ring.UsedEntry * size,
  };
}

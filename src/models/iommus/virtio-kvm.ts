/** virtio-iommu of QEMU and KVM with assigned devices: the host's VT-d unit walks the shadow tables. */
import { assumed, spec } from '../quantity.js';
import { defineSheet, type Parameters, type Sheet } from '../sheet.js';
import { legacyUnit, structure } from './vtd.js';
import { NO_PAGE_REQUESTS, NO_STALLS } from './stalls.js';
import { noDeviceTlb } from './device-tlb.js';

const QEMU = 'QEMU hw/virtio/virtio-iommu.c';
const EXIT = 'order of a VM exit with a hand-over to a thread of the host, 1.5 to 3 us';
const absent: Parameters = {
  ...structure(assumed(16, 'entries', 'not there'), 16, 0, 'not there'),
  enabled: spec(false, '', 'no PASIDs'),
};

export const virtioKvm: Sheet = defineSheet({
  name: 'virtio-kvm',
  title: 'virtio-iommu on QEMU and KVM, devices assigned',
  kind: 'iommu',
  description:
    'Requests over a virtqueue; the host keeps a shadow table of four levels for each domain, which a Skylake-class VT-d unit walks.',
  parameters: {
    ...legacyUnit,
    architecture: spec('virtio', '', 'virtio specification 1.2, 5.13'),
    mode: spec('native', '', 'virtio specification 1.2, 5.13'),
    deviceLevels: spec(0, 'levels', "the host's context entries stay cached"),
    processLevels: spec(0, 'levels', 'virtio specification 1.2: no PASIDs'),
    pasidCache: absent,
    invalidation: {
      sizeLg2: spec(8, 'log2 descriptors', `${QEMU}: queues of 256`),
      queues: spec(1, 'queues', 'the architecture has one'),
      start: assumed(2000, 'ns', EXIT),
      context: assumed(1500, 'ns', 'as a map of the host'),
      pasid: assumed(1500, 'ns', 'MAP: order of a 4 KiB map through VFIO or iommufd, 1 to 2 us'),
      iotlbGlobal: assumed(0, 'ns', 'no such request'),
      iotlbDomain: assumed(0, 'ns', 'no such request'),
      iotlbPage: assumed(3000, 'ns', 'UNMAP: order of a strict unmap of the host, 2 to 5 us'),
      wait: assumed(700, 'ns', 'order of the work for any request in the device, 0.5 to 1 us'),
      ...noDeviceTlb,
      drain: spec(true, '', "the host's unit drains, as VT-d's CAP.DRD and CAP.DWD say"),
      hintHonoured: spec(true, '', "Linux drivers/iommu/intel passes the hint in the host's unmaps"),
      nonLeafScope: spec('range', '', 'freed tables only'),
      maxAddressMask: spec(52, 'log2 pages', 'UNMAP names any range'),
    },
    faults: {
      records: spec(256, 'buffers', `${QEMU}: event queue of 256`),
      stalls: NO_STALLS,
      pageRequests: NO_PAGE_REQUESTS,
    },
  },
});

/** No IOMMU: requests reach memory with the addresses that the driver gives. The other baseline of comparisons. */
import { spec } from '../quantity.js';
import { defineSheet, type Sheet } from '../sheet.js';
import { ideal } from './ideal.js';

export const none: Sheet = defineSheet({
  name: 'none',
  title: 'No IOMMU',
  kind: 'iommu',
  description: 'The port has no IOMMU and devices use physical addresses. Nothing but the architecture is looked at.',
  parameters: { ...ideal.parameters, architecture: spec('none', '', 'definition of the baseline') },
});

/**
 * Costs of mapping memory of a process for a device. The system call and the pinning of a page are fitted to a published benchmark
 * (`iommusim fit --stage 9`), which shows a time per call and a time per page only.
 */
import { assumed, spec } from '../quantity.js';
import { type Parameters, withFitted } from '../sheet.js';

/** Name of these parameters among the fitted tables. */
export const USER_MAP = 'user-map';

const START = 'where the fit starts';

/** Before the fit. */
export const USER_MAP_START: Parameters = {
  call: assumed(10, 'us', START),
  pinBatch: spec(512, 'pages', 'Linux drivers/vfio/vfio_iommu_type1.c: VFIO_BATCH_MAX_CAPACITY, one page of pointers'),
  pinCall: assumed(200, 'ns', 'order of one pin_user_pages_fast that finds its pages present'),
  pinPage: assumed(1, 'us', START),
  unpinPage: assumed(100, 'ns', 'not published; order of giving a page back'),
  run: assumed(50, 'ns', 'order of the loop around iommu_map'),
};

export const userMap: Parameters = withFitted(USER_MAP, USER_MAP_START);

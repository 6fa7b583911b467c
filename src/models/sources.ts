/** Citations that several sheets share. */

export const PCIE_BENCH = 'pcie-bench/data @ b2abf2f (Neugebauer et al., SIGCOMM 2018)';
export const PCIE_BASE = 'PCI Express Base Specification';
export const VTD = 'Intel VT-d specification';
export const ARK = 'Intel ARK';
export const GENERIC_PT_V3 =
  'J. Gunthorpe, "Consolidate iommu page table implementations" v3 0/15, linux-iommu 2025 (Core i7-12700, kunit)';
export const RIOMMU = 'Malka et al., rIOMMU, ASPLOS 2015, Table 1: 2127 cycles an invalidation at 3.1 GHz';
export const DEVICE_SIDE = 'start value; only the sum along the path is visible in published measurements';

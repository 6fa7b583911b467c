/** Citations that several sheets share. */

export const PCIE_BENCH = 'pcie-bench/data @ b2abf2f (Neugebauer et al., SIGCOMM 2018)';
export const PCIE_BASE = 'PCI Express Base Specification';
export const VTD = 'Intel VT-d specification';
export const ARK = 'Intel ARK';
export const GENERIC_PT_V3 =
  'J. Gunthorpe, "Consolidate iommu page table implementations" v3 0/15, linux-iommu 2025 (Core i7-12700, kunit)';
export const RIOMMU = 'Malka et al., rIOMMU, ASPLOS 2015, Table 1: 2127 cycles an invalidation at 3.1 GHz';
export const FAST_AND_SAFE = 'Fast & Safe IO Memory Protection, SOSP 2024';
export const HYPERTRIO = 'Lavrov and Wentzlaff, HyperTRIO, ISCA 2020';
export const HYPERSIO = 'PrincetonUniversity/hypersio @ 77edd0b, the simulator of HyperTRIO';
export const DEVICE_SIDE = 'start value; only the sum along the path is visible in published measurements';
export const AMDVI = 'AMD IOMMU specification 48882';
export const LINUX_AMD = 'Linux drivers/iommu/amd';
export const NBIO = 'Linux drivers/gpu/drm/amd/include/asic_reg/nbio: registers of the IOMMU in NBIO';
export const OPENSIL = 'openSIL xUSL/NBIO/IOD/NbioIommuTbl.h and Iommul2Reg.h (Genoa)';

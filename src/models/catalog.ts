/** Every model sheet that ships. Adding one is one data file and one line here. */
import { dsa } from './devices/dsa.js';
import { nfp6000 } from './devices/nfp6000.js';
import { nic100g } from './devices/nic-100g.js';
import { nvmeGen4 } from './devices/nvme-gen4.js';
import { hypertrio } from './iommus/hypertrio.js';
import { riscvServer } from './iommus/riscv-server.js';
import { riscvZeroDay } from './iommus/riscv-zero-day.js';
import { gem5Smmuv3 } from './iommus/gem5-smmuv3.js';
import { grace } from './iommus/grace.js';
import { graceNested } from './iommus/grace-nested.js';
import { amdviGenoa } from './iommus/amdvi-genoa.js';
import { amdviMilan } from './iommus/amdvi-milan.js';
import { amdviNaples } from './iommus/amdvi-naples.js';
import { amdviRome } from './iommus/amdvi-rome.js';
import { ideal } from './iommus/ideal.js';
import { none } from './iommus/none.js';
import { kunpeng920 } from './iommus/kunpeng-920.js';
import { mmu600 } from './iommus/mmu-600.js';
import { mmu700 } from './iommus/mmu-700.js';
import { appleM1Dart } from './iommus/apple-m1-dart.js';
import { power9Phb4 } from './iommus/power9-phb4.js';
import { virtioKvm } from './iommus/virtio-kvm.js';
import { vtdBdwEp } from './iommus/vtd-bdw-ep.js';
import { vtdClx } from './iommus/vtd-clx.js';
import { vtdHswEp } from './iommus/vtd-hsw-ep.js';
import { vtdIcx } from './iommus/vtd-icx.js';
import { vtdIvbEp } from './iommus/vtd-ivb-ep.js';
import { vtdSkx } from './iommus/vtd-skx.js';
import { vtdSnbEp } from './iommus/vtd-snb-ep.js';
import { vtdSpr } from './iommus/vtd-spr.js';
import { vtdSprNested } from './iommus/vtd-spr-nested.js';
import { bdwE52630v4 } from './machines/bdw-e5-2630v4.js';
import { clx6234 } from './machines/clx-6234.js';
import { grace72 } from './machines/grace-72.js';
import { hswE52620v3 } from './machines/hsw-e5-2620v3.js';
import { hswE52637v3 } from './machines/hsw-e5-2637v3.js';
import { icx4314 } from './machines/icx-4314.js';
import { kunpeng920Machine } from './machines/kunpeng-920.js';
import { snbE31220 } from './machines/snb-e3-1220.js';
import { linuxIcx4314, linuxKunpeng920, linuxSnbE31220 } from './os/measured-hosts.js';
import { icx8362 } from './machines/icx-8362.js';
import { ivbE52620v2 } from './machines/ivb-e5-2620v2.js';
import { skx8160 } from './machines/skx-8160.js';
import { skx81602s } from './machines/skx-8160-2s.js';
import { snbE52630 } from './machines/snb-e5-2630.js';
import { spr8480 } from './machines/spr-8480.js';
import { linux319 } from './os/linux-3.19.js';
import { linux72 } from './os/linux-7.2.js';
import { linux72Arm64 } from './os/linux-7.2-arm64.js';
import type { Sheet, SheetKind } from './sheet.js';

export const SHEETS: readonly Sheet[] = [
  bdwE52630v4,
  hswE52620v3,
  hswE52637v3,
  ivbE52620v2,
  snbE52630,
  skx8160,
  skx81602s,
  clx6234,
  icx8362,
  icx4314,
  snbE31220,
  kunpeng920Machine,
  spr8480,
  grace72,
  vtdSnbEp,
  vtdIvbEp,
  vtdHswEp,
  vtdBdwEp,
  vtdSkx,
  vtdClx,
  vtdIcx,
  vtdSpr,
  vtdSprNested,
  hypertrio,
  riscvZeroDay,
  riscvServer,
  mmu600,
  mmu700,
  kunpeng920,
  grace,
  graceNested,
  gem5Smmuv3,
  amdviNaples,
  amdviRome,
  amdviMilan,
  amdviGenoa,
  power9Phb4,
  appleM1Dart,
  virtioKvm,
  ideal,
  none,
  dsa,
  nfp6000,
  nic100g,
  nvmeGen4,
  linux72,
  linux72Arm64,
  linux319,
  linuxKunpeng920,
  linuxSnbE31220,
  linuxIcx4314,
];

/** The sheet of that name, or null. */
export function findSheet(name: string): Sheet | null {
  return SHEETS.find((sheet) => sheet.name === name) ?? null;
}

/** Names of the sheets of one kind, in catalogue order. */
export function sheetNames(kind: SheetKind): string[] {
  return SHEETS.filter((sheet) => sheet.kind === kind).map((sheet) => sheet.name);
}

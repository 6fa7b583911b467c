/** PCI Express links as functions of generation and width; the byte counts follow the 128b/130b framing of generation 3 to 5. */
import { assumed, spec } from '../quantity.js';
import type { Parameters } from '../sheet.js';
import { DEVICE_SIDE, PCIE_BASE, PCIE_BENCH } from '../sources.js';

export function link(generation: number, width: number, source: string): Parameters {
  return {
    generation: spec(generation, '', source),
    width: spec(width, 'lanes', source),
    maxPayload: assumed(256, 'B', 'usual setting of Intel root ports; Neugebauer et al., SIGCOMM 2018, section 3'),
    maxReadRequest: assumed(512, 'B', 'usual setting; Neugebauer et al., SIGCOMM 2018, section 3'),
    requestOverhead: spec(24, 'B', `${PCIE_BASE}: 4 framing and sequence + 16 header + 4 LCRC`),
    completionOverhead: spec(20, 'B', `${PCIE_BASE}: 4 framing and sequence + 12 header + 4 LCRC`),
    dllpShare: assumed(5, '%', `${PCIE_BENCH}: 512 B reads leave at most 6 % of the raw rate`),
    latency: assumed(50, 'ns', DEVICE_SIDE),
    tags: assumed(256, 'tags', `${PCIE_BASE}: 8-bit tags`),
  };
}

/** How a unit deals with TLBs in devices: nothing is published about the time its commands take. */
import { assumed } from '../quantity.js';
import type { Parameters } from '../sheet.js';
import { PCIE_BASE } from '../sources.js';

/** `timeout`: of an unanswered invalidation. */
export function deviceTlbCommands(
  timeout = assumed(60, 's', `${PCIE_BASE} 10.3.1: a device has one minute, and half as much again`),
): Parameters {
  return { deviceTlb: assumed(20, 'ns', 'not published for any part'), deviceTimeout: timeout };
}

/** An architecture without ATS. */
export const noDeviceTlb: Parameters = {
  deviceTlb: assumed(0, 'ns', 'no such command'),
  deviceTimeout: assumed(60, 's', 'no such command'),
};

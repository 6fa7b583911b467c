/**
 * Registers of a unit that its parts look at (Arm IHI 0070G chapter 6). Writes take effect when they arrive; CR0ACK follows at once.
 * The command queue's base and indices are the ring of the command queue; the event queue keeps its own.
 */
import type { CommandError } from './format.js';

export class Registers {
  /** STRTAB_BASE, STRTAB_BASE_CFG: log2 of the number of StreamIDs; StreamID bits of the second level, 0 for a linear table. */
  streamHi = 0;
  streamLo = 0;
  streamsLg2 = 0;
  split = 0;
  /** CR0.SMMUEN; GBPA.ABORT: what becomes of requests while it is clear. */
  enabled = false;
  abortsAll = false;
  /** CR2.E2H, CR2.RECINVSID: EL2 streams have ASIDs; requests of unknown streams are recorded. */
  recordsInvalidStreams = false;
  /** CMDQ_CONS.ERR; bits of GERROR and GERRORN. */
  commandError: CommandError = 0;
  globalError = 0;
  globalErrorAcknowledged = 0;
}

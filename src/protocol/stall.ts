/**
 * Stalled transactions as they are measured. Hardware and software know a stall by its tag, which is used again; who measures wants to know when
 * it began and when it was really over. Nothing in hardware or software depends on what goes through here.
 */
export interface StallClient {
  /** Software's command reached the unit at `resumedAt`; the transaction has been translated, refused or has faulted again at `now`. ps */
  ended(resumedAt: number, now: number): void;
}

export interface StallLog {
  /** When the transaction with the tag faulted, and when its record was in memory, absolute ps. */
  faultedAt(tag: number): number;
  recordedAt(tag: number): number;
  /** `client` is told of the end of the stall that has the tag now. */
  follow(tag: number, client: StallClient): void;
}

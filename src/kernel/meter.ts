/**
 * Counts completed operations of all jobs and says when a window (warm-up, measurement) is over. The run loop looks at `open`
 * after every event, so a window of n operations ends with exactly the n-th.
 */
export class Meter {
  /** Operations since `start`. */
  operations = 0;
  /** Operations since whoever owns the windows last set it to 0. */
  total = 0;
  open = true;
  private limit = 0;

  /** Starts a window that closes after `limit` operations; 0 = never by count. */
  start(limit: number): void {
    this.operations = 0;
    this.limit = limit;
    this.open = true;
  }

  /** One operation is complete. */
  count(): void {
    this.operations++;
    this.total++;
    if (this.operations === this.limit) this.open = false;
  }

  close(): void {
    this.open = false;
  }
}

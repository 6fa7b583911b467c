/**
 * Progress of a run for a person: a bar that redraws itself on a terminal, a line now and then elsewhere, nothing when quiet.
 * Host time enters here only; no result depends on it.
 */
export interface ProgressStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

const REDRAW_MILLISECONDS = 100;
const LINE_MILLISECONDS = 10_000;
const BAR_WIDTH = 30;

export class Progress {
  private readonly begin: number;
  private readonly live: boolean;
  private done: number;
  private lastShown = Number.NEGATIVE_INFINITY;

  /** `reused` points of `total` are there already. `now` is in ms. */
  constructor(
    private readonly stream: ProgressStream | null,
    private readonly total: number,
    private readonly reused: number,
    private readonly now: () => number = () => performance.now(),
  ) {
    this.begin = now();
    this.done = reused;
    this.live = stream?.isTTY === true;
    if (!this.live) this.lastShown = this.begin;
    if (reused > 0) this.line(`${reused} of ${total} points are there already`);
    this.show();
  }

  /** One more point is stored. */
  advance(): void {
    this.done++;
    this.show();
  }

  /** Removes the bar; says how it went where there was none. */
  finish(): void {
    if (this.live) this.stream?.write('\r\x1b[K');
    else if (this.done > this.reused) this.line(this.status());
  }

  private show(): void {
    const now = this.now();
    if (now - this.lastShown < (this.live ? REDRAW_MILLISECONDS : LINE_MILLISECONDS)) return;
    this.lastShown = now;
    if (!this.live) {
      this.line(this.status());
      return;
    }
    const filled = Math.floor((this.done / this.total) * BAR_WIDTH);
    const text = `${'#'.repeat(filled)}${'-'.repeat(BAR_WIDTH - filled)} ${this.status()}`;
    this.stream?.write(`\r${text.slice(0, (this.stream.columns || 80) - 1)}\x1b[K`);
  }

  private status(): string {
    const seconds = (this.now() - this.begin) / 1000;
    const rate = seconds > 0 ? (this.done - this.reused) / seconds : 0;
    const left = this.total - this.done;
    const eta = rate > 0 && left > 0 ? `, ${duration(left / rate)} left` : '';
    return `${this.done}/${this.total} points, ${rate < 10 ? rate.toFixed(1) : rate.toFixed(0)}/s${eta}`;
  }

  private line(text: string): void {
    this.stream?.write(this.live ? `\r\x1b[K${text}\n` : `${text}\n`);
  }
}

/** Seconds as `12 s`, `3 min 20 s` or `2 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

import { describe, expect, it } from 'vitest';
import { duration, Progress } from './progress.js';

class Screen {
  text = '';
  constructor(
    readonly isTTY: boolean,
    readonly columns = 80,
  ) {}
  write(text: string): void {
    this.text += text;
  }
}

describe('progress', () => {
  it('draws a bar with rate and time left on a terminal, and removes it', () => {
    const screen = new Screen(true);
    let now = 0;
    const progress = new Progress(screen, 10, 0, () => now);
    for (let i = 0; i < 5; i++) {
      now += 1000;
      progress.advance();
    }
    const last = screen.text.split('\r').at(-1)!;
    expect(last).toBe(`${'#'.repeat(15)}${'-'.repeat(15)} 5/10 points, 1.0/s, 5 s left\x1b[K`);
    progress.finish();
    expect(screen.text.endsWith('\r\x1b[K')).toBe(true);
    expect(screen.text).not.toContain('\n');
  });

  it('redraws ten times a second at most and never wraps a narrow terminal', () => {
    const screen = new Screen(true, 40);
    let now = 0;
    const progress = new Progress(screen, 1000, 0, () => now);
    for (let i = 0; i < 1000; i++) {
      now += 1;
      progress.advance();
    }
    const frames = screen.text.split('\r').slice(1);
    expect(frames).toHaveLength(11);
    for (const frame of frames) expect(frame.replace('\x1b[K', '').length).toBeLessThan(40);
  });

  it('prints a line every ten seconds elsewhere, and one at the end', () => {
    const screen = new Screen(false);
    let now = 0;
    const progress = new Progress(screen, 30, 4, () => now);
    for (let i = 0; i < 26; i++) {
      now += 1000;
      progress.advance();
    }
    progress.finish();
    expect(screen.text.split('\n')).toEqual([
      '4 of 30 points are there already',
      '14/30 points, 1.0/s, 16 s left',
      '24/30 points, 1.0/s, 6 s left',
      '30/30 points, 1.0/s',
      '',
    ]);
  });

  it('is silent without a stream', () => {
    const progress = new Progress(null, 1, 0);
    progress.advance();
    progress.finish();
  });

  it('names durations', () => {
    expect([0.2, 59, 61, 3599.5, 7500].map(duration)).toEqual(['1 s', '59 s', '1 min 1 s', '1 h 0 min', '2 h 5 min']);
  });
});

/**
 * A figure as a standalone SVG text, made to be printed 720 px wide: title, legend, plot, note from top to bottom. Pure: the same chart
 * gives the same bytes.
 */
import { type CategoryAxis, apart, placeX, placeY, type PlacedAxis } from './figure/axis.js';
import type { LineChart } from './figure/chart.js';
import { drawLegend } from './figure/legend.js';
import { drawSeries } from './figure/marks.js';
import { FONT, GREY, GRID, INK, PAPER, SIZES } from './figure/style.js';
import { clipText, element, escapeXml, group, text, textWidth, wrapText } from './figure/svg.js';

export type { ChartAxis, ChartPoint, ChartSeries, LineChart } from './figure/chart.js';

const MARGIN = 18;
const LINE = 1.35;
const TICK = 5;
/** Categories whose names do not fit side by side are written at this angle, in degrees. */
const SLANT = 30;
const SINE = 0.5;
const COSINE = 0.866;
const LONGEST_CATEGORY = 150;

/** @throws Error when x values mix numbers and texts, a logarithmic axis has values that are not positive, or references lack a name. */
export function lineChart(chart: LineChart): string {
  const width = chart.width ?? 720;
  const right = width - MARGIN;
  const header = drawHeader(chart, right);
  // Widths of the labels decide where the plot begins: the y axis is laid out once for its ticks and once in its place.
  const plotHeight = (chart.height ?? 440) - 170;
  const labels = placeY(chart, plotHeight, 0).ticks.map((tick) => textWidth(tick.label, SIZES.text));
  const left = MARGIN + Math.max(20, ...labels) + TICK + 3;
  const x = placeX(chart, left, right);
  const legend = drawLegend(chart, x.step === 0, MARGIN, header.bottom + 8, right);
  const yTitle = header.bottom + 8 + legend.height + (legend.height > 0 ? 12 : 4) + SIZES.text;
  const top = yTitle + 14;
  const bottom = top + plotHeight;
  const y = placeY(chart, bottom, top);
  const below = drawXLabels(x, left, right, bottom);
  const note = drawNote(chart.note ?? '', below.bottom, right);
  const height = Math.ceil(note.bottom + MARGIN - 4);
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  return `${element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', ...size, role: 'img', 'font-family': FONT, 'font-size': SIZES.text },
    [
      '',
      `<title>${escapeXml(chart.title)}</title>`,
      element('rect', { width, height, fill: PAPER }),
      header.markup,
      legend.markup,
      text(clipText(y.title, SIZES.text, right - MARGIN), MARGIN, yTitle, { fill: INK }),
      drawGrid(y, left, right),
      element('line', { x1: left, x2: right, y1: bottom, y2: bottom, stroke: GREY }),
      below.markup,
      ...drawSeries(chart, x, y),
      note.markup,
      '',
    ]
      .filter((part, i, parts) => part !== '' || i === 0 || i === parts.length - 1)
      .join('\n'),
  )}\n`;
}

interface Block {
  readonly markup: string;
  readonly bottom: number;
}

/** Lines of text one under the other, the first with its upper edge at `top`. */
function drawLines(lines: readonly string[], size: number, top: number, attributes: Record<string, string>): Block {
  const markup = lines.map((line, i) =>
    text(line, MARGIN, top + size * (0.95 + i * LINE), { 'font-size': size, ...attributes }),
  );
  return { markup: markup.join('\n'), bottom: top + lines.length * size * LINE };
}

function drawHeader(chart: LineChart, right: number): Block {
  const room = right - MARGIN;
  const lines = wrapText(chart.title, SIZES.title * 1.05, room);
  const title = drawLines(lines, SIZES.title, MARGIN, { 'font-weight': 'bold', fill: INK });
  if (chart.subtitle === undefined) return title;
  const subtitle = drawLines(wrapText(chart.subtitle, SIZES.subtitle, room), SIZES.subtitle, title.bottom + 2, {
    fill: GREY,
  });
  return { markup: `${title.markup}\n${subtitle.markup}`, bottom: subtitle.bottom };
}

function drawNote(note: string, top: number, right: number): Block {
  if (note === '') return { markup: '', bottom: top };
  return drawLines(wrapText(note, SIZES.note, right - MARGIN), SIZES.note, top + 10, { fill: GREY });
}

function drawGrid(y: PlacedAxis<number>, left: number, right: number): string {
  const lines = y.ticks.map(({ position }) => element('line', { x1: left, x2: right, y1: position, y2: position }));
  const labels = y.ticks.map(({ label, position }) => text(label, left - TICK - 3, position, { dy: '0.35em' }));
  return `${group({ stroke: GRID }, lines)}\n${group({ fill: INK, 'text-anchor': 'end' }, labels)}`;
}

function drawXLabels(x: CategoryAxis, left: number, right: number, bottom: number): Block {
  const marks = x.ticks.map(({ position }) =>
    element('line', { x1: position, x2: position, y1: bottom, y2: bottom + TICK }),
  );
  const level = x.step === 0 || apart(x.ticks.map((tick) => [tick.position, textWidth(tick.label, SIZES.text)]));
  const names = level ? levelLabels(x, bottom) : slantedLabels(x, bottom);
  const title = text(clipText(x.title, SIZES.text, right - left), (left + right) / 2, names.bottom + SIZES.text + 6, {
    'text-anchor': 'middle',
    fill: INK,
  });
  return {
    markup: `${group({ stroke: GREY }, marks)}\n${names.markup}\n${title}`,
    bottom: names.bottom + SIZES.text + 10,
  };
}

function levelLabels(x: CategoryAxis, bottom: number): Block {
  const labels = x.ticks.map(({ label, position }) => text(label, position, bottom + TICK + 3 + SIZES.text));
  return { markup: group({ fill: INK, 'text-anchor': 'middle' }, labels), bottom: bottom + TICK + 5 + SIZES.text };
}

function slantedLabels(x: CategoryAxis, bottom: number): Block {
  const clipped = x.ticks.map(({ label, position }) => {
    const room = Math.min(LONGEST_CATEGORY, (position - MARGIN) / COSINE);
    return { label: clipText(label, SIZES.text, room), position };
  });
  const top = (bottom + TICK + 10).toFixed(2);
  const labels = clipped.map(({ label, position }) =>
    element('text', { transform: `translate(${position.toFixed(2)},${top}) rotate(-${SLANT})` }, escapeXml(label)),
  );
  const drop = Math.max(...clipped.map(({ label }) => textWidth(label, SIZES.text))) * SINE;
  return { markup: group({ fill: INK, 'text-anchor': 'end' }, labels), bottom: bottom + TICK + 14 + drop };
}

/** The legend: above the plot, where it cannot cover data; one row, or else columns that are read downwards. */
import type { LineChart } from './chart.js';
import { MARKER_AREA, markerPaint, REFERENCE_AREA, strokeOf } from './marks.js';
import { GREY, INK, markerPath, seriesStyle, SIZES } from './style.js';
import { clipText, element, group, text, textWidth } from './svg.js';

const SWATCH = 30;
const SPACE = 6;
const GAP = 18;
const ROW = 18;
/** Share of the width from which on the heading of several rows stands above them. */
const LONGEST_HEADING = 0.25;

interface Entry {
  readonly label: string;
  readonly swatch: string;
}

export interface Legend {
  readonly height: number;
  readonly markup: string;
}

/** Legend with its top left corner at (`left`, `top`). A single series without references needs none. */
export function drawLegend(chart: LineChart, lines: boolean, left: number, top: number, right: number): Legend {
  const series = seriesEntries(chart, lines);
  const references = referenceEntry(chart);
  if (series.length + references.length < 2) return { height: 0, markup: '' };
  const heading = chart.legend === undefined ? '' : clipText(`${chart.legend}:`, SIZES.text, right - left);
  const title = heading === '' ? '' : text(heading, left, top + ROW / 2, { dy: '0.35em', fill: GREY });
  const draw = (entry: Entry, x: number, row: number): string => {
    const y = top + ROW * (row + 0.5);
    const label = clipText(entry.label, SIZES.text, right - x - SWATCH - SPACE);
    const name = text(label, x + SWATCH + SPACE, y, { dy: '0.35em', fill: INK });
    return `${element('g', { transform: `translate(${x.toFixed(2)},${y.toFixed(2)})` }, entry.swatch)}${name}`;
  };
  const beside = heading === '' ? left : left + textWidth(heading, SIZES.text) + SPACE + 4;
  const row = oneRow([...series, ...references], beside, right);
  if (row !== null) {
    const drawn = row.map(({ entry, x }) => draw(entry, x, 0));
    return finish(title, drawn, 1);
  }
  const above = beside - left > LONGEST_HEADING * (right - left);
  const [start, first] = above ? [left, 1] : [beside, 0];
  const { columnWidth, cells } = gridOf(chart, series, right - start);
  const rows = first + Math.max(...cells.map((cell) => cell.row)) + 1;
  const drawn = series.map((entry, i) => draw(entry, start + columnWidth * cells[i]!.column, first + cells[i]!.row));
  const last = references.map((entry) => draw(entry, start, rows));
  return finish(title, [...drawn, ...last], rows + last.length);
}

function finish(title: string, entries: readonly string[], rows: number): Legend {
  const parts = [title, ...entries].filter((part) => part !== '');
  return { height: rows * ROW, markup: group({ 'font-size': SIZES.text }, parts) };
}

function widthOf(entry: Entry): number {
  return SWATCH + SPACE + textWidth(entry.label, SIZES.text);
}

/** Entries side by side, or null when they need more than one row. */
function oneRow(entries: readonly Entry[], start: number, right: number): { entry: Entry; x: number }[] | null {
  let x = start;
  const placed = entries.map((entry) => {
    const at = x;
    x += widthOf(entry) + GAP;
    return { entry, x: at };
  });
  return x - GAP <= right ? placed : null;
}

interface Cell {
  readonly column: number;
  readonly row: number;
}

/** As few rows as fit, read downwards; where series share colours, a column for each colour if there is room. */
function gridOf(chart: LineChart, entries: readonly Entry[], room: number): { columnWidth: number; cells: Cell[] } {
  const columnWidth = Math.max(...entries.map(widthOf)) + GAP;
  const most = Math.max(1, Math.floor((room + GAP) / columnWidth));
  const looks = chart.series.map((series, i) => ({ colour: series.colour ?? i, style: series.style ?? i }));
  const colours = [...new Set(looks.map(({ colour }) => colour))];
  const styles = [...new Set(looks.map(({ style }) => style))];
  if (colours.length < entries.length && colours.length * styles.length === entries.length && colours.length <= most) {
    const cells = looks.map(({ colour, style }) => ({ column: colours.indexOf(colour), row: styles.indexOf(style) }));
    return { columnWidth, cells };
  }
  const rows = Math.ceil(entries.length / most);
  return { columnWidth, cells: entries.map((_, i) => ({ column: Math.floor(i / rows), row: i % rows })) };
}

const CENTRE = `translate(${SWATCH / 2},0)`;

function seriesEntries(chart: LineChart, lines: boolean): Entry[] {
  return chart.series.map((series, index) => {
    const style = seriesStyle(series.colour ?? index, series.style ?? index);
    const line = lines ? element('line', { x1: 0, x2: SWATCH, y1: 0, y2: 0, ...strokeOf(style) }) : '';
    const shape = { d: markerPath(style.marker, MARKER_AREA), transform: CENTRE };
    return { label: series.name, swatch: line + element('path', { ...shape, ...markerPaint(style.colour, 'filled') }) };
  });
}

function referenceEntry(chart: LineChart): Entry[] {
  if (!chart.series.some((series) => (series.references ?? []).length > 0)) return [];
  if (chart.references === undefined) throw new Error('a chart with references says what they are');
  const shape = { d: markerPath(seriesStyle(0, 0).marker, REFERENCE_AREA), transform: CENTRE };
  return [{ label: chart.references, swatch: element('path', { ...shape, ...markerPaint(GREY, 'hollow') }) }];
}

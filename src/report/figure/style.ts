/**
 * Colours, dashes and markers of series. The colours are those of Okabe and Ito (Color Universal Design, 2008), which people with
 * any common colour vision tell apart, without yellow, which fades on white. Dash and marker differ too, for print in grey.
 */
import {
  symbol,
  symbolCircle,
  symbolCross,
  symbolDiamond,
  symbolSquare,
  symbolTriangle,
  type SymbolType,
} from 'd3-shape';

export const COLOURS = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000'] as const;

/** Lengths of dash and gap in pixels; empty = solid. */
export const DASHES: readonly (readonly number[])[] = [[], [7, 3], [2, 2.5], [9, 3, 2, 3], [4, 2], [9, 3, 2, 3, 2, 3]];

const triangleDown: SymbolType = {
  draw(context, size) {
    const r = Math.sqrt(size / (Math.sqrt(3) * 3));
    const x = Math.sqrt(3) * r;
    context.moveTo(0, r * 2);
    context.lineTo(-x, -r);
    context.lineTo(x, -r);
    context.closePath();
  },
};

interface Marker {
  /** Name of the same shape in Vega. */
  readonly name: string;
  readonly type: SymbolType;
  /** Area relative to the others. The circle is larger, so that it shows around a marker of another series at its place. */
  readonly area: number;
}

export const MARKERS: readonly Marker[] = [
  { name: 'circle', type: symbolCircle, area: 1.4 },
  { name: 'square', type: symbolSquare, area: 0.85 },
  { name: 'triangle-up', type: symbolTriangle, area: 0.95 },
  { name: 'diamond', type: symbolDiamond, area: 0.95 },
  { name: 'triangle-down', type: triangleDown, area: 0.95 },
  { name: 'cross', type: symbolCross, area: 0.95 },
];

export interface SeriesStyle {
  readonly colour: string;
  readonly dash: readonly number[];
  readonly marker: Marker;
}

/** Style of a series by its indices; colours repeat after seven, dashes and markers after six. */
export function seriesStyle(colour: number, style: number): SeriesStyle {
  return {
    colour: COLOURS[colour % COLOURS.length]!,
    dash: DASHES[style % DASHES.length]!,
    marker: MARKERS[style % MARKERS.length]!,
  };
}

/** Path of a marker around the origin that covers about `area` square pixels. */
export function markerPath(marker: Marker, area: number): string {
  return symbol(marker.type, area * marker.area).digits(2)() ?? '';
}

export const FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', sans-serif";
export const INK = '#1f1f1f';
export const GREY = '#5a5a5a';
export const GRID = '#e4e4e4';
export const PAPER = '#ffffff';
export const SIZES = { title: 16, subtitle: 12, text: 12, note: 11 } as const;

/** SVG as text: elements, numbers with fixed decimals, and widths of text estimated without a font. */

export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** An element; numbers have at most two decimals, attributes without a value are left out. `content` is markup already. */
export function element(name: string, attributes: Attributes, content = ''): string {
  const list = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [` ${key}="${typeof value === 'number' ? fixed(value) : escapeXml(value)}"`],
  );
  const head = `<${name}${list.join('')}`;
  return content === '' ? `${head}/>` : `${head}>${content}</${name}>`;
}

/** An element around lines of markup. */
export function group(attributes: Attributes, lines: readonly string[]): string {
  return lines.length === 0 ? '' : element('g', attributes, `\n${lines.join('\n')}\n`);
}

export function text(content: string, x: number, y: number, attributes: Attributes = {}): string {
  return element('text', { x, y, ...attributes }, escapeXml(content));
}

/** At most two decimals, no negative zero. */
export function fixed(value: number): string {
  if (!Number.isFinite(value)) throw new Error(`a coordinate of a figure is ${value}`);
  return String(Number(value.toFixed(2)) || 0);
}

/** Text for XML 1.0; characters that XML cannot hold become question marks. */
export function escapeXml(value: string): string {
  return value
    .replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '?')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}

const WIDTHS: readonly (readonly [RegExp, number])[] = [
  [/[ijl.,:;'|!()[\]\s]/, 0.34],
  [/[frt/\\-]/, 0.42],
  [/[mwMW%@—]/, 0.95],
  [/[A-Z&]/, 0.74],
  [/[\u3000-\u9fff\uac00-\ud7af\uff00-\uff60]/, 1.02],
];

/** Width in pixels of text in a sans-serif font of `size`, rather too wide than too narrow. */
export function textWidth(value: string, size: number): number {
  let em = 0;
  for (const character of value) em += WIDTHS.find(([pattern]) => pattern.test(character))?.[1] ?? 0.58;
  return em * size;
}

/** Lines of whole words that fit `width`; a single word may be longer. */
export function wrapText(value: string, size: number, width: number): string[] {
  const lines: string[] = [];
  for (const word of value.split(/\s+/).filter((part) => part !== '')) {
    const last = lines.at(-1);
    if (last !== undefined && textWidth(`${last} ${word}`, size) <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** `value`, or as much of it as fits `width` and an ellipsis. */
export function clipText(value: string, size: number, width: number): string {
  const characters = Array.from(value);
  if (textWidth(value, size) <= width) return value;
  while (characters.length > 1 && textWidth(`${characters.join('')}…`, size) > width) characters.pop();
  return `${characters.join('').trimEnd()}…`;
}

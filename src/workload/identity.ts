/** Names of points: the SHA-256 of the canonical text of what they are. */
import { createHash } from 'node:crypto';

/** JSON with sorted keys and no spaces: equal values give equal text, whatever the order their keys were written in. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map(canonicalJson).join(',')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const record = value as Record<string, unknown>;
    const fields = Object.keys(record)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${canonicalJson(record[key])}`);
    return `{${fields.join(',')}}`;
  }
  return JSON.stringify(value);
}

/** First 16 hex digits of the SHA-256 of a value's canonical JSON. */
export function contentId(value: unknown): string {
  return hash(canonicalJson(value));
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** `contentId` for many points that share sections: the text of a section object is made once. */
export class PointHasher {
  private readonly texts = new WeakMap<object, string>();

  id(point: object): string {
    const record = point as Record<string, unknown>;
    const fields = Object.keys(record)
      .sort()
      .map((key) => `${JSON.stringify(key)}:${this.text(record[key])}`);
    return hash(`{${fields.join(',')}}`);
  }

  private text(value: unknown): string {
    if (typeof value !== 'object' || value === null) {
      return canonicalJson(value);
    }
    const known = this.texts.get(value) ?? canonicalJson(value);
    this.texts.set(value, known);
    return known;
  }
}

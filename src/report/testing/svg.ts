/** Reads the markup of a figure back: a strict reader of the XML subset that figures use. */

export interface Node {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly children: Node[];
  /** Text directly inside. */
  text: string;
}

/** The root element. @throws Error when the text is not well-formed. */
export function readSvg(markup: string): Node {
  const root: Node = { name: '', attributes: {}, children: [], text: '' };
  const open: Node[] = [root];
  let at = 0;
  for (const match of markup.matchAll(/<(\/?)([a-z]+)((?: [A-Za-z][A-Za-z0-9-]*="[^"<>]*")*)(\/?)>/g)) {
    const [tag, end, name = '', attributes = '', empty] = match;
    const between = markup.slice(at, match.index);
    if (/[<>]|&(?!(?:amp|lt|gt|quot);)/.test(between)) throw new Error(`not well-formed: ${between}`);
    open.at(-1)!.text += between;
    at = match.index + tag.length;
    if (end === '/') {
      if (open.pop()!.name !== name) throw new Error(`</${name}> closes another element`);
      continue;
    }
    const pairs = [...attributes.matchAll(/([A-Za-z][A-Za-z0-9-]*)="([^"]*)"/g)].map(
      ([, key, value]) => [key!, value!] as const,
    );
    const node: Node = { name, attributes: Object.fromEntries(pairs), children: [], text: '' };
    open.at(-1)!.children.push(node);
    if (empty !== '/') open.push(node);
  }
  if (open.length !== 1 || root.children.length !== 1) throw new Error('elements are left open');
  if (markup.slice(at).trim() !== '') throw new Error('text after the end');
  return root.children[0]!;
}

/** All elements of a name, in document order. */
export function findAll(node: Node, name: string): Node[] {
  return node.children.flatMap((child) => [...(child.name === name ? [child] : []), ...findAll(child, name)]);
}

/** Texts shown in the figure, without the tooltips. */
export function textsOf(node: Node): string[] {
  return findAll(node, 'text').map((each) => each.text);
}

/** Position and tooltip of each marker. */
export function markersOf(node: Node): { x: number; y: number; tip: string }[] {
  return findAll(node, 'path').flatMap((path) => {
    const tip = path.children.find((child) => child.name === 'title');
    const place = /^translate\((-?[\d.]+),(-?[\d.]+)\)$/.exec(path.attributes['transform'] ?? '');
    return tip === undefined || place === null ? [] : [{ x: Number(place[1]), y: Number(place[2]), tip: tip.text }];
  });
}

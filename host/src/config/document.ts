import { type Document, isMap, isNode, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import { SluiceError } from "../errors.js";

/** A YAML (or JSON) text that knows where each of its values stands. */
export class ConfigDocument {
  private constructor(
    readonly file: string,
    private readonly document: Document.Parsed,
    private readonly lines: LineCounter,
  ) {}

  /** @throws SluiceError "invalid-yaml" with a line for each mistake of syntax. */
  static parse(text: string, file: string): ConfigDocument {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: true });
    const mistakes = [...document.errors, ...document.warnings];
    if (mistakes.length > 0) {
      throw new SluiceError(
        mistakes.map(({ pos, message }) => {
          const { line, col } = lines.linePos(pos[0]);
          return { code: "invalid-yaml", path: `${file}:${line}:${col}`, message };
        }),
      );
    }
    return new ConfigDocument(file, document, lines);
  }

  value(): unknown {
    return this.document.toJS({ maxAliasCount: 100 }) as unknown;
  }

  /** "file:line:column" of a value, or of its key; of the nearest parent that exists when it doesn't. */
  locate(segments: readonly PropertyKey[], atKey = false): string {
    const { line, col } = this.lines.linePos(this.offsetOf(segments, atKey));
    return `${this.file}:${line}:${col}`;
  }

  /** Characters before the place that locate() gives. */
  offsetOf(segments: readonly PropertyKey[], atKey: boolean): number {
    let node: unknown = this.document.contents;
    let offset = isNode(node) ? startOf(node) : 0;
    for (const [depth, segment] of segments.entries()) {
      const child = step(node, segment);
      if (child === undefined) break;
      const last = depth === segments.length - 1;
      offset = (last && atKey) || child.value === undefined ? child.keyOffset : startOf(child.value);
      node = child.value;
    }
    return offset;
  }
}

function step(node: unknown, segment: PropertyKey): { keyOffset: number; value: Node | undefined } | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(segment));
    if (pair === undefined || !isNode(pair.key)) return undefined;
    return { keyOffset: startOf(pair.key), value: isNode(pair.value) ? pair.value : undefined };
  }
  if (isNode(node) && "items" in node && Array.isArray(node.items)) {
    const item: unknown = node.items[Number(segment)];
    return isNode(item) ? { keyOffset: startOf(item), value: item } : undefined;
  }
  return undefined;
}

function startOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

import { type Literal, LiteralKind, type Node, NodeKind, type UnaryPrefix } from "./ast.js";
import type { Json } from "./manifest.js";

/** The text of a node. */
export const textOf = (node: Node): string => node.range.source.text.slice(node.range.start, node.range.end);

/** The value of a literal; calls `onOther` with each part that is none, and takes it for null. */
export function literalValue(node: Node, onOther: (node: Node) => void): Json {
  if (node.kind === NodeKind.True || node.kind === NodeKind.False) return node.kind === NodeKind.True;
  if (node.kind === NodeKind.Null) return null;
  if (node.kind === NodeKind.UnaryPrefix && textOf(node).startsWith("-"))
    return -Number(literalValue((node as UnaryPrefix).operand, onOther));
  if (node.kind === NodeKind.Literal) {
    const { literalKind, value, elementExpressions, names, values } = node as Literal;
    if (literalKind === LiteralKind.String) return String(value);
    if (literalKind === LiteralKind.Integer || literalKind === LiteralKind.Float) return Number(value.toString());
    if (literalKind === LiteralKind.Array) return elementExpressions.map((each) => literalValue(each, onOther));
    if (literalKind === LiteralKind.Object)
      return Object.fromEntries(names.map((name, i) => [name.text, literalValue(values[i] as Node, onOther)]));
  }
  onOther(node);
  return null;
}

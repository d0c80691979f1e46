// Which function of a source a place is in. The compiled module's own functions don't say: the optimiser puts small ones into
// their callers.

import {
  type ClassDeclaration,
  type Declaration,
  type NamespaceDeclaration,
  type Node,
  NodeKind,
  type Source,
  STATIC_FLAG,
} from "./ast.js";

/** Lines from 1, columns from 0, as in a source map's text. */
export interface FunctionRange {
  /** "name", "Class#method" or "Class.method". */
  name: string;
  start: [line: number, column: number];
  end: [line: number, column: number];
}

/** The functions of each source, by its path as the compiler knows it. */
export function functionRanges(sources: Source[]): Map<string, FunctionRange[]> {
  return new Map(
    sources.map((source) => [source.normalizedPath, source.statements.flatMap((each) => ranges(each, ""))]),
  );
}

function ranges(node: Node, prefix: string): FunctionRange[] {
  const { name } = node as Declaration;
  switch (node.kind) {
    case NodeKind.Namespace:
      return (node as NamespaceDeclaration).members.flatMap((each) => ranges(each, `${prefix}${name.text}.`));
    case NodeKind.Class:
      return (node as ClassDeclaration).members.flatMap((each) => ranges(each, prefix + name.text));
    case NodeKind.Method:
      return [range(node, `${prefix}${(node as Declaration).flags & STATIC_FLAG ? "." : "#"}${name.text}`)];
    case NodeKind.Function:
      return [range(node, prefix + name.text)];
    default:
      return [];
  }
}

function range(node: Node, name: string): FunctionRange {
  const { source, start, end } = node.range;
  const at = (position: number): [number, number] => [source.lineAt(position), source.columnAt() - 1];
  return { name, start: at(start), end: at(end) };
}

/** The name of the function that a place is in. */
export function functionAt(found: FunctionRange[] | undefined, line: number, column: number): string | undefined {
  const isBefore = (a: [number, number], b: [number, number]) => a[0] < b[0] || (a[0] === b[0] && a[1] <= b[1]);
  return found?.find(({ start, end }) => isBefore(start, [line, column]) && isBefore([line, column], end))?.name;
}

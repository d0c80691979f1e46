import type { Node, Parser } from "./ast.js";

/** The syntax tree of one statement that the build wrote. Places in it are not of any file. */
export function parseStatement(parser: Parser, text: string, path: string): Node {
  const own = new (parser.constructor as new () => Parser)();
  own.parseFile(text, path, false);
  const [statement] = own.sources[0]?.statements ?? [];
  if (!statement) throw new Error(`the build made a statement that does not parse: ${text}`);
  return statement;
}

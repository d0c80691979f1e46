import type { Declaration } from "../ast.js";

/** What may stand between a docstring and the declared name: decorators and modifiers. */
const between =
  /^(?:\s|@\w+(?:\((?:[^()"'`]|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')*\))?|\b(?:export|class|public|readonly|abstract)\b|\/\/[^\n]*\n)*$/;

/** The text of the docstring above a declaration; undefined when there is none. The syntax tree has no comments. */
export function docstring(declaration: Declaration): string | undefined {
  const { source, start } = declaration.name.range;
  const before = source.text.slice(0, start);
  const open = before.lastIndexOf("/**");
  const close = before.indexOf("*/", open);
  if (open < 0 || close < 0 || !between.test(before.slice(close + 2))) return undefined;
  const lines = before.slice(open + 3, close).split("\n");
  const text = lines.map((line) => line.replace(/^\s*\*\s?/, "").trim()).join(" ");
  return text.replace(/\s+/g, " ").trim() || undefined;
}

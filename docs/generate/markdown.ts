// Symbols as Markdown.

import type { Documented, Member } from "./symbols.js";

/** What a fence of these pages says: shown, and not compiled by itself. */
const FENCE = "```ts signature";

export function symbolText(symbol: Documented): string {
  const isPlain = symbol.kind === "constants";
  const head = isPlain ? [] : [FENCE, symbol.signature, "```", ""];
  const sections = symbol.sections.flatMap(({ title, text, members }) => [
    ...(title === "" ? [] : ["", `#### ${title}`]),
    ...(text === undefined ? [] : ["", text]),
    "",
    ...memberTable(members),
  ]);
  return [`### ${symbol.name}`, "", ...head, docText(symbol.doc), ...sections, ""].join("\n");
}

function memberTable(members: Member[]): string[] {
  if (members.length === 0) return [];
  const rows = members.map(({ signature, doc }) => `| \`${cell(signature)}\` | ${cell(oneLine(doc))} |`);
  return ["| | |", "| --- | --- |", ...rows];
}

/** In a table's cell a line does not end, and a bar is not a border. */
export const cell = (text: string): string => text.replaceAll("|", "\\|");

const oneLine = (doc: string): string => doc.replace(/\s+/g, " ").trim();

/** A docstring's paragraphs; indented lines in it are code. */
export function docText(doc: string): string {
  const out: string[] = [];
  let isCode = false;
  for (const line of doc.split("\n")) {
    const indented = /^ {2,}\S/.test(line);
    if (indented !== isCode && (indented || line !== "")) {
      out.push(indented ? "```ts fragment" : "```");
      isCode = indented;
    }
    out.push(isCode ? line.replace(/^ {2,3}/, "") : line);
  }
  if (isCode) out.push("```");
  return out.join("\n").replace(/\n+```$/gm, "\n```");
}

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
  return [`### ${symbol.name}`, "", ...head, docText(`${symbol.doc}\n`).trimEnd(), ...sections, ""].join("\n");
}

function memberTable(members: Member[]): string[] {
  if (members.length === 0) return [];
  const rows = members.map(({ signature, doc }) => `| \`${cell(signature)}\` | ${cell(oneLine(doc))} |`);
  return ["| | |", "| --- | --- |", ...rows];
}

/** In a table's cell a line does not end, and a bar is not a border. */
export const cell = (text: string): string => text.replaceAll("|", "\\|");

const oneLine = (doc: string): string => doc.replace(/\s+/g, " ").trim();

/** A docstring's paragraphs; what is indented in it is code. */
export function docText(doc: string): string {
  return doc.replace(/(?:^ {2,}\S.*\n(?:\n(?= {2,}\S))?)+/gm, (code) => `\`\`\`ts fragment\n${dedent(code)}\`\`\`\n`);
}

function dedent(code: string): string {
  const indents = [...code.matchAll(/^ +(?=\S)/gm)].map(([indent]) => indent.length);
  return code.replace(new RegExp(`^ {${Math.min(...indents)}}`, "gm"), "");
}

// The figures' part of README.md: a table, a chart, the methods and the machine, all from one report.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/dataplane.js";
import { type Figure, heading, line, methods } from "./result.js";

/** What `npm run bench -- --json FILE` writes. */
export interface Report {
  results: Figure[];
  machine: string;
}

const BEGIN = "<!-- figures: written by npm run bench -- --readme FILE -->";
const END = "<!-- end of figures -->";
const BAR_WIDTH = 40;
const NAME_WIDTH = 18;

/** Bars of a figure and its reference, the longer one of full width. */
function bars({ name, value, reference }: Figure): string[] {
  if (reference === undefined || value === 0) return [];
  const longest = Math.max(value, reference.value);
  const bar = (size: number) => "█".repeat(Math.max(1, Math.round((BAR_WIDTH * size) / longest)));
  return [
    `${name.padEnd(NAME_WIDTH)} ${bar(value)} Sluice`,
    `${"".padEnd(NAME_WIDTH)} ${bar(reference.value)} ${reference.name}`,
  ];
}

function section({ results, machine }: Report): string {
  const block = (lines: string[]) => ["```text", ...lines, "```"];
  return [
    BEGIN,
    ...block([heading, ...results.map(line)]),
    "",
    `Measured on: ${machine}. Each value beside what it is compared with:`,
    "",
    ...block(results.flatMap(bars)),
    "",
    ...Object.entries(methods).map(([name, method]) => `- \`${name}\`: ${method}`),
    END,
  ].join("\n");
}

/** @throws when README.md has no place for them. */
export function writeReadme(report: Report): void {
  const file = join(root, "README.md");
  const text = readFileSync(file, "utf8");
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`${file} has no lines "${BEGIN}" and "${END}" to write between`);
  writeFileSync(file, text.slice(0, begin) + section(report) + text.slice(end + END.length));
}

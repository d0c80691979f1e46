// docs/troubleshooting.md: what the build says to each of its wrong sources.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { BuildError, buildPlugin } from "@sluice/sdk/build";
import { DocsError } from "./errors.js";

const EXAMPLE = /(^```ts error\n(.*?)^```\n\n```text error\n)(?:.*?)(^```$)/gms;

/** The page with the build's message behind each source. Throws when a source builds. */
export async function fillErrors(page: string): Promise<string> {
  const messages = await Promise.all([...page.matchAll(EXAMPLE)].map((match) => messageOf(match[2] ?? "")));
  let next = 0;
  return page.replace(EXAMPLE, (_all, before: string, _source, end: string) => `${before}${messages[next++]}\n${end}`);
}

async function messageOf(source: string): Promise<string> {
  try {
    await buildPlugin({ source });
  } catch (error) {
    // A text is taken to lie in the working folder, which differs from machine to machine.
    if (error instanceof BuildError) return error.message.replaceAll(`${process.cwd()}/`, "");
    throw error;
  }
  throw new DocsError(`docs/troubleshooting.md shows as wrong what builds:\n${source}`);
}

/** Codes of the errors that the build's sources make: diagnostics' and ModuleError's. */
export function errorCodes(root: string): string[] {
  const folder = join(root, "sdk/src/build");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ts"));
  const codes = files.flatMap((name) => codesOf(readFileSync(join(folder, name), "utf8")));
  return [...new Set(codes)].sort();
}

const CODE = '"([a-z]+(?:-[a-z]+)*)"';
/** report(node, "code", ...), error("code", ...), fail("code", ...), new ModuleError("code", ...), { code: "code" } */
const PLACES = [`report\\(\\s*[^,"]+,\\s*${CODE},`, `\\b(?:error|fail|ModuleError)\\(\\s*${CODE},`, `\\bcode: ${CODE}`];

const codesOf = (text: string): string[] =>
  PLACES.flatMap((place) => [...text.matchAll(new RegExp(place, "g"))].map((match) => match[1] ?? ""));

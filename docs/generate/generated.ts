import { readFileSync } from "node:fs";
import { join } from "node:path";
import { abiTables, fillTables } from "./abi.js";
import { fillErrors } from "./build-errors.js";
import { referencePages } from "./pages.js";

/** Folder of pages that are generated as a whole. */
export const REFERENCE = "docs/reference";

/** Every file of docs/ that is generated, wholly or in parts, by path from the repository's root. */
export async function generated(root: string): Promise<Map<string, string>> {
  const read = (path: string) => readFileSync(join(root, path), "utf8");
  return new Map([
    ["docs/abi.md", fillTables(read("docs/abi.md"), abiTables(root))],
    ["docs/troubleshooting.md", await fillErrors(read("docs/troubleshooting.md"))],
    ...referencePages(root),
  ]);
}

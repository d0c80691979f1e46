import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../support/dataplane.js";

/** The corpus in the repository: an input a line, in hex. What once broke something stays in it. */
function keptFile(fuzzer: string): string {
  return join(root, "native", "fuzz", "corpus", `${fuzzer}.hex`);
}

/** Writes the kept inputs into a folder as libFuzzer reads them, one a file. @returns how many. */
export function unpack(fuzzer: string, folder: string): number {
  mkdirSync(folder, { recursive: true });
  const lines = existsSync(keptFile(fuzzer)) ? readFileSync(keptFile(fuzzer), "utf8").split("\n").filter(Boolean) : [];
  for (const line of lines) {
    const bytes = Buffer.from(line, "hex");
    writeFileSync(join(folder, createHash("sha1").update(bytes).digest("hex")), bytes);
  }
  return lines.length;
}

/** Keeps a folder's inputs in the repository in place of what was kept. @returns how many. */
export function keep(fuzzer: string, folder: string): number {
  const lines = readdirSync(folder).map((name) => readFileSync(join(folder, name)).toString("hex"));
  lines.sort((a, b) => a.length - b.length || (a < b ? -1 : 1));
  writeFileSync(keptFile(fuzzer), lines.map((line) => `${line}\n`).join(""));
  return lines.length;
}

export function emptied(folder: string): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

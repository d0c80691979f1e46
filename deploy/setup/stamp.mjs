import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const SKIPPED = new Set(["node_modules", "build", "dist", "generated", ".git"]);

/** Every file below `path`, sorted; `path` itself when it is a file; nothing when it is not there. Skips what builds make. */
function filesBelow(path) {
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => !(entry.isDirectory() && SKIPPED.has(entry.name)))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => filesBelow(join(path, entry.name)));
}

/** SHA-256 in hex of the names and contents of all files below `paths`, and of `extra`. */
export function contentHash(paths, extra = "") {
  const hash = createHash("sha256").update(extra);
  for (const file of paths.flatMap(filesBelow)) hash.update(`\0${file}\0`).update(readFileSync(file));
  return hash.digest("hex");
}

/** True when `stampFile` says that `hash` was built and every output is still there. */
export function isCurrent(stampFile, hash, outputs) {
  return existsSync(stampFile) && readFileSync(stampFile, "utf8") === hash && outputs.every(existsSync);
}

export function writeStamp(stampFile, hash) {
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, hash);
}

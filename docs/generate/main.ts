// Writes all that is generated in docs/. Usage: npm run docs
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DocsError } from "./errors.js";
import { generated, REFERENCE } from "./generated.js";

const root = fileURLToPath(new URL("../../../..", import.meta.url)); // this runs from build/docs/docs/generate/

const files = await generated(root).catch((error: unknown) => {
  if (!(error instanceof DocsError)) throw error;
  console.error(`error: ${error.message}`);
  process.exit(1);
});
mkdirSync(join(root, REFERENCE), { recursive: true });
for (const name of readdirSync(join(root, REFERENCE))) {
  if (!files.has(`${REFERENCE}/${name}`)) rmSync(join(root, REFERENCE, name));
}
for (const [path, text] of files) {
  const file = join(root, path);
  if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
  writeFileSync(file, text);
  console.log(`written: ${path}`);
}
